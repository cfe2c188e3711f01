import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.concurrency.result import Bound, Limit
from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.concurrency.evidence import Reach
from scaler.decision.concurrency.live import safe_concurrency
from scaler.decision.concurrency.slo import slo_bounds as bounds_within
from scaler.decision.policy import InferencePolicy
from scaler.decision.sample import Sample
from tests.builders import inference, replica, sample_of, window

TOKENS = 400.0
"""Tokens that a replica makes between two samples."""


def served(
    loads: list[float],
    *,
    base_s: float = 0.010,
    per_request_s: float = 0.0004,
    waiting: float = 0.0,
) -> tuple[Sample, ...]:
    """Return what one replica reports at these loads, its latencies a line over the load."""
    itl_s = ttft_s = tokens = firsts = 0.0
    samples = []
    for at, (before, load) in enumerate(itertools.pairwise([loads[0], *loads])):
        between = (before + load) / 2
        itl_s += TOKENS * (base_s + per_request_s * between)
        ttft_s += 10 * (base_s + per_request_s * (between + waiting))
        tokens, firsts = tokens + TOKENS, firsts + 10
        reading: dict[str, Any] = {"itl_sum_s": itl_s, "itl_count": tokens}
        reading |= {"ttft_sum_s": ttft_s, "ttft_count": firsts}
        samples.append(
            sample_of(replica(running=load, waiting=waiting, **reading), at_s=1000 + 5 * at)
        )
    return tuple(samples)


def slo_bounds(samples: Sequence[Sample], policy: InferencePolicy) -> tuple[Bound, ...]:
    """Return the bounds by every reading; the newest sample, which says nothing, is not read."""
    newest = dataclasses.replace(samples[-1], at_s=samples[-1].at_s + 5)
    return bounds_within(window(*samples, newest), policy, Reach(interval_s=5, samples=0))


WAVES = [20.0 + 20 * (at % 6) for at in range(60)]
"""Loads from twenty to a hundred and twenty requests."""


def only(*, itl_s: float | None = None, ttft_s: float | None = None) -> InferencePolicy:
    itl, ttft = (None if s is None else LatencyTarget(seconds=s) for s in (itl_s, ttft_s))
    return inference(max_concurrency=None, itl_target=itl, ttft_target=ttft)


@pytest.mark.parametrize(
    ("target_s", "requests"),
    [
        pytest.param(0.030, 50, id="within what was seen"),
        pytest.param(0.080, 175, id="a little above what was seen"),
        pytest.param(0.014, 10, id="below what was seen"),
        pytest.param(0.008, 1, id="never met: one request still runs"),
    ],
)
def test_the_line_says_where_inter_token_latency_reaches_its_target(target_s, requests):
    (bound,) = slo_bounds(served(WAVES), only(itl_s=target_s))

    assert bound.limit is Limit.SLO
    assert bound.requests == pytest.approx(requests, abs=1)


def test_a_line_that_hardly_rises_never_meets_a_target_below_it():
    (bound,) = slo_bounds(served(WAVES, per_request_s=1e-12), only(itl_s=0.005))

    assert bound.requests == 1


def test_the_sentence_tells_the_line():
    (bound,) = slo_bounds(served(WAVES), only(itl_s=0.030))

    assert bound.detail == (
        "inter-token latency was 22 ms at 30 requests and 54 ms at 110; it reaches 30 ms at 50"
    )


def test_time_to_first_token_counts_who_waits():
    bounds = slo_bounds(served(WAVES, waiting=30), only(ttft_s=0.042))

    assert [bound.requests for bound in bounds] == [pytest.approx(80, abs=1)]
    assert bounds[0].detail.startswith("time to first token was")


def test_both_targets_are_two_limits():
    bounds = slo_bounds(served(WAVES), only(itl_s=0.030, ttft_s=0.030))

    assert [bound.limit for bound in bounds] == [Limit.SLO, Limit.SLO]


@pytest.mark.parametrize(
    ("samples", "target_s"),
    [
        pytest.param(served([80.0] * 60), 0.03, id="no spread in load"),
        pytest.param(served(WAVES, per_request_s=0.0), 0.03, id="no rise with load"),
        pytest.param(served(WAVES, per_request_s=-0.0001), 0.03, id="falls with load"),
        pytest.param(served(WAVES), 0.5, id="the target is far above what was seen"),
        pytest.param(served(WAVES[:10]), 0.03, id="too few readings"),
        pytest.param(
            tuple(sample_of(replica(running=load), at_s=at) for at, load in enumerate(WAVES)),
            0.03,
            id="latency is not reported",
        ),
        pytest.param(
            tuple(
                sample_of(replica(running=None, itl_sum_s=1.0 * at, itl_count=5.0 * at), at_s=at)
                for at in range(60)
            ),
            0.03,
            id="running is not reported",
        ),
        pytest.param(
            tuple(
                sample_of(replica(f"llm-{at}", running=load, itl_sum_s=1.0, itl_count=5.0), at_s=at)
                for at, load in enumerate(WAVES)
            ),
            0.03,
            id="no replica is seen twice",
        ),
    ],
)
def test_too_little_evidence_is_no_limit(samples, target_s):
    assert slo_bounds(samples, only(itl_s=target_s)) == ()


def test_waiting_that_is_not_reported_is_no_time_to_first_token():
    samples = served(WAVES)
    unreported = tuple(
        sample_of(
            *(
                replica(
                    running=r.requests_running,
                    waiting=None,
                    ttft_sum_s=r.ttft_sum_s,
                    ttft_count=r.ttft_count,
                )
                for r in sample.replicas
            ),
            at_s=sample.at_s,
        )
        for sample in samples
    )

    assert slo_bounds(unreported, only(ttft_s=0.03)) == ()


def test_no_target_is_no_limit():
    assert slo_bounds(served(WAVES), only()) == ()


def test_the_newest_sample_is_not_learned_from():
    calm = served(WAVES)
    surge = (*calm[:-1], served([*WAVES[:-1], 5000.0])[-1])
    policy = only(itl_s=0.030)

    assert safe_concurrency(window(*surge), policy) == safe_concurrency(window(*calm), policy)


@given(st.floats(0.012, 0.1), st.floats(0.012, 0.1))
def test_a_tighter_target_never_allows_more(one_s, other_s):
    tight, loose = (
        slo_bounds(served(WAVES), only(itl_s=target_s)) for target_s in sorted((one_s, other_s))
    )

    assert tight[0].requests <= loose[0].requests


@given(st.floats(0.0001, 0.001), st.floats(0.0001, 0.001))
def test_an_engine_that_slows_down_faster_is_never_allowed_more(one_s, other_s):
    mild, steep = (
        slo_bounds(served(WAVES, per_request_s=slope_s), only(itl_s=0.04))
        for slope_s in sorted((one_s, other_s))
    )

    assert not mild or steep[0].requests <= mild[0].requests
