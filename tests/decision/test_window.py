import pytest

from scaler.decision.window import Window
from tests.builders import sample, steady, window


def test_a_window_without_samples_cannot_be_made():
    with pytest.raises(ValueError, match="at least one sample"):
        Window(samples=(), interval_s=5)


def test_a_bucket_is_at_least_a_second():
    with pytest.raises(ValueError, match="at least 1 s, got 0.5"):
        window(interval_s=0.5)


def test_samples_out_of_order_are_refused():
    with pytest.raises(ValueError, match="increasing"):
        window(sample(5), sample(5))


def test_history_lies_before_the_fine_samples():
    with pytest.raises(ValueError, match="increasing"):
        window(sample(10), history=(sample(10),))


@pytest.mark.parametrize(
    ("seconds", "count"),
    [
        pytest.param(60, 12, id="a minute of five-second buckets is twelve samples"),
        pytest.param(5, 1, id="one bucket is the newest sample"),
        pytest.param(1, 1, id="less than a bucket still is the newest sample"),
        pytest.param(0, 1, id="nothing still is the newest sample"),
        pytest.param(1e6, 24, id="more than there is, is all there is"),
    ],
)
def test_the_last_seconds_of_a_window(seconds, count):
    assert len(steady(120, running=1).last(seconds)) == count


def test_the_span_counts_the_oldest_bucket_whole():
    assert steady(120, running=1).span_s == 120
