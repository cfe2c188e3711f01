import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.concurrency.evidence import MOST_READINGS, Reach
from scaler.decision.concurrency.live import safe_concurrency
from scaler.decision.concurrency.slo import INTER_TOKEN, points
from scaler.decision.facts.columns import Columns
from scaler.decision.window import Window
from tests.builders import INTERVAL_S, inference, replica, sample_of, window
from tests.golden.histories import samples

POLICY = inference(max_concurrency=None, itl_target=LatencyTarget(seconds=0.05))


def stands_for(reach: Reach, replicas: int) -> float:
    """Return for how many buckets one is read that is read with every fleet."""
    fleet = sample_of(*(replica(f"llm-{number}") for number in range(replicas)), at_s=0.0)
    return float(reach.stands_for(Columns.of([fleet]))[0])


@pytest.mark.parametrize(
    ("samples", "replicas", "stride"),
    [
        pytest.param(0, 1, 1, id="nothing"),
        pytest.param(400, 1, 1, id="as many readings as are worth it"),
        pytest.param(401, 1, 2, id="one more: every other"),
        pytest.param(100, 40, 16, id="many replicas at few instants: a power of two, not ten"),
        pytest.param(400, 4, 4, id="a power of two as it is"),
    ],
)
def test_readings_that_are_worth_their_time(samples, replicas, stride):
    assert stands_for(Reach(interval_s=5, samples=samples), replicas) == stride


@given(st.integers(1, 200), st.integers(1, 200), st.floats(0, 10_000))
def test_what_is_read_of_a_larger_fleet_is_among_what_is_read_of_a_smaller_one(few, more, usual):
    reach = Reach(interval_s=5, samples=usual)

    assert stands_for(reach, few + more) % stands_for(reach, few) == 0


def test_the_newest_sample_is_left_out():
    of = window(sample_of(at_s=1), sample_of(at_s=2), sample_of(at_s=3))

    assert of.earlier.instants.at_s.tolist() == [1, 2]


def seen(of: Window) -> set[tuple[float, float]]:
    """Return the latencies that are learned from."""
    requests, seconds = points(INTER_TOKEN, of.earlier, Reach.of(of, POLICY))
    return set(zip(requests.tolist(), seconds.tolist(), strict=True))


@given(st.integers(0, 10_000), st.integers(2, 299))
def test_a_window_that_moves_by_a_sample_reads_the_same_but_for_two_samples(seed, length):
    history = samples(seed, 320)
    before, after = (window(*history[at : at + length]) for at in (0, 1))
    came = window(*history[length - 2 : length + 1])
    went = window(*history[0:3])

    assert seen(after) ^ seen(before) <= seen(came) | seen(went)


@pytest.mark.parametrize("seed", range(6))
def test_the_safe_concurrency_moves_as_slowly_as_what_it_rests_on(seed):
    history = samples(seed, 600)
    found = []
    for end in range(497, len(history)):
        safe = safe_concurrency(window(*history[end - 497 : end]), POLICY)
        found.append(safe.requests if safe else None)
    known = [one for one in found if one is not None]

    assert len(known) > 90
    assert all(
        max(one, other) <= 1.2 * min(one, other) + 1 for one, other in itertools.pairwise(known)
    )


def test_a_large_fleet_is_told_the_same_as_one_replica_of_it():
    def fleet(replicas: int) -> int:
        made = [
            sample_of(
                *(
                    replica(
                        f"llm-{number}",
                        running=40,
                        kv_cache_usage=0.2 + 0.02 * ((at * 7 + number * 3) % 5 - 2),
                    )
                    for number in range(replicas)
                ),
                at_s=1000 + INTERVAL_S * at,
            )
            for at in range(MOST_READINGS // 2)
        ]
        safe = safe_concurrency(window(*made), inference(max_concurrency=None))
        assert safe is not None
        return safe.requests

    assert fleet(16) == pytest.approx(fleet(1), rel=0.03)
