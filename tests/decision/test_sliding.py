"""Knative's own vectors for buckets and maxima (``bucketing_test.go``, ``aggregation/max``)."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.sliding import GapRule, SlidingAverage, bucket_of

ONE_TO_FIVE = {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0, 4: 5.0}
LATER = {60: 1984.0}  # after silence, so that only what follows counts


def averaged(
    readings: Mapping[int, float], size: int = 5, gap_rule: GapRule = GapRule.ZERO
) -> SlidingAverage:
    average = SlidingAverage(size, gap_rule)
    for bucket in sorted(readings):
        average = average.record(bucket, readings[bucket])
    return average


@pytest.mark.parametrize(
    ("readings", "at_s", "expected"),
    [
        pytest.param({0: 1.0}, 0, 1, id="at the start, one reading is the average"),
        pytest.param(ONE_TO_FIVE, 4, 3, id="a full window is its mean"),
        pytest.param(ONE_TO_FIVE, 4.6, 3, id="an instant counts as its bucket"),
        pytest.param(ONE_TO_FIVE, 6, 4, id="a gap at the end is left out"),
        pytest.param(ONE_TO_FIVE, 8, 5, id="until the newest reading alone is left"),
        pytest.param(ONE_TO_FIVE, 9, 0, id="a whole window later nothing is left"),
        pytest.param(ONE_TO_FIVE, 10, 0, id="silence is nothing, ever after"),
        pytest.param({**ONE_TO_FIVE, 6: 91.0}, 6, 20.6, id="a gap inside counts as zero"),
        pytest.param({**ONE_TO_FIVE, **LATER}, 60, 1984, id="after silence life starts anew"),
        pytest.param({**LATER, 57: 4.0}, 60, 497, id="a backfill moves the start"),
        pytest.param({**LATER, 57: 4.0, 61: 5.0}, 61, 398.6, id="the window is full again"),
        pytest.param({**LATER, 57: 14.0, 61: 5.0}, 61, 400.6, id="backfills of one bucket add"),
        pytest.param(
            {54: 7.0, 55: 7.0, 57: 14.0, **LATER, 61: 5.0},
            61,
            400.6,
            id="readings before the window count for nothing",
        ),
        pytest.param({**LATER, 65: 10.0}, 65, 10, id="silence of exactly the window forgets"),
    ],
)
def test_averages_are_knatives(readings, at_s, expected):
    assert averaged(readings).at(bucket_of(at_s, 1)) == pytest.approx(expected, abs=1e-9)


def test_readings_of_one_second_add_up_as_knatives_scrapes_do():
    assert averaged({0: 1.0}).record(0, 10).at(0) == 11


def test_a_second_reading_of_one_bucket_takes_the_place_of_the_first_where_readings_carry():
    average = averaged({0: 3.0, 1: 1.0}, gap_rule=GapRule.CARRY)

    assert average.record(1, 5).at(1) == 4
    assert average.record(1, 5).record(1, 5) == average.record(1, 5)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(GapRule.ZERO, (6 + 0 + 0 + 2) / 4, id="zero: nobody wrote, it was idle"),
        pytest.param(GapRule.CARRY, (6 + 6 + 6 + 2) / 4, id="carry: the last reading stands"),
    ],
)
def test_what_a_gap_stands_for(rule, expected):
    assert averaged({0: 6.0, 3: 2.0}, gap_rule=rule).at(3) == expected


@pytest.mark.parametrize(
    ("bucket", "empty"), [(4, False), (9, False), (10, True)], ids=["now", "at 5 s", "after 5 s"]
)
def test_a_window_is_empty_only_after_more_than_the_whole_of_it(bucket, empty):
    assert averaged(ONE_TO_FIVE).is_empty(bucket) is empty
    assert SlidingAverage(5, GapRule.ZERO).is_empty(bucket)


def test_a_float_just_short_of_its_bucket_belongs_to_it():
    assert [bucket_of(k * 7.3, 7.3) for k in range(2000)] == list(range(2000))
    assert bucket_of(0.95, 1) == 0


@given(
    readings=st.dictionaries(st.integers(0, 40), st.floats(0, 1000), min_size=1),
    size=st.integers(1, 12),
    rule=st.sampled_from(GapRule),
)
def test_an_average_is_that_of_its_buckets_written_out(readings, size, rule):
    newest = max(readings)
    buckets: list[float] = []
    before = newest
    for bucket in range(min(readings), newest + 1):
        if bucket in readings:
            buckets = [] if bucket - before >= size else buckets
            before = bucket
            buckets.append(readings[bucket])
        else:
            buckets.append(readings[before] if rule is GapRule.CARRY else 0.0)
    last = buckets[-size:]

    average = averaged(readings, size, rule)
    assert len(average.values) <= size
    assert average.at(newest) == pytest.approx(sum(last) / len(last), abs=1e-6)


def test_sums_do_not_drift():
    average = SlidingAverage(3, GapRule.CARRY)
    for bucket, reading in enumerate([1e9, 0.1, 0.2, 0.3, 0.0, 0.0, 0.0]):
        average = average.record(bucket, reading)

    assert average.at(6) == 0
