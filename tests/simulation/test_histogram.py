"""Distributions in constant memory."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.simulation.histogram import Buckets, Distribution


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_quantile_is_within_one_percent_of_the_true_one(values, share):
    distribution = Distribution()
    for value in values:
        distribution.add(value)
    true = sorted(values)[math.ceil(share * len(values)) - 1]
    assert distribution.quantile(share) == pytest.approx(true, rel=0.011)


def test_nothing_measured_has_no_quantile():
    assert Distribution().quantile(0.5) is None
    assert Distribution().mean is None


def test_a_value_on_a_boundary_belongs_to_the_bucket_below_as_in_prometheus():
    buckets = Buckets([1.0, 2.0])
    for value in (1.0, 1.5, 2.0, 9.0):
        buckets.observe(value)
    assert buckets.counts == [1, 2, 1]
    assert (buckets.count, buckets.total) == (4, 13.5)
