"""The fit of a step's cost, on buckets made by the law itself."""

import dataclasses
import random

import pytest

from scaler.decision.policy import StepCost
from scaler.decision.sample import Sample
from scaler.decision.steps import BusyBucket, Mix, busy_buckets, fit
from tests.builders import replica

TRUE = StepCost(a_s=0.0075, b_s=44e-6, c_s=25e-6)
"""An 8B model on an H100, as a trial of policies assumed it."""
CHAT = Mix(prompt_tokens=1155, output_tokens=211)
CODE = Mix(prompt_tokens=2048, output_tokens=28)


def bucket(concurrency, mix, *, seconds=5.0, cost=TRUE):
    """Return what one replica does with a steady number of requests of one mix."""
    prompt_per_step = concurrency / mix.output_tokens * mix.prompt_tokens
    step_s = cost.a_s + cost.b_s * concurrency + cost.c_s * prompt_per_step
    steps = seconds / step_s
    return BusyBucket(
        seconds=seconds,
        steps=steps,
        generated=steps * concurrency,
        prompt=steps * prompt_per_step,
    )


def noisy(bucket, rng, share=0.03):
    return dataclasses.replace(bucket, seconds=bucket.seconds * rng.gauss(1, share))


def test_mixed_traffic_tells_all_three_costs():
    rng = random.Random(1)
    buckets = [
        noisy(bucket(rng.uniform(5, 150), mix), rng) for mix in (CHAT, CODE) for _ in range(60)
    ]

    cost = fit(buckets, CHAT)

    assert cost is not None
    assert cost.a_s == pytest.approx(TRUE.a_s, rel=0.1)
    assert cost.b_s == pytest.approx(TRUE.b_s, rel=0.25)
    assert cost.c_s == pytest.approx(TRUE.c_s, rel=0.1)


@pytest.mark.parametrize("mix", [CHAT, CODE], ids=["chat", "code"])
def test_one_mix_still_tells_what_a_request_costs(mix):
    rng = random.Random(2)
    buckets = [noisy(bucket(rng.uniform(5, 100), mix), rng, 0.02) for _ in range(80)]

    cost = fit(buckets, mix)

    assert cost is not None
    assert mix.work_s(cost) == pytest.approx(mix.work_s(TRUE), rel=0.1)
    assert cost.a_s == pytest.approx(TRUE.a_s, rel=0.1)


def test_a_few_stalled_buckets_do_not_move_the_fit():
    rng = random.Random(3)
    buckets = [noisy(bucket(rng.uniform(5, 100), CHAT), rng, 0.02) for _ in range(80)]
    stalled = [dataclasses.replace(one, seconds=one.seconds * 8) for one in buckets[:8]]

    cost = fit([*buckets[8:], *stalled], CHAT)

    assert cost is not None
    assert CHAT.work_s(cost) == pytest.approx(CHAT.work_s(TRUE), rel=0.1)


def test_without_spread_it_abstains():
    rng = random.Random(4)

    assert fit([noisy(bucket(50, CHAT), rng) for _ in range(60)], CHAT) is None


def test_with_few_buckets_it_abstains():
    assert fit([bucket(n, CHAT) for n in range(5, 12)], CHAT) is None


def test_requests_without_output_are_nothing_to_fit_a_line_on():
    pooled = [bucket(n, CHAT) for n in range(5, 40)]

    assert fit(pooled, dataclasses.replace(CHAT, output_tokens=0)) is None


def counted(at_s, running, steps, generated=0.0, prompt=0.0):
    counters = {
        "steps_total": steps,
        "generation_tokens_total": generated,
        "prompt_tokens_total": prompt,
    }
    return Sample(at_s=at_s, replicas=(replica(running=running, **counters),))


@pytest.mark.parametrize(
    ("samples", "count"),
    [
        pytest.param([(0, 4, 0), (5, 4, 10)], 1, id="busy at both ends"),
        pytest.param([(0, 0, 0), (5, 4, 10)], 0, id="idle at the start"),
        pytest.param([(0, 4, 0), (5, 1, 10)], 0, id="one request may leave gaps"),
        pytest.param([(0, 4, 10), (5, 4, 10)], 0, id="no step: a frozen engine"),
        pytest.param([(0, 4, 90), (5, 4, 10)], 0, id="restarted in between"),
    ],
)
def test_which_buckets_are_busy(samples, count):
    assert len(busy_buckets([counted(*one) for one in samples])) == count
