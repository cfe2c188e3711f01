"""The fit of a step's cost, on buckets made by the law itself."""

import dataclasses
import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from scaler.decision.policy import StepCost
from scaler.decision.sample import Sample
from scaler.decision.steps import LARGEST_ERROR, Busy, Mix
from scaler.decision.steps import fit as fit_columns
from tests.builders import replica, sample_of
from tests.decision.instants import busy


class BusyBucket(NamedTuple):
    """What busy replicas did in one bucket."""

    seconds: float
    steps: float
    generated: float
    prompt: float


def fit(buckets: Sequence[BusyBucket], mix: Mix) -> StepCost | None:
    return fit_columns(Busy(*np.array(buckets).reshape(-1, 4).T), mix)


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
    return bucket._replace(seconds=bucket.seconds * rng.gauss(1, share))


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
    stalled = [one._replace(seconds=one.seconds * 8) for one in buckets[:8]]

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
    assert len(busy([counted(*one) for one in samples])) == count


@pytest.mark.parametrize(
    ("before", "after", "done"),
    [
        pytest.param(
            [(2, 1.0, 10.0, 100.0)], [(2, 4.0, 16.0, 150.0)], (5, 3, 6, 50), id="two are busy"
        ),
        pytest.param(
            [(2, 1.0, 10.0, 100.0), (9, 5.0, 50.0, 500.0)],
            [(2, 4.0, 16.0, 150.0), (9, 6.0, 58.0, 501.0)],
            (10, 4, 14, 51),
            id="replicas add up, their time too",
        ),
        pytest.param(
            [(9, 1.0, 10.0, 100.0), (1, 5.0, 50.0, 500.0)],
            [(9, 4.0, 16.0, 150.0), (9, 6.0, 58.0, 501.0)],
            (5, 3, 6, 50),
            id="the idle one is left out",
        ),
        pytest.param(
            [(9, 1.0, 10.0, 100.0)],
            [(9, 4.0, 16.0, 150.0), (9, 6.0, 58.0, 501.0)],
            (5, 3, 6, 50),
            id="so is one without a past",
        ),
        pytest.param([(None, 1.0, 10.0, 9.0)], [(9, 4.0, 16.0, 9.0)], None, id="unknown before"),
        pytest.param([(9, 1.0, 10.0, 9.0)], [(None, 4.0, 16.0, 9.0)], None, id="unknown after"),
        pytest.param([(9, None, 10.0, 9.0)], [(9, 4.0, 16.0, 9.0)], None, id="steps not counted"),
        pytest.param([(9, 1.0, None, 9.0)], [(9, 4.0, 16.0, 9.0)], None, id="nor tokens out"),
        pytest.param([(9, 1.0, 10.0, 9.0)], [(9, 4.0, 16.0, None)], None, id="nor prompt tokens"),
        pytest.param(
            [(9, 1.0, 10.0, 9.0)], [(9, 4.0, 16.0, 3.0)], None, id="one counter was reset"
        ),
        pytest.param(
            [(9, 1.0, 10.0, 9.0)], [(9, 4.0, 10.0, 9.0)], (5, 3, 0, 0), id="steps without tokens"
        ),
    ],
)
def test_what_a_bucket_adds_up_to(before, after, done):
    def at(at_s, rows):
        return sample_of(
            *(
                replica(
                    f"llm-{n}",
                    running=running,
                    steps_total=steps,
                    generation_tokens_total=generated,
                    prompt_tokens_total=prompt,
                )
                for n, (running, steps, generated, prompt) in enumerate(rows)
            ),
            at_s=at_s,
        )

    expected = [] if done is None else [done]

    assert busy([at(10, before), at(15, after)]) == expected


def mixed(count, *, rng=None, share=0.0, least=5, most=150):
    """Return buckets of both mixes in turn, from least to most requests, noisy by a share."""
    buckets = [
        bucket(least + (most - least) * (k // 2) / (count // 2), (CHAT, CODE)[k % 2])
        for k in range(count)
    ]
    return buckets if rng is None else [noisy(one, rng, share) for one in buckets]


def test_without_noise_the_fit_is_exact():
    cost = fit(mixed(40), CHAT)

    assert cost is not None
    assert cost.a_s == pytest.approx(TRUE.a_s, rel=1e-6)
    assert cost.b_s == pytest.approx(TRUE.b_s, rel=1e-6)
    assert cost.c_s == pytest.approx(TRUE.c_s, rel=1e-6)


def test_eight_buckets_are_enough_and_seven_are_not():
    assert fit(mixed(8), CHAT) is not None
    assert fit(mixed(8)[:7], CHAT) is None


def test_of_one_mix_the_work_is_shared_evenly():
    cost = fit([bucket(n, CHAT) for n in range(5, 45)], CHAT)

    assert cost is not None
    assert cost.a_s == pytest.approx(TRUE.a_s, rel=1e-6)
    assert CHAT.work_s(cost) == pytest.approx(CHAT.work_s(TRUE), rel=1e-6)
    assert cost.b_s * CHAT.output_tokens == pytest.approx(cost.c_s * CHAT.prompt_tokens)


def test_a_mix_of_one_token_is_a_mix():
    scores = Mix(prompt_tokens=400, output_tokens=1)

    cost = fit([bucket(n, scores) for n in range(1, 40)], scores)

    assert cost is not None
    assert scores.work_s(cost) == pytest.approx(scores.work_s(TRUE), rel=1e-6)


def test_a_mix_of_outputs_alone_is_nothing_to_share_work_with():
    pooled = [bucket(n, CHAT) for n in range(5, 40)]

    assert fit(pooled, dataclasses.replace(CHAT, prompt_tokens=0)) is None


def test_steps_that_cost_less_the_more_they_do_are_no_law():
    odd = dataclasses.replace(TRUE, a_s=0.05)
    backwards = [
        one._replace(seconds=2 * 0.05 * one.steps - one.seconds)
        for one in (bucket(n, CHAT, cost=odd) for n in range(5, 45))
    ]

    assert fit(backwards, CHAT) is None


def test_tokens_that_never_came_tell_no_cost():
    silent = [bucket(n, CHAT)._replace(generated=0.0, prompt=0.0) for n in range(40)]

    assert fit(silent, CHAT) is None


def mean_mix(buckets):
    """Return the mean request of buckets of both mixes in turn, as the counters would show it."""
    requests = sum(
        one.generated / (CHAT, CODE)[k % 2].output_tokens for k, one in enumerate(buckets)
    )
    return Mix(
        prompt_tokens=sum(one.prompt for one in buckets) / requests,
        output_tokens=sum(one.generated for one in buckets) / requests,
    )


@pytest.mark.parametrize(
    ("share", "least", "most"),
    [
        pytest.param(0.02, 90, 100, id="little noise: nearly always"),
        pytest.param(0.1, 1, 10, id="some: now and then"),
        pytest.param(0.3, 0, 1, id="much: as good as never"),
    ],
)
def test_it_tells_when_it_can_and_is_then_near_the_truth(share, least, most):
    told = 0
    for seed in range(100):
        buckets = mixed(24, rng=random.Random(seed), share=share, most=60)
        mix = mean_mix(buckets)
        cost = fit(buckets, mix)
        if cost is not None:
            told += 1
            assert cost.a_s == pytest.approx(TRUE.a_s, rel=2 * LARGEST_ERROR)
            assert mix.work_s(cost) == pytest.approx(mix.work_s(TRUE), rel=2 * LARGEST_ERROR)

    assert least <= told <= most


def test_a_bucket_counts_by_its_steps():
    # Two long buckets tell the truth, sixteen short ones are off by a third each.
    long = [bucket(n, mix, seconds=5_000.0) for n in range(10, 160, 10) for mix in (CHAT, CODE)]
    short = [bucket(n, CHAT, seconds=0.5)._replace(seconds=0.65) for n in range(10, 35)]

    cost = fit([*long, *short], CHAT)

    assert cost is not None
    assert cost.a_s == pytest.approx(TRUE.a_s, rel=0.01)


def measured(at_s, running, *, steps, itl_sum_s, itl_count):
    counters = {
        "steps_total": steps,
        "generation_tokens_total": itl_count,
        "prompt_tokens_total": 0.0,
        "itl_sum_s": itl_sum_s,
        "itl_count": itl_count,
    }
    return Sample(at_s=at_s, replicas=(replica(running=running, **counters),))


@pytest.mark.parametrize(
    ("running", "itl_s", "count"),
    [
        pytest.param(1, 0.05, 1, id="one request without gaps: tokens account for all the time"),
        pytest.param(3, 0.02, 0, id="three at both ends, and idle for most of the time between"),
        pytest.param(0, 0.05, 0, id="nothing runs at the ends"),
        pytest.param(None, 0.05, 0, id="whether anything runs is not told"),
    ],
)
def test_inter_token_latency_tells_whether_a_bucket_was_idle_in_part(running, itl_s, count):
    """A hundred steps in five seconds: 50 ms each, were there no idle time."""
    before = measured(0, running, steps=0, itl_sum_s=0.0, itl_count=0)
    after = measured(5, running, steps=100, itl_sum_s=300 * itl_s, itl_count=300)

    assert len(busy([before, after])) == count
