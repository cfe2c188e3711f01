import math

import pytest

from scaler.capacity.token_length import LARGEST_P95_RATIO, TokenLength
from scaler.errors import ConfigurationError


def test_no_lognormal_has_a_longer_tail():
    # The 95th percentile over the mean is exp(1.645 s - s^2 / 2), largest at s = 1.645.
    assert pytest.approx(math.exp(1.6449 * 1.6449 - 1.6449**2 / 2), rel=1e-3) == LARGEST_P95_RATIO


@pytest.mark.parametrize(
    ("mean", "p95"),
    [
        pytest.param(1, None, id="one token"),
        pytest.param(100, 100, id="all alike"),
        pytest.param(100, 250, id="a tail"),
        pytest.param(100, 100 * LARGEST_P95_RATIO, id="the longest tail"),
    ],
)
def test_a_length(mean, p95):
    length = TokenLength(mean=mean, p95=p95)

    assert (length.mean, length.p95) == (mean, p95)


@pytest.mark.parametrize(
    ("mean", "p95", "got", "allowed"),
    [
        pytest.param(0.9, None, "0.9", "a mean of at least 1", id="less than a token"),
        pytest.param(math.inf, None, "inf", "a mean of at least 1", id="endless"),
        pytest.param(100, 99, "100:99", "1 to 3.87 times the mean", id="a tail below the mean"),
        pytest.param(100, 388, "100:388", "1 to 3.87 times the mean", id="longer than any tail"),
    ],
)
def test_a_length_that_there_is_not(mean, p95, got, allowed):
    with pytest.raises(ConfigurationError) as refused:
        TokenLength(mean=mean, p95=p95)

    (problem,) = refused.value.problems
    assert (problem.field, problem.got) == ("tokens", got)
    assert allowed in problem.allowed
