import math

import pytest

from scaler.errors import ConfigurationError
from tests.builders import inference, lending


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        pytest.param("target_utilization", 0.0, "got 0; allowed: above 0 and at most 1", id="zero"),
        pytest.param("target_utilization", math.nan, "got nan", id="NaN never passes"),
        pytest.param("panic_threshold", 100, "at least 110 and at most 1000", id="Knative's range"),
        pytest.param(
            "max_scale_up_rate", 1.0, "above 1 and finite", id="a rate of one never moves"
        ),
        pytest.param("queue_target", math.inf, "above 0 and finite", id="infinity is no target"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(field, value, message):
    with pytest.raises(ConfigurationError) as caught:
        inference(**{field: value})

    assert str(caught.value).startswith(f"{field}: ")
    assert message in str(caught.value)


def test_all_problems_come_at_once():
    with pytest.raises(ConfigurationError) as caught:
        inference(target_utilization=2, min_replicas=5, max_replicas=3, concurrency_mode="explicit")

    assert [p.field for p in caught.value.problems] == ["target_utilization", "min_replicas"]


@pytest.mark.parametrize(
    "thresholds", [(0.7, 0.3), (0.5, 0.5)], ids=["crossed", "equal: nothing would ever be stable"]
)
def test_lending_thresholds_leave_a_band(thresholds):
    below, above = thresholds
    with pytest.raises(ConfigurationError, match="lend_below: .* below reclaim_above"):
        lending(lend_below=below, reclaim_above=above)


def test_the_panic_window_is_whole_seconds_and_at_least_one():
    assert inference(stable_window_s=60).panic_window_s == 6
    assert inference(stable_window_s=6, panic_window_percentage=1).panic_window_s == 1


def test_auto_scale_down_delay_follows_the_lead_time():
    assert inference().effective_scale_down_delay_s(None) == 300
    assert inference().effective_scale_down_delay_s(240) == 480
    assert inference(scale_down_delay_s=0).effective_scale_down_delay_s(240) == 0


def test_workers_are_bounded_by_what_the_pool_could_ever_hold():
    assert lending(reserved_units=3, units_per_worker=2).most_workers == 2
    assert lending(max_workers=1).most_workers == 1
