import pytest

from scaler.capacity.histogram import Histogram
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


def test_a_bucket_of_one_second_will_do():
    assert window(interval_s=1.0).interval_s == 1


def test_one_pair_out_of_order_is_enough():
    with pytest.raises(ValueError, match="increasing"):
        window(sample(0), sample(5), sample(5), sample(10))


def test_the_whole_window_has_its_history_as_samples():
    old, fine = sample(0), sample(60)

    whole = window(fine, history=(old,)).whole

    assert (whole.samples, whole.history) == ((old, fine), ())


def test_a_histogram_counts_what_is_in_all_buckets():
    assert Histogram(upper=(1.0, 2.0), counts=(3.0, 4.0)).total == 7
