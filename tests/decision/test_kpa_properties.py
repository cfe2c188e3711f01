"""What holds for every history: no clock, no memory beyond the lookback, more load never less."""

import dataclasses
import math

from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.kpa import KpaAnswer, over, recommend
from scaler.decision.pace import pace_of
from scaler.decision.point import Curve, LoadPoint
from scaler.decision.policy import InferencePolicy
from scaler.decision.sliding import GapRule
from tests.builders import inference

rules = st.sampled_from(GapRule)
bucket_lengths = st.sampled_from([1.0, 5.0, 7.3, 15.0])

policies = st.builds(
    inference,
    stable_window_s=st.sampled_from([6.0, 20.0, 60.0]),
    panic_horizon_s=st.sampled_from([10.0, 60.0, 200.0]),
    scale_down_delay_s=st.sampled_from([0.0, 10.0, 60.0]),
    max_scale_up_rate=st.sampled_from([1.5, 1000.0]),
    activation_scale=st.integers(1, 3),
)

row = st.tuples(
    st.one_of(st.just(0.0), st.none(), st.floats(0, 4), st.floats(0, 40)),
    st.one_of(st.none(), st.integers(0, 12), st.just(3)),
    st.integers(0, 4),
    st.sampled_from([1, 1, 1, 2, 4, 9]),  # buckets until the next: 1, or a gap
)
lengths = st.integers(1, 120)


@st.composite
def histories(draw: st.DrawFn, bucket_s: float) -> list[LoadPoint]:
    """Return points on the grid, with gaps; half of the histories have none."""
    gaps, length = draw(st.booleans()), draw(lengths)
    bucket, points = draw(st.integers(0, 1000)) + 10**6, []
    for load, ready, loading, apart in draw(st.lists(row, min_size=length, max_size=length)):
        point = LoadPoint(
            at_s=bucket * bucket_s,
            load=load if gaps else load or 0.0,
            ready=ready if gaps else ready or 0,
            loading=loading,
        )
        points.append(point)
        bucket += apart if gaps else 1
    return points


def wants(
    points: list[LoadPoint], policy: InferencePolicy, bucket_s: float, rule: GapRule
) -> KpaAnswer:
    return recommend(points, policy, lead_time_s=None, gap_rule=rule, bucket_s=bucket_s)


@given(data=st.data(), policy=policies, rule=rules, bucket_s=bucket_lengths)
def test_a_shift_by_whole_buckets_changes_nothing(data, policy, rule, bucket_s):
    points = data.draw(histories(bucket_s))
    shift_s = data.draw(st.integers(-(10**5), 10**8)) * bucket_s
    shifted = [dataclasses.replace(point, at_s=point.at_s + shift_s) for point in points]

    assert wants(shifted, policy, bucket_s, rule) == wants(points, policy, bucket_s, rule)


@given(data=st.data(), policy=policies, rule=rules, bucket_s=bucket_lengths)
def test_older_than_the_lookback_cannot_matter(data, policy, rule, bucket_s):
    points = data.draw(histories(bucket_s))
    pace = pace_of(policy, lead_time_s=None, bucket_s=bucket_s, gap_rule=rule)
    # Half a bucket keeps a float's error out of "newer than".
    oldest_s = points[-1].at_s - pace.lookback_s + bucket_s / 2
    recent = [point for point in points if point.at_s > oldest_s]

    assert wants(recent, policy, bucket_s, rule) == wants(points, policy, bucket_s, rule)


@given(data=st.data(), policy=policies, bucket_s=bucket_lengths)
def test_without_gaps_the_policys_lookback_is_enough(data, policy, bucket_s):
    length = data.draw(lengths)
    full = st.tuples(st.one_of(st.floats(0, 4), st.floats(0, 40)), st.integers(0, 12))
    points = [
        LoadPoint(at_s=(k + 1) * bucket_s, load=load, ready=ready)
        for k, (load, ready) in enumerate(
            data.draw(st.lists(full, min_size=length, max_size=length))
        )
    ]
    pace = pace_of(policy, lead_time_s=None, bucket_s=bucket_s)
    panic_s = pace.panic_buckets * bucket_s  # at least two buckets, where the policy says less
    lookback_s = policy.lookback_s - policy.panic_window_s + max(panic_s, policy.panic_window_s)
    oldest_s = points[-1].at_s - lookback_s
    recent = [point for point in points if point.at_s > oldest_s]

    carry = GapRule.CARRY
    assert wants(recent, policy, bucket_s, carry) == wants(points, policy, bucket_s, carry)


@given(data=st.data(), policy=policies, rule=rules, bucket_s=bucket_lengths, more=st.floats(0, 100))
def test_more_load_at_the_newest_instant_never_means_fewer(data, policy, rule, bucket_s, more):
    *before, newest = data.draw(histories(bucket_s))
    newest = dataclasses.replace(newest, load=newest.load or 0.0, ready=newest.ready or 0)
    busier = dataclasses.replace(newest, load=newest.load + more)

    fewer = wants([*before, newest], policy, bucket_s, rule).desired
    assert fewer is not None
    assert (wants([*before, busier], policy, bucket_s, rule).desired or 0) >= fewer


@given(data=st.data(), policy=policies, rule=rules, bucket_s=bucket_lengths)
def test_every_history_has_an_answer_whose_steps_tell_it(data, policy, rule, bucket_s):
    told = wants(data.draw(histories(bucket_s)), policy, bucket_s, rule)

    assert all(step.detail for step in told.steps)
    assert told.desired == told.steps[-1].replicas
    assert (told.stable_load is None) is (told.desired is None)


@given(load=st.floats(0, 40), policy=policies, ready=st.integers(0, 60))
def test_constant_load_settles_on_what_it_needs(load, policy, ready):
    pace = pace_of(policy, lead_time_s=None, bucket_s=5)
    needed = math.ceil(round(load / 0.7, 6))
    settled = max(needed, policy.activation_scale) if needed else 0
    points, count = list[LoadPoint](), ready
    for bucket in range(300):
        points.append(LoadPoint(at_s=bucket * 5.0, load=load, ready=count))
        count = over(Curve.of(points), pace).desired or 0

    assert count == settled
