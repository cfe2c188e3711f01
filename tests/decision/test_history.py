"""Of each minute, how low and how high demand was."""

from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.history import minute_of, requests_open, thinned
from tests.builders import sample


def test_a_minute_leaves_its_lowest_and_its_highest_sample_in_order_of_time():
    loads = {5: 3.0, 20: 9.0, 40: 1.0, 60: 4.0, 65: 2.0, 120: 2.0}
    kept = thinned(sample(at_s, running=load) for at_s, load in loads.items())
    assert [(one.at_s, requests_open(one)) for one in kept] == [(20, 9), (40, 1), (65, 2)]


def test_a_minute_without_known_demand_leaves_nothing():
    assert thinned([sample(5, replicas=0, ready_replicas=2)]) == []


def test_a_workload_at_zero_has_no_demand_but_what_waits_before_it():
    assert requests_open(sample(replicas=0, spec_replicas=0)) == 0
    assert requests_open(sample(replicas=0, spec_replicas=0, gateway_waiting=4)) == 4


def test_in_flight_at_the_gateway_counts_what_the_engines_hold_as_well():
    assert requests_open(sample(running=6, gateway_in_flight=8)) == 8
    assert requests_open(sample(running=6, gateway_waiting=8)) == 14


@given(st.lists(st.tuples(st.integers(1, 600), st.integers(0, 9)), unique_by=lambda s: s[0]))
def test_no_minute_loses_its_extremes(points):
    samples = [sample(float(at_s), running=float(load)) for at_s, load in sorted(points)]
    kept = thinned(samples)
    assert len(kept) <= 2 * len({minute_of(one.at_s) for one in samples})
    for minute in {minute_of(one.at_s) for one in samples}:
        all_of = [requests_open(s) or 0 for s in samples if minute_of(s.at_s) == minute]
        kept_of = [requests_open(s) or 0 for s in kept if minute_of(s.at_s) == minute]
        assert (min(all_of), max(all_of)) == (min(kept_of), max(kept_of))
