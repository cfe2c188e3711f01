import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.latency_target import LatencyTarget, read_target, write_target
from scaler.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "seconds", "percentile"),
    [
        pytest.param("100ms", 0.1, None, id="the mean"),
        pytest.param("100ms@p99", 0.1, 99.0, id="a percentile"),
        pytest.param("1m30s@p99.9", 90.0, 99.9, id="a finer one"),
    ],
)
def test_a_target_is_a_latency_and_perhaps_a_percentile(text, seconds, percentile):
    assert read_target(text) == LatencyTarget(seconds=seconds, percentile=percentile)


@pytest.mark.parametrize("text", ["100", "100ms@99", "100ms@p", "100ms@pmean", "@p99", "100ms@p-9"])
def test_what_is_no_target_is_no_other_one_either(text):
    with pytest.raises(ValueError, match=text):
        read_target(text)


@pytest.mark.parametrize("text", ["0s", "100ms@p0", "100ms@p100"])
def test_nothing_stays_under_zero_nor_everything_under_anything(text):
    with pytest.raises(ConfigurationError, match="above 0"):
        read_target(text)


@given(
    st.builds(
        LatencyTarget,
        seconds=st.floats(1e-6, 1e6),
        percentile=st.none() | st.floats(0.001, math.nextafter(100, 0)),
    )
)
def test_a_target_survives_being_written(target):
    assert read_target(write_target(target)) == target
