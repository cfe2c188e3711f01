"""The histograms of one replica's latencies, from its page."""

import dataclasses
import itertools
import math

import pytest

from scaler.capacity.histogram import Histogram
from scaler.readings.buckets import buckets_of
from scaler.readings.engines.profile import shipped_profiles
from scaler.source import Workload
from tests.readings.worlds import LLM, NOW_S, STEP_S, Observer, busy, row
from tests.shared_data import shared_data

BY_BUCKET = Workload(
    namespace="serve", scaled_object="llm", kind="StatefulSet", name="llm", itl_buckets=True
)
NAME, FIRST = "vllm:inter_token_latency_seconds", "vllm:time_to_first_token_seconds"


def page(counts=(3.0, 8.0, 10.0), les=("0.05", "0.1", "+Inf"), **labels):
    """Return a page with a histogram; counts are cumulative."""
    about = {"engine": "0", "model_name": "m", **labels}
    buckets = "".join(
        row(f"{NAME}_bucket", count, le=le, **about) for le, count in zip(les, counts, strict=True)
    )
    total = row(f"{NAME}_count", counts[-1], **about) + row(f"{NAME}_sum", 0.9, **about)
    return busy() + buckets + total


def read(*pages, workload=BY_BUCKET):
    observer = Observer(workload)
    for age, text in enumerate(reversed(pages)):
        observer.round(NOW_S - age * STEP_S, {"llm-0": text})
    (replica,) = observer.window().latest.replicas
    return replica.itl_buckets


def test_each_bucket_has_its_own_count():
    expected = Histogram(upper=(0.05, 0.1, math.inf), counts=(3, 5, 2))
    assert read(page()) == expected


def test_each_latency_has_a_histogram_of_its_own_and_is_read_where_it_is_asked_for():
    first = page(counts=(1.0, 2.0, 9.0)).removeprefix(busy()).replace(NAME, FIRST)
    expected = Histogram(upper=(0.05, 0.1, math.inf), counts=(1, 1, 7))
    for itl, ttft in itertools.product((False, True), repeat=2):
        workload = dataclasses.replace(BY_BUCKET, itl_buckets=itl, ttft_buckets=ttft)
        observer = Observer(workload)
        observer.round(NOW_S, {"llm-0": page() + first})
        (replica,) = observer.window().latest.replicas
        assert (replica.itl_buckets is not None) == itl
        assert replica.ttft_buckets == (expected if ttft else None)


def test_whoever_asks_for_the_mean_reads_no_bucket():
    assert read(page(), workload=LLM) is None
    metrics = {metric for one in Observer(LLM).assembly.wanted([LLM]) for metric in one.metrics}
    assert not any(metric.endswith("_bucket") for metric in metrics)


def test_engines_of_one_replica_are_added_up():
    both = page() + page(counts=(1.0, 1.0, 2.0), engine="1").removeprefix(busy())
    assert read(both) == Histogram(upper=(0.05, 0.1, math.inf), counts=(4, 5, 3))


def test_bounds_that_two_releases_write_in_two_ways_are_one():
    old, new = page(les=("1", "2", "+Inf")), page(les=("1.0", "2.0", "+Inf"))
    assert read(old, new).upper == (1.0, 2.0, math.inf)


def test_a_histogram_that_lacks_a_bucket_is_none():
    assert read(page(counts=(3.0, 8.0), les=("0.05", "0.1"))) is None


@pytest.mark.parametrize("engine", sorted(set(shipped_profiles()) - {"llamacpp"}))
def test_every_engine_with_a_histogram_names_its_buckets(engine):
    count = shipped_profiles()[engine].readings.get("itl_count")
    buckets = buckets_of(count)
    assert (buckets is None) is (count is None)
    assert buckets is None or all(metric.endswith("_bucket") for metric in buckets.metrics)


def test_a_counter_of_tokens_is_no_histogram():
    assert buckets_of(shipped_profiles()["llamacpp"].readings["itl_count"]) is None


def test_a_real_page_of_vllm_is_read_with_every_bound():
    seen = read(shared_data("metrics", "vllm-0.32.0-loaded.prom").read_text())
    assert seen.upper[:5] == (0.01, 0.025, 0.05, 0.075, 0.1)
    assert seen.upper[-1] == math.inf
    assert seen.total > 0
