"""The utilisation law: numbers that a pencil can follow, and windows that obey it."""

import itertools
import math

import numpy as np
import pytest

from scaler.capacity.concurrency.result import Bound, Limit, SafeConcurrency
from scaler.capacity.latency_target import LatencyTarget
from scaler.decision import work
from scaler.decision.demand import Fill
from scaler.decision.facts.bucket import came as came_in
from scaler.decision.facts.columns import Columns
from scaler.decision.load import read
from scaler.decision.policy import SignalName, StepCost
from scaler.decision.sample import Sample
from scaler.decision.steps import Mix
from tests.builders import inference, replica, sample_of, window
from tests.decision.instants import listed

COST = StepCost(a_s=0.010, b_s=0.0001, c_s=0.00002)
"""A request of 1,000 prompt and 100 output tokens is 0.03 s of work and runs for 1.03 s alone."""


def counted(at_s, finished, *, running=0.0, waiting=0.0, name="llm-0", **more):
    """Return a sample of one replica whose requests have 1,000 prompt and 100 output tokens."""
    counters = {
        "requests_finished_total": float(finished),
        "prompt_tokens_total": 1_000.0 * finished,
        "generation_tokens_total": 100.0 * finished,
    }
    one = replica(name, running=running, waiting=waiting, **{**counters, **more})
    return sample_of(one, at_s=float(at_s))


def steady(per_s=2, buckets=4, **more):
    return [counted(5 * k, 5 * per_s * k, **more) for k in range(buckets)]


def safe_at(requests):
    return SafeConcurrency(bounds=(Bound(limit=Limit.KV, requests=requests, detail=""),))


def learned(samples=None, safe=None, **policy):
    seen = window(*(samples or steady()))
    return work.learn(seen.earlier, inference(**{"step_cost": COST, **policy}), safe)


def test_the_mean_request_is_tokens_over_completions():
    assert work.mean_request(Columns.of(steady())) == Mix(prompt_tokens=1_000, output_tokens=100)


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param([counted(0, 0), counted(5, 0)], id="nothing finished"),
        pytest.param(
            [counted(5 * k, k, prompt_tokens_total=None) for k in (0, 1)], id="no prompt tokens"
        ),
        pytest.param(
            [counted(5 * k, k, generation_tokens_total=None) for k in (0, 1)], id="no output tokens"
        ),
        pytest.param([counted(0, 10)], id="one sample is no bucket"),
    ],
)
def test_without_a_mean_request_there_is_no_law(samples):
    assert work.mean_request(Columns.of(samples)) is None
    assert learned([*samples, counted(10, 20)]) is None


def test_a_request_is_its_tokens_at_the_margin():
    law = learned()

    assert law.request_s == pytest.approx(1_000 * 0.00002 + 100 * 0.0001)
    assert law.service_s == pytest.approx((100 * 0.010 + 0.03) / (1 - 0.95))


def test_the_newest_sample_teaches_nothing():
    odd = counted(20, 60, prompt_tokens_total=9e9)

    assert learned([*steady(), odd]) == learned()


@pytest.mark.parametrize(
    ("policy", "safe", "rho", "why"),
    [
        pytest.param({}, None, 0.95, "0.95 at most", id="the law's own limit"),
        pytest.param(
            {"itl_target": LatencyTarget(seconds=0.0412)},
            None,
            0.75,
            "inter-token latency 41.2 ms",
            id="1 − (a + w/O) / target",
        ),
        pytest.param(
            {"itl_target": LatencyTarget(seconds=0.005)},
            None,
            0.01,
            "inter-token latency 5 ms",
            id="a target under one step leaves next to nothing",
        ),
        pytest.param(
            {}, safe_at(100), 3 / (1.03 + 3), "100 requests at once", id="n·w / (O·a + w + n·w)"
        ),
        pytest.param(
            {"itl_target": LatencyTarget(seconds=0.0206)},
            safe_at(100),
            0.5,
            "inter-token latency 20.6 ms",
            id="the least",
        ),
        pytest.param({}, safe_at(10_000), 0.95, "0.95 at most", id="a loose one does not bind"),
    ],
)
def test_the_safe_rho_is_the_least_of_three(policy, safe, rho, why):
    law = learned(safe=safe, **policy)

    assert law.safe_rho == pytest.approx(rho)
    assert law.why == why


def test_requests_that_generate_nothing_have_no_inter_token_latency_to_keep():
    embedded = [
        counted(one.at_s, 2 * one.at_s, generation_tokens_total=0.0) for one in steady(buckets=6)
    ]

    law = learned(embedded, itl_target=LatencyTarget(seconds=0.001))

    assert law.safe_rho == 0.95


def full(buckets=5, *, finished_per_s=3):
    """Return a replica with a queue: it completes three a second whatever comes."""
    return steady(finished_per_s, buckets, running=20.0, waiting=9.0)


def test_without_costs_a_replica_with_a_queue_shows_what_it_can_do():
    law = learned(full(), step_cost=None)

    assert law.request_s == pytest.approx(1 / 3)
    assert law.safe_rho == 0.95
    assert law.service_s == pytest.approx(20 / 3)  # Little: 20 run, three a second finish
    assert law.why == "a replica with a queue completes 3 a second"


def test_where_it_is_not_known_what_runs_a_request_runs_as_long_as_one_alone():
    law = learned(steady(3, 5, waiting=9.0), step_cost=None)

    assert (law.request_s, law.service_s) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_without_costs_and_without_a_queue_there_is_no_law_yet():
    assert learned(step_cost=None) is None


LAW = work.Work(request_s=0.03, service_s=4.0, safe_rho=0.6, why="")


def loads(*samples, **policy):
    found = work.loads(Columns.of(samples), LAW, inference(**policy)).tolist()
    return tuple(None if math.isnan(load) else load for load in found)


ONE_BURST = [counted(5 * k, 10 * k + (200 if k >= 6 else 0)) for k in range(12)]
"""Two a second, and two hundred more within the five seconds before the seventh sample."""


def over(seconds, *samples):
    return work.loads(Columns.of(samples), LAW, inference(), over_s=seconds)


def test_steady_arrivals_are_as_many_over_any_span():
    for seconds in (1.0, 12.0, 40.0):
        assert over(seconds, *steady(2, 12))[1:].tolist() == pytest.approx([2 * 0.03 / 0.6] * 11)


@pytest.mark.parametrize(
    ("seconds", "per_s"),
    [
        pytest.param(0.0, 42, id="by the bucket"),
        pytest.param(2.0, 42, id="requests shorter than a bucket"),
        pytest.param(25.0, 10, id="over five buckets it is a fifth"),
        pytest.param(600.0, 2 + 200 / 30, id="over no more than is known"),
    ],
)
def test_a_burst_of_long_requests_is_spread_over_the_time_that_they_run(seconds, per_s):
    assert over(seconds, *ONE_BURST)[6] == pytest.approx(per_s * 0.03 / 0.6)


def test_where_a_past_begins_changes_no_bit_of_what_came_within_a_span():
    whole, part = over(20.0, *ONE_BURST), over(20.0, *ONE_BURST[3:])
    assert whole[-4:].tolist() == part[-4:].tolist()


def test_arrivals_that_are_not_known_are_not_made_up_from_those_before():
    silent = counted(60, 120, requests_finished_total=None)
    after = counted(65, 130)
    found = over(20.0, *steady(2, 12), silent, after)
    assert np.isnan(found[-2:]).all()
    assert np.isfinite(found[1:-2]).all()


def test_load_is_linear_in_the_arrival_rate():
    for per_s in (2, 4, 8):
        assert loads(*steady(per_s)) == (None, *[pytest.approx(per_s * 0.03 / 0.6)] * 3)


@pytest.mark.parametrize(
    ("drain_s", "load"),
    [
        pytest.param(30.0, (2 + 60 / 30) * 0.03 / 0.6, id="a backlog drains in the stated time"),
        pytest.param(0.0, (2 + 60 / 4) * 0.03 / 0.6, id="or in one service time"),
    ],
)
def test_a_backlog_asks_for_what_drains_it(drain_s, load):
    waiting = steady(2, waiting=60.0)

    assert loads(*waiting, backlog_drain_s=drain_s)[-1] == pytest.approx(load)


@pytest.mark.parametrize(
    ("newest", "load"),
    [
        pytest.param(counted(20, 40, requests_finished_total=None), None, id="not counted"),
        pytest.param(Sample(at_s=20, ready_replicas=1), None, id="silent"),
        pytest.param(
            sample_of(counted(20, 40).replicas[0], at_s=20, ready_replicas=3),
            None,
            id="two of three are silent",
        ),
        pytest.param(Sample(at_s=20, spec_replicas=0), 0.0, id="known to be at zero"),
        pytest.param(
            Sample(at_s=20, spec_replicas=0, gateway_waiting=6.0),
            6 / 30 * 0.03 / 0.6,
            id="at zero, and some wait",
        ),
        pytest.param(counted(20, 30, running=0.0), 0.0, id="requests that vanish are no arrivals"),
    ],
)
def test_the_load_of_the_newest_instant(newest, load):
    earlier = [counted(5 * k, 10 * k, running=50.0) for k in range(4)]

    assert loads(*earlier, newest)[-1] == (None if load is None else pytest.approx(load))


def test_what_runs_in_a_silent_replica_is_no_backlog():
    def at(at_s, *answering):
        return sample_of(*answering, at_s=at_s, ready_replicas=2, gateway_in_flight=20.0)

    both = [
        replica(f"llm-{n}", running=10.0, requests_finished_total=5.0, prompt_tokens_total=1.0)
        for n in (0, 1)
    ]

    assert loads(at(0, *both), at(5, *both), at(10, *both[:1])) == (None, 0.0, 0.0)


@pytest.mark.parametrize(
    ("before", "after", "came"),
    [
        pytest.param({}, {}, 10, id="what finished"),
        pytest.param({"running": 3}, {"running": 8}, 15, id="and what runs now beside it"),
        pytest.param({}, {"running": 5}, 15, id="where nothing ran before"),
        pytest.param({}, {"waiting": 4}, 14, id="and nothing waited"),
        pytest.param({"waiting": 8}, {"waiting": 3}, 5, id="less what waited before"),
        pytest.param({"waiting": None}, {"waiting": 4}, 14, id="an unknown queue is none"),
        pytest.param({"running": None}, {"running": 4}, 14, id="which reading was missing is none"),
        pytest.param({"name": "llm-9"}, {}, None, id="a replica without a past"),
        pytest.param({"requests_finished_total": None}, {}, None, id="not counted before"),
    ],
)
def test_arrivals_are_what_came_in(before, after, came):
    assert came_in(counted(0, 10, **before), counted(5, 20, **after)) == came


def test_a_replica_that_is_new_brings_nothing_in():
    old, new = counted(0, 10).replicas[0], replica("llm-1", running=7, waiting=3)
    later = counted(5, 20).replicas[0]

    assert came_in(sample_of(old), sample_of(later, new, at_s=5)) == 10
    assert came_in(sample_of(old, new), sample_of(later, at_s=5)) == 10


@pytest.mark.parametrize(
    ("before", "after", "came"),
    [
        pytest.param(
            {"gateway_waiting": 2.0}, {"gateway_waiting": 7.0}, 15, id="held at a gateway"
        ),
        pytest.param({"arrivals_total": 3.0}, {"arrivals_total": 24.0}, 21, id="counted there"),
        pytest.param({"arrivals_total": 3.0}, {}, 10, id="a count that is not there any more"),
        pytest.param(
            {"gateway_in_flight": 9.0, "ready_replicas": 2},
            {"gateway_in_flight": 9.0},
            10,
            id="what was held before is not known: it has not come since",
        ),
        pytest.param(
            {"gateway_in_flight": 2.0},
            {"gateway_in_flight": 9.0, "ready_replicas": 2},
            10,
            id="what is held now is not known",
        ),
    ],
)
def test_arrivals_with_a_gateway(before, after, came):
    earlier = sample_of(*counted(0, 10).replicas, **before)
    later = sample_of(*counted(5, 20).replicas, at_s=5, **after)

    assert came_in(earlier, later) == came


def series(samples, fill=Fill.EMPTY, **policy):
    seen = window(*samples)
    (one,) = read(
        seen, inference(metrics=(SignalName.WORK,), **{"step_cost": COST, **policy}), fill
    )
    return one


def test_the_signal_runs_at_the_target_utilisation_and_says_what_a_request_costs():
    one = series(steady(10), max_concurrency=None)

    assert one.latest == pytest.approx(10 * 0.03 / 0.95)
    assert one.target == 0.7
    assert one.detail == "30.0 ms of a replica per request, safe at 0.95 (0.95 at most)"


def test_a_silent_replica_counts_as_empty_or_full():
    partly = [sample_of(*one.replicas, at_s=one.at_s, ready_replicas=2) for one in steady(10)]

    assert series(partly, Fill.FULL).latest == pytest.approx(series(partly).latest + 1)


def test_the_signal_does_not_apply_before_there_is_a_law():
    one = series(steady(), step_cost=None)

    assert listed(one.loads) == (None,) * 4
    assert one.abstention is not None
    assert not one.abstention.missing


def running(rate):
    """Return how many requests run at a rate: N = λ·O·a / (1 − ρ)."""
    return rate * 100 * COST.a_s / (1 - rate * 0.03)


def obeying(rates):
    """Return a window of one replica to which requests came at these rates, bucket by bucket."""
    finished = steps = 0.0
    samples = []
    for number, rate in enumerate(rates):
        samples.append(counted(5 * number, finished, running=running(rate), steps_total=steps))
        finished += rate * 5
        # Every step yields a token to each running request: steps = tokens / N.
        steps += rate * 5 * 100 / running(rate)
    return samples


RISING = [4 + 20 * k / 60 for k in range(60)]


def test_what_a_request_costs_is_learned_from_the_counters():
    law = learned(obeying(RISING), step_cost=None)

    assert law.request_s == pytest.approx(0.03, rel=0.05)


def test_the_law_of_the_window_is_the_law():
    # The builder itself: tokens add up to steps of N, and buckets to a·S + b·G + c·P.
    for before, after in itertools.pairwise(obeying(RISING)):
        one, two = before.replicas[0], after.replicas[0]
        spent = sum(
            cost * ((getattr(two, name) or 0) - (getattr(one, name) or 0))
            for cost, name in (
                (COST.a_s, "steps_total"),
                (COST.b_s, "generation_tokens_total"),
                (COST.c_s, "prompt_tokens_total"),
            )
        )
        assert spent == pytest.approx(5.0)
