"""A simulated replica's page, beside what a real vLLM printed."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scaler.lab.vllm_page import vllm_page
from tests.shared_data import shared_data


def families(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


@pytest.fixture
def page(world):
    world.start_ready("chat", 1)
    world.advance(30.0)
    (replica,) = world.fleets["chat"].replicas.values()
    return families(vllm_page(replica, world.now_s))


def value(page, family, **labels):
    (found,) = [
        sample.value
        for group in page.values()
        for sample in group.samples
        if sample.name == family and labels.items() <= sample.labels.items()
    ]
    return found


@pytest.mark.parametrize("version", ["0.28.0", "0.32.0"])
def test_names_types_and_labels_are_those_of_a_real_vllm(page, version):
    real = families(shared_data("metrics", f"vllm-{version}-loaded.prom").read_text())
    for name, family in page.items():
        assert name in real, f"vLLM {version} has no {name}"
        assert family.type == real[name].type
        theirs = {sample.name: sample.labels for sample in real[name].samples}
        for sample in family.samples:
            assert set(sample.labels) <= set(theirs[sample.name])


@pytest.mark.parametrize("version", ["0.28.0", "0.32.0"])
def test_series_differ_by_the_labels_that_real_ones_differ_by(page, version):
    real = families(shared_data("metrics", f"vllm-{version}-loaded.prom").read_text())
    for name in ("vllm:request_success", "vllm:engine_sleep_state"):
        theirs = {frozenset({**s.labels, "model_name": "demo"}.items()) for s in real[name].samples}
        ours = {frozenset(s.labels.items()) for s in page[name].samples if "le" not in s.labels}
        assert ours <= theirs


def test_bucket_boundaries_are_those_of_a_real_vllm(page):
    real = families(shared_data("metrics", "vllm-0.32.0-loaded.prom").read_text())
    for name in (
        "vllm:time_to_first_token_seconds",
        "vllm:inter_token_latency_seconds",
        "vllm:e2e_request_latency_seconds",
        "vllm:iteration_tokens_total",
        "vllm:request_prompt_tokens",
    ):
        ours = [s.labels["le"] for s in page[name].samples if s.name.endswith("_bucket")]
        theirs = [s.labels["le"] for s in real[name].samples if s.name.endswith("_bucket")]
        assert ours == theirs


def test_histograms_are_cumulative_and_agree_with_their_counts(page):
    for family in page.values():
        if family.type != "histogram":
            continue
        counts = [s.value for s in family.samples if s.name.endswith("_bucket")]
        (total,) = [s.value for s in family.samples if s.name.endswith("_count")]
        assert counts == sorted(counts)
        assert counts[-1] == total


def test_numbers_are_the_engines(world, page):
    (replica,) = world.fleets["chat"].replicas.values()
    reading = replica.engine.read(world.now_s)
    assert value(page, "vllm:num_requests_running") == reading.requests_running > 0
    assert value(page, "vllm:generation_tokens_total") == reading.generation_tokens_total > 0
    assert value(page, "vllm:inter_token_latency_seconds_count") == reading.itl_count
    assert value(page, "vllm:iteration_tokens_total_sum") == (
        reading.generation_tokens_total + reading.prompt_tokens_total
    )
    assert value(page, "vllm:kv_cache_usage_perc") == pytest.approx(reading.kv_cache_usage)
