"""Traffic: in order, as asked for, and the same for the same seed."""

import itertools
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.simulation.traffic import (
    Arrival,
    Lengths,
    Rate,
    day,
    sampled,
    scaled,
    sliced,
    sped_up,
    spread,
)

PROMPT, OUTPUT = Lengths(mean_tokens=400), Lengths(mean_tokens=100)


def rate(per_s, start_s=0.0, end_s=2000.0, cv=1.0):
    return Rate(start_s=start_s, end_s=end_s, per_s=per_s, cv=cv, prompt=PROMPT, output=OUTPUT)


@given(st.integers(0, 1000), st.lists(st.floats(0, 20), min_size=1, max_size=6), st.floats(0.5, 4))
def test_sampled_requests_are_in_order_within_their_spans_and_reproducible(seed, rates, cv):
    spans = [rate(per_s, 10.0 * n, 10.0 * (n + 1), cv) for n, per_s in enumerate(rates)]
    requests = list(sampled(spans, seed))
    assert requests == list(sampled(spans, seed))
    assert all(a.at_s <= b.at_s for a, b in itertools.pairwise(requests))
    assert all(rates[int(request.at_s // 10)] > 0 for request in requests)
    assert all(request.prompt_tokens >= 1 <= request.output_tokens for request in requests)


@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_rate_and_burstiness_are_those_stated(cv):
    requests = list(sampled([rate(10.0, cv=cv)], seed=7))
    assert len(requests) == pytest.approx(20_000, rel=0.06)
    gaps = [b.at_s - a.at_s for a, b in itertools.pairwise(requests)]
    assert statistics.stdev(gaps) / statistics.mean(gaps) == pytest.approx(cv, rel=0.1)


def test_a_rate_that_changes_keeps_each_span_at_its_own_rate():
    spans = [rate(2.0 if n % 2 else 20.0, n * 1.0, n + 1.0) for n in range(2000)]
    requests = list(sampled(spans, seed=3))
    slow = sum(1 for request in requests if int(request.at_s) % 2)
    assert slow == pytest.approx(2000, rel=0.1)
    assert len(requests) - slow == pytest.approx(20_000, rel=0.05)


def test_lengths_have_their_mean():
    requests = list(sampled([rate(10.0)], seed=1))
    assert statistics.mean(r.prompt_tokens for r in requests) == pytest.approx(400, rel=0.05)
    assert statistics.mean(r.output_tokens for r in requests) == pytest.approx(100, rel=0.05)


def test_a_day_is_quiet_at_night_busy_by_day_and_has_one_burst():
    spans = list(day(length_s=1800.0, peak_per_s=10.0, prompt=PROMPT, output=OUTPUT))
    assert spans[0].start_s == 0
    assert spans[-1].end_s == pytest.approx(1800.0)
    by_hour = [statistics.mean(s.per_s for s in spans[h * 10 : h * 10 + 10]) for h in range(24)]
    assert max(by_hour[1:6]) < 1.0
    assert min(by_hour[11:17]) > 6.0
    jumps = [b.per_s / a.per_s for a, b in itertools.pairwise(spans)]
    assert sum(jump > 1.5 for jump in jumps) == 1


TRACE = [Arrival(float(n), 10 + n, 5) for n in range(100)]


def test_speed_divides_times_and_a_slice_begins_at_zero():
    assert [a.at_s for a in sped_up(TRACE, 10.0)][:3] == [0.0, 0.1, 0.2]
    part = list(sliced(TRACE, 10.0, 20.0))
    assert (len(part), part[0].at_s, part[0].prompt_tokens) == (10, 0.0, 20)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5, 20.0])
def test_scaling_a_trace_multiplies_its_requests_and_keeps_its_order(factor):
    more = list(scaled(TRACE, factor, seed=1))
    assert len(more) == pytest.approx(100 * factor, rel=0.2)
    assert all(a.at_s <= b.at_s for a, b in itertools.pairwise(more))


def test_what_stood_at_one_tick_is_spread_over_it_in_order():
    rows = [Arrival(3.0 * (n // 50), 10 + n, 5) for n in range(200)]

    found = list(spread(rows, 3.0, seed=1))

    times = [one.at_s for one in found]
    assert times == sorted(times)
    assert len(set(times)) == 200
    assert sorted(one.prompt_tokens for one in found) == [one.prompt_tokens for one in rows]
    for tick in range(4):
        within = times[50 * tick : 50 * (tick + 1)]
        assert 3 * tick <= within[0] < within[-1] < 3 * (tick + 1)
        assert statistics.fmean(within) == pytest.approx(3 * tick + 1.5, abs=0.5)
    assert found == list(spread(rows, 3.0, seed=1)) != list(spread(rows, 3.0, seed=2))


def test_times_of_no_ticks_stay_as_they_are():
    rows = [Arrival(0.1 * n, n + 1, 5) for n in range(20)]
    assert list(spread(rows, 0.0, seed=1)) == rows
