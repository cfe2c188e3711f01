"""A percentile of inter-token latency, from histograms whose every latency the test knows."""

import bisect
import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.histogram import Histogram
from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.concurrency.evidence import Reach
from scaler.decision.concurrency.slo import slo_bounds
from scaler.decision.concurrency.tail import means_instead, quantile_of
from scaler.decision.decide import decide
from tests.builders import inference, replica, sample_of, window

UPPER = tuple(0.005 * step for step in range(1, 41))
"""Bounds every five milliseconds up to 200."""
ALL = Reach(interval_s=5, samples=0)
"""Every reading counts."""
WAVES = [20.0 + 20 * (at % 6) for at in range(90)]
"""Loads from twenty to a hundred and twenty requests."""
NOBODY = 0.0


def served(loads, *, late=0.02, upper=UPPER, restart=None, tokens=400):
    """
    Return what a replica reports that takes 0.4 ms a request for a gap, five times that if late.

    ``late`` is the share of gaps that wait for a prompt of somebody else.
    """
    counts, total_s = [0.0] * (len(upper) + 1), 0.0
    samples = []
    for at, (before, load) in enumerate(itertools.pairwise([loads[0], *loads])):
        if at == restart:
            counts, total_s = [0.0] * (len(upper) + 1), 0.0
        between = (before + load) / 2
        for share, gap_s in ((1 - late, 0.0004 * between), (late, 0.002 * between)):
            counts[bisect.bisect_left(upper, gap_s)] += tokens * share
            total_s += tokens * share * gap_s
        reading = replica(
            running=load,
            itl_sum_s=total_s,
            itl_count=sum(counts),
            itl_buckets=Histogram(upper=(*upper, math.inf), counts=tuple(counts)),
        )
        samples.append(sample_of(reading, at_s=1000.0 + 5 * at))
    return samples


def bound(samples, percentile=99.0, target_s=0.1):
    policy = inference(
        max_concurrency=None, itl_target=LatencyTarget(seconds=target_s, percentile=percentile)
    )
    found = slo_bounds(window(*samples), policy, ALL)
    return found[0] if found else None


def test_a_percentile_that_late_gaps_are_beyond_is_held_and_the_mean_is_far_below_it():
    tail, mean = bound(served(WAVES)), bound(served(WAVES), percentile=None)
    assert tail.requests == pytest.approx(50, abs=3)  # 2 ms a request: 100 ms at fifty
    assert mean.requests > 200
    assert tail.detail.startswith("p99 of inter-token latency was 59 ms at 30 requests and 215")


def test_a_percentile_that_late_gaps_are_within_does_not_see_them():
    assert bound(served(WAVES, late=0.005)).requests == pytest.approx(250, abs=10)


def test_late_gaps_that_come_together_count_as_much_as_those_that_are_spread():
    """Most readings have none at all: their median is no percentile of all gaps."""
    spread = served(WAVES, late=0.02)
    together = [*WAVES]
    counts = np.zeros(len(UPPER) + 1)
    samples = []
    for at, load in enumerate(together):
        late = 0.1 if at // 6 % 5 == 0 else 0.0
        between = (together[max(0, at - 1)] + load) / 2
        for share, gap_s in ((1 - late, 0.0004 * between), (late, 0.002 * between)):
            counts[bisect.bisect_left(UPPER, gap_s)] += 400 * share
        seen = Histogram(upper=(*UPPER, math.inf), counts=tuple(counts.tolist()))
        samples.append(sample_of(replica(running=load, itl_buckets=seen), at_s=1000.0 + 5 * at))
    assert bound(samples).requests == pytest.approx(bound(spread).requests, rel=0.25)


def test_a_restart_begins_its_counters_anew_and_changes_nothing():
    whole, torn = bound(served(WAVES)), bound(served(WAVES, restart=45))
    assert torn.requests == pytest.approx(whole.requests, abs=2)


def test_until_enough_were_counted_for_a_percentile_its_mean_is_held():
    """A target for most is never laxer than the same for the mean because little is known."""
    few = served(WAVES, tokens=2)
    found = bound(few, percentile=99.9)
    assert found == bound(few, percentile=None)
    assert found.detail.startswith("inter-token latency was")


def test_gaps_beyond_the_last_bound_count_as_that_bound():
    assert quantile_of(np.array([0.1, math.inf]), np.array([1.0, 99.0]), 0.99) == 0.1


def test_another_release_with_other_bounds_is_not_mixed_in():
    other = served(WAVES, upper=(0.01, 0.5))
    newest = served([60.0])[0]
    mixed = [*other, sample_of(*newest.replicas, at_s=other[-1].at_s + 5)]
    assert bound(mixed).detail.startswith("inter-token latency was")  # of the mean, no percentile


def test_without_a_histogram_the_mean_is_held_and_that_is_said():
    plain = [
        sample_of(
            replica(running=s.replicas[0].requests_running, itl_sum_s=s.replicas[0].itl_sum_s,
                    itl_count=s.replicas[0].itl_count),
            at_s=s.at_s,
        )
        for s in served(WAVES, late=NOBODY)
    ]  # fmt: skip
    target = LatencyTarget(seconds=0.1, percentile=99.0)
    policy = inference(max_concurrency=None, itl_target=target)
    (found,) = slo_bounds(window(*plain), policy, ALL)
    assert found.detail.startswith("inter-token latency was")
    told = (
        "The engine shows no histogram of inter-token latency: not its p99 but its mean is held "
        "under 100 ms."
    )
    assert means_instead(window(*plain), policy) == (told,)
    assert told in decide(window(*plain), policy).notes
    assert means_instead(window(*served(WAVES)), policy) == ()
    assert means_instead(window(*plain), inference()) == ()
    both = inference(max_concurrency=None, itl_target=target, ttft_target=target)
    (_, of_first) = means_instead(window(*plain), both)
    assert of_first.startswith("The engine shows no histogram of time to first token: not its p99")


def queued(samples):
    """Return the same with gaps as times to first token, and a third of the requests waiting."""
    return [
        sample_of(
            replica(
                running=2 * one.requests_running / 3,
                waiting=one.requests_running / 3,
                ttft_sum_s=one.itl_sum_s,
                ttft_count=one.itl_count,
                ttft_buckets=one.itl_buckets,
            ),
            at_s=sample.at_s,
        )
        for sample in samples
        for one in sample.replicas
    ]


def test_a_percentile_of_time_to_first_token_goes_by_all_requests_that_are_there():
    target = LatencyTarget(seconds=0.1, percentile=99.0)
    policy = inference(max_concurrency=None, ttft_target=target)

    (found,) = slo_bounds(window(*queued(served(WAVES))), policy, ALL)
    assert found.requests == bound(served(WAVES)).requests  # waiting ones count like the others
    assert found.detail.startswith("p99 of time to first token was 59 ms at 30 requests and 215")
    mean = dataclasses.replace(policy, ttft_target=LatencyTarget(seconds=0.1))
    (of_mean,) = slo_bounds(window(*queued(served(WAVES))), mean, ALL)
    assert of_mean.requests > 4 * found.requests


def test_where_nobody_tells_who_waits_a_time_to_first_token_says_nothing():
    policy = inference(
        max_concurrency=None, ttft_target=LatencyTarget(seconds=0.1, percentile=99.0)
    )
    silent = [
        dataclasses.replace(
            sample,
            replicas=tuple(
                dataclasses.replace(one, requests_waiting=None) for one in sample.replicas
            ),
        )
        for sample in queued(served(WAVES))
    ]
    assert slo_bounds(window(*silent), policy, ALL) == ()


def test_each_target_has_a_limit_of_its_own():
    first, gap = LatencyTarget(seconds=0.2, percentile=99.0), LatencyTarget(seconds=0.1)
    policy = inference(max_concurrency=None, ttft_target=first, itl_target=gap)
    samples = [
        sample_of(
            dataclasses.replace(slow.replicas[0], itl_sum_s=one.itl_sum_s, itl_count=one.itl_count),
            at_s=slow.at_s,
        )
        for slow, sample in zip(queued(served(WAVES)), served(WAVES), strict=True)
        for one in sample.replicas
    ]

    of_gap, of_first = slo_bounds(window(*samples), policy, ALL)
    assert of_gap.detail.startswith("inter-token latency was")
    assert of_first.detail.startswith("p99 of time to first token was")


def test_where_whole_buckets_show_the_target_met_the_line_between_bounds_has_no_say():
    """All gaps are in the bucket up to 100 ms, and the line takes the slowest for 99 of them."""
    met = bound(served([20.0 + at % 30 for at in range(90)], late=NOBODY, upper=(0.001, 0.1)), 99)
    assert met is None or met.requests >= 45


def test_a_target_that_no_load_meets_leaves_one_request():
    assert bound(served(WAVES), target_s=0.001).requests == 1


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=12).filter(any),
    st.floats(0.01, 0.999),
    st.floats(0.01, 0.999),
)
def test_a_higher_percentile_is_no_lower(counts, one, other):
    upper = np.array([*range(1, len(counts)), math.inf], dtype=float)
    low, high = (
        quantile_of(upper, np.array(counts, dtype=float), share) for share in sorted((one, other))
    )
    assert 0 <= low <= high <= upper[-2]
