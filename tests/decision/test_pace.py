import pytest

from scaler.decision.pace import KNATIVE_PRESET, pace_of
from tests.builders import inference


@pytest.mark.parametrize(
    ("policy", "bucket_s", "stable", "panic", "latch"),
    [
        pytest.param({}, 1, 60, 6, 60, id="Knative's own: a minute, six seconds"),
        pytest.param({}, 5, 12, 2, 12, id="five-second scrapes: two buckets are ten seconds"),
        pytest.param({}, 15, 4, 2, 4, id="the panic window is never less than two buckets"),
        pytest.param({}, 7, 9, 2, 8, id="windows round up, the latch down: strictly within"),
        pytest.param({}, 45, 2, 2, 1, id="the stable window is never less than the panic window"),
        pytest.param({"stable_window_s": 0.7 * 10}, 7, 2, 2, 1, id="a float's error is no bucket"),
    ],
)
def test_windows_in_buckets(policy, bucket_s, stable, panic, latch):
    pace = pace_of(inference(**policy), lead_time_s=None, bucket_s=bucket_s)

    assert (pace.stable_buckets, pace.panic_buckets, pace.latch_buckets) == (stable, panic, latch)


def test_the_delay_follows_the_lead_time_and_the_horizon_the_window():
    pace = pace_of(inference(stable_window_s=180), lead_time_s=240, bucket_s=5)

    assert (pace.delay_buckets, pace.horizon_buckets) == (96, 180)
    assert pace.lookback_s == 480 + 900 + 3 * 180


@pytest.mark.parametrize(
    ("delay_s", "buckets"), [(10.0, 10), (10.05, 11), (0.0, 0)], ids=["whole", "up", "none"]
)
def test_a_delay_is_whole_buckets(delay_s, buckets):
    policy = inference(scale_down_delay_s=delay_s)

    assert pace_of(policy, lead_time_s=None, bucket_s=1).delay_buckets == buckets


def test_percentages_become_factors():
    pace = pace_of(inference(panic_threshold=250), lead_time_s=None, bucket_s=5)

    assert (pace.panic_threshold, pace.target) == (2.5, 0.7)


def test_the_preset_is_what_knative_ships():
    policy = inference(**KNATIVE_PRESET)
    pace = pace_of(policy, lead_time_s=600, bucket_s=1)

    assert pace.delay_buckets == 0
    assert (pace.stable_buckets, pace.panic_buckets) == (60, 6)
    assert policy.backlog_drain_s == 0
    assert (pace.max_scale_up_rate, pace.max_scale_down_rate) == (1000, 2)
