"""The one pass against Knative written a second time, on random histories."""

import dataclasses
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.kpa import over
from scaler.decision.pace import pace_of
from scaler.decision.point import Curve, LoadPoint
from scaler.decision.policy import InferencePolicy
from scaler.decision.sliding import GapRule
from tests.builders import inference
from tests.decision.knative_reference import Knative

# Loads and targets are binary fractions, so that no rounding can differ.
known = st.tuples(
    st.one_of(st.just(0.0), st.integers(0, 320).map(lambda eighths: eighths / 8)),
    st.integers(0, 12),
)
silent = st.sampled_from([None, (None, 3), (5.0, None), (None, None)])
# Knative remembers beyond any silence; we start anew after a stable window, at least 6 s.
after_a_gap = st.tuples(
    st.one_of(st.just([]), st.lists(silent, max_size=4)), known, st.integers(1, 8)
)
history = st.integers(1, 40).flatmap(
    lambda parts: st.tuples(known, st.lists(after_a_gap, min_size=parts, max_size=parts)).map(
        lambda drawn: [
            drawn[0],
            *(row for gap, last, times in drawn[1] for row in (*gap, *[last] * times)),
        ]
    )
)

policies = st.builds(
    inference,
    target_utilization=st.sampled_from([0.25, 0.5, 1.0]),
    stable_window_s=st.integers(6, 20).map(float),
    panic_window_percentage=st.integers(10, 100).map(float),
    panic_threshold=st.sampled_from([110.0, 150.0, 200.0, 500.0]),
    max_scale_up_rate=st.sampled_from([1.25, 2.0, 10.0, 1000.0]),
    max_scale_down_rate=st.sampled_from([1.25, 2.0, 10.0]),
    scale_down_delay_s=st.integers(0, 25).map(float),
    activation_scale=st.integers(1, 4),
)

Row = tuple[float | None, int | None] | None


def ours(rows: Sequence[Row], policy: InferencePolicy) -> list[int | None]:
    pace = pace_of(policy, lead_time_s=None, bucket_s=1, gap_rule=GapRule.ZERO)
    points, answers = list[LoadPoint](), list[int | None]()
    for at, row in enumerate(rows):
        if row is not None:
            points.append(LoadPoint(at_s=at, load=row[0], ready=row[1]))
            answers.append(over(Curve.of(points), pace).desired)
    return answers


def knatives(
    rows: Sequence[Row], policy: InferencePolicy, *, horizon_s: int | None
) -> list[int | None]:
    knative = Knative(
        target=policy.effective_target_utilization,
        stable_s=int(policy.stable_window_s),
        panic_s=max(2, int(policy.panic_window_s)),
        threshold=policy.panic_threshold / 100,
        up_rate=policy.max_scale_up_rate,
        down_rate=policy.max_scale_down_rate,
        activation=policy.activation_scale,
        delay_s=int(policy.scale_down_delay_s or 0),
        horizon_s=horizon_s,
    )
    answers = []
    for at, row in enumerate(rows):
        if at == 0 and row is not None:
            knative.create(at, row[1])
        if row is not None:
            if row[0] is not None:
                knative.write(at, row[0])
            answers.append(knative.tick(at, row[1]))
    return answers


@given(rows=history, policy=policies)
def test_panics_that_end_within_the_horizon_are_knatives(rows, policy):
    # No history here is longer than the horizon of ten minutes, so none of its panics is.
    assert len(rows) < policy.effective_panic_horizon_s

    assert ours(rows, policy) == knatives(rows, policy, horizon_s=None)


@given(rows=history, policy=policies, horizon_s=st.integers(1, 40))
def test_longer_panics_answer_the_maximum_of_their_last_horizon(rows, policy, horizon_s):
    bounded = dataclasses.replace(policy, panic_horizon_s=float(horizon_s))

    assert ours(rows, bounded) == knatives(rows, policy, horizon_s=horizon_s)


def test_readings_that_stop_are_averaged_until_the_window_is_empty():
    policy = inference(stable_window_s=6, scale_down_delay_s=0)
    rows: list[Row] = [(4.0, 6), *[(None, 6)] * 9]

    assert ours(rows, policy) == knatives(rows, policy, horizon_s=None)
    assert ours(rows, policy)[-3:] == [None, None, None]
