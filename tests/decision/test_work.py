"""The utilisation law, on windows that obey it."""

import itertools

import pytest

from scaler.decision import work
from scaler.decision.concurrency import safe_concurrency
from scaler.decision.policy import SignalName, StepCost
from scaler.decision.sample import Sample
from tests.builders import inference, replica, window

COST = StepCost(a_s=0.0075, b_s=44e-6, c_s=25e-6)
PROMPT, OUTPUT = 1000.0, 200.0
REQUEST_S = PROMPT * COST.c_s + OUTPUT * COST.b_s
"""33.8 ms of a replica."""


def running(rate):
    """Return how many requests run at a rate: N = λ·O·a / (1 − ρ)."""
    return rate * OUTPUT * COST.a_s / (1 - rate * REQUEST_S)


def obeying(rates, *, bucket_s=5.0, **more):
    """Return a window of one replica to which requests came at these rates, bucket by bucket."""
    finished = steps = 0.0
    samples = []
    for number, rate in enumerate(rates):
        samples.append(
            Sample(
                at_s=bucket_s * number,
                ready_replicas=1,
                spec_replicas=1,
                replicas=(
                    replica(
                        running=running(rate),
                        steps_total=steps,
                        requests_finished_total=finished,
                        prompt_tokens_total=finished * PROMPT,
                        generation_tokens_total=finished * OUTPUT,
                    ),
                ),
                **more,
            )
        )
        finished += rate * bucket_s
        # Every step yields a token to each running request: steps = tokens / N.
        steps += rate * bucket_s * OUTPUT / running(rate)
    return window(*samples)


RISING = [2 + 20 * k / 60 for k in range(60)]


def learned(**policy):
    seen, chosen = obeying(RISING), inference(**{"max_concurrency": None, **policy})
    found = work.learn(seen, chosen, safe_concurrency(seen, chosen))
    assert found is not None
    return found


def test_what_a_request_costs_is_learned_from_the_counters():
    assert learned().request_s == pytest.approx(REQUEST_S, rel=0.05)


def test_stated_costs_are_taken_as_they_are():
    stated = learned(step_cost=COST)

    assert stated.request_s == pytest.approx(REQUEST_S)
    assert stated.service_s == pytest.approx(OUTPUT * COST.a_s / 0.05)


@pytest.mark.parametrize(
    ("policy", "rho", "why"),
    [
        pytest.param({}, 0.95, "0.95 at most", id="the law's own limit"),
        pytest.param({"itl_target_s": 0.03}, 0.75, "30 ms", id="a step of a / (1 − rho) in time"),
        pytest.param({"itl_target_s": 0.001}, 0.01, "1 ms", id="never to be had: next to nothing"),
        pytest.param(
            {"max_concurrency": 50},
            50 * REQUEST_S / (OUTPUT * COST.a_s + 50 * REQUEST_S),
            "50 requests",
            id="the safe concurrency",
        ),
    ],
)
def test_the_safe_rho_is_the_least_of_its_limits(policy, rho, why):
    found = learned(step_cost=COST, **policy)

    assert found.safe_rho == pytest.approx(rho)
    assert why in found.why


def test_load_is_linear_in_the_arrival_rate():
    policy = inference(max_concurrency=None, step_cost=COST, metrics=(SignalName.WORK,))
    loads = []
    for rate in (5.0, 10.0, 20.0):
        seen = obeying([rate] * 20)
        found = work.learn(seen, policy, None)
        assert found is not None
        loads.append(work.loads(seen.samples, found, policy)[-1])

    assert loads == [pytest.approx(rate * REQUEST_S / 0.95) for rate in (5, 10, 20)]


def test_a_backlog_asks_for_what_drains_it_in_time():
    policy = inference(max_concurrency=None, step_cost=COST, backlog_drain_s=10)
    seen = obeying([5.0] * 20, gateway_waiting=40.0)
    found = work.learn(seen, policy, None)
    assert found is not None

    load = work.loads(seen.samples, found, policy)[-1]

    assert load == pytest.approx((5 + 40 / 10) * REQUEST_S / 0.95)


def test_what_nobody_finished_says_nothing():
    assert work.learn(window(*obeying([5.0] * 2).samples[:1]), inference(), None) is None


def test_arrivals_show_before_the_first_completion():
    before = Sample(at_s=0, replicas=(replica(running=2, requests_finished_total=10.0),))
    after = Sample(at_s=5, replicas=(replica(running=9, waiting=3, requests_finished_total=11.0),))

    assert work.arrivals(before, after) == 11
    # A replica that went took its requests with it; what is left is counted over both.
    gone = Sample(at_s=5, replicas=(replica("other", running=1, requests_finished_total=0.0),))
    assert work.arrivals(before, gone) is None


def test_what_the_gateway_counts_is_what_came():
    counted = [Sample(at_s=5.0 * k, arrivals_total=7.0 * k) for k in range(2)]

    assert work.arrivals(*counted) == 7


def test_unknown_arrivals_are_no_load():
    policy = inference(max_concurrency=None, step_cost=COST)
    seen = obeying([5.0] * 20)
    found = work.learn(seen, policy, None)
    assert found is not None
    mute = Sample(at_s=seen.now_s + 5, ready_replicas=1)

    assert work.loads((*seen.samples, mute), found, policy)[-1] is None


def test_at_zero_nothing_came():
    policy = inference(max_concurrency=None, step_cost=COST)
    found = learned(step_cost=COST)
    zero = [Sample(at_s=5.0 * k, spec_replicas=0, ready_replicas=0) for k in range(3)]

    assert work.loads(zero, found, policy) == (None, 0.0, 0.0)


def test_the_law_of_the_window_is_the_law():
    # The builder itself: tokens add up to steps of N, and buckets to a·S + b·G + c·P.
    for before, after in itertools.pairwise(obeying(RISING).samples):
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
