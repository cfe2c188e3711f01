"""vLLM's readings, from what running servers answered and from names older releases had."""

import math
import pathlib

import pytest

from scaler.readings.assemble import Assembly
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.scrape import rows_of_page
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from scaler.source import Workload
from tests.shared_data import shared_data

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
LLM = Workload(namespace="serve", scaled_object="llm", name="llm")
POD = "llm-6d5f8b9c7d-x2x4z"
NOW_S = 1_000_000.0


def replica_of(*pages, step_s=5.0, **more):
    """Return the replica of one pod that answered with ``pages``, one every ``step_s``."""
    assembly = Assembly(
        profiles=shipped_profiles(), timing=Timing(interval_s={Exporter.ENGINE: step_s})
    )
    workload = Workload(namespace="serve", scaled_object="llm", name="llm", **more)
    by_metric = {m: wanted for wanted in assembly.wanted([workload]) for m in wanted.metrics}
    for age, page in enumerate(reversed(pages)):
        for labels, value in rows_of_page(page, by_metric) or ():
            target = {"namespace": "serve", "pod": POD}
            wanted = by_metric[labels["__name__"]]
            assembly.take(wanted, {**labels, **target}, [(NOW_S - age * step_s, value)])
    assembly.settle([workload])
    (replica,) = assembly.window(workload, 60, NOW_S).latest.replicas
    return replica


def test_a_loaded_server_is_read_in_full():
    replica = replica_of((FIXTURES / "vllm-0.28.0.prom").read_text())
    assert replica.name == POD
    assert (replica.requests_running, replica.requests_waiting) == (4, 28)
    assert replica.kv_cache_usage == pytest.approx(16 / 4095)
    assert (replica.kv_blocks, replica.kv_block_tokens) == (4096, 128)
    assert replica.kv_capacity_tokens == 524_288
    assert replica.itl_sum_s / replica.itl_count == pytest.approx(0.00492, rel=0.01)
    assert not replica.sleeping
    unread = {"max_running", "gpu_memory_used_mib", "gpu_memory_free_mib"}
    unread |= {"gpu_engine_active", "gpu_utilization", "itl_buckets", "ttft_buckets"}
    missing = {name for name in type(replica).__slots__ if getattr(replica, name) is None}
    assert missing == unread


def test_a_server_short_of_blocks_shows_preemptions():
    replica = replica_of((FIXTURES / "vllm-0.32.0.prom").read_text())
    assert replica.preemptions_total == 23
    assert replica.kv_capacity_tokens == 2560
    assert replica.kv_cache_usage > 0.9


@pytest.mark.parametrize("state", ["idle", "loaded", "after"])
@pytest.mark.parametrize("version", ["0.28.0", "0.32.0"])
def test_every_capture_has_every_reading(version, state):
    replica = replica_of(shared_data("metrics", f"vllm-{version}-{state}.prom").read_text())
    assert replica.requests_running == (4 if state == "loaded" else 0)
    assert replica.requests_waiting == (28 if state == "loaded" else 0)
    assert replica.steps_total is not None
    assert replica.requests_finished_total is not None


def page(**values):
    """Return a page with given values, the name's labels written as ``name__label_value``."""
    return "".join(f'vllm:{name}{{engine="0",model_name="m"}} {v}\n' for name, v in values.items())


BUSY = page(num_requests_running=2, num_requests_waiting=1)


def test_the_older_name_of_kv_usage_is_read_where_the_newer_is_absent():
    assert replica_of(BUSY + page(gpu_cache_usage_perc=0.4)).kv_cache_usage == 0.4


def test_a_release_that_exports_both_names_counts_once():
    both = page(gpu_cache_usage_perc=0.4, kv_cache_usage_perc=0.4)
    assert replica_of(BUSY + both).kv_cache_usage == 0.4


def test_waiting_by_reason_does_not_count_again():
    reasons = "".join(
        f'vllm:num_requests_waiting_by_reason{{engine="0",model_name="m",reason="{reason}"}} 1\n'
        for reason in ("capacity", "deferred")
    )
    assert replica_of(BUSY + reasons).requests_waiting == 1


def test_data_parallel_ranks_add_up_and_their_cache_usage_is_averaged():
    ranks = "".join(
        f'vllm:num_requests_running{{engine="{rank}",model_name="m"}} {running}\n'
        f'vllm:kv_cache_usage_perc{{engine="{rank}",model_name="m"}} {usage}\n'
        f'vllm:cache_config_info{{engine="{rank}",num_gpu_blocks="100",block_size="16"}} 1\n'
        for rank, running, usage in ((0, 3, 0.2), (1, 5, 0.6))
    )
    replica = replica_of(ranks)
    assert replica.requests_running == 8
    assert replica.kv_cache_usage == pytest.approx(0.4)
    assert (replica.kv_blocks, replica.kv_block_tokens) == (100, 16), "the sum is on each row"


def test_several_models_in_one_engine_add_their_requests_and_share_one_cache():
    models = "".join(
        f'vllm:num_requests_running{{engine="0",model_name="{model}"}} {running}\n'
        f'vllm:kv_cache_usage_perc{{engine="0",model_name="{model}"}} 0.5\n'
        for model, running in (("a", 3), ("b", 4))
    )
    assert replica_of(models).requests_running == 7
    assert replica_of(models).kv_cache_usage == 0.5
    assert replica_of(models, selector=(("model_name", "a"),)).requests_running == 3


def test_rows_of_several_processes_repeat_one_another():
    processes = "".join(
        f'vllm:num_requests_running{{engine="0",model_name="m",pid="{pid}"}} {running}\n'
        for pid, running in ((11, 6), (12, 7), (13, 0))
    )
    assert replica_of(processes).requests_running == 7


def test_prompt_tokens_found_in_a_cache_are_not_computed():
    sources = "".join(
        f'vllm:prompt_tokens_by_source_total{{engine="0",model_name="m",source="{source}"}} {n}\n'
        for source, n in (("local_compute", 700), ("local_cache_hit", 300))
    )
    assert replica_of(BUSY + page(prompt_tokens_total=1000)).prompt_tokens_total == 1000
    assert replica_of(BUSY + page(prompt_tokens_total=1000) + sources).prompt_tokens_total == 700


@pytest.mark.parametrize(("awake", "sleeping"), [(1, False), (0, True)])
def test_an_engine_that_sleeps_says_so(awake, sleeping):
    state = (
        f'vllm:engine_sleep_state{{engine="0",model_name="m",sleep_state="awake"}} {awake}\n'
        f'vllm:engine_sleep_state{{engine="0",sleep_state="discard_all"}} {1 - awake}\n'
    )
    assert replica_of(BUSY + state).sleeping is sleeping


def working(running, tokens):
    return page(
        num_requests_running=running, num_requests_waiting=9, generation_tokens_total=tokens
    )


@pytest.mark.parametrize(
    ("pages", "seen"),
    [
        pytest.param([(4, 10), (4, 10), (4, 10)], None, id="two buckets without a token: frozen"),
        pytest.param([(4, 10), (4, 10)], 4, id="one bucket without a token may be a long prompt"),
        pytest.param([(4, 10), (4, 10), (4, 11)], 4, id="a token is a sign of life"),
        pytest.param([(0, 10), (0, 10), (0, 10)], 0, id="an idle engine is not frozen"),
        pytest.param([(0, 10), (0, 10), (4, 10)], 4, id="nor one that has just begun"),
        pytest.param([(4, 10), (4, 10), (4, 10), (4, 30)], 4, id="and one that goes on is back"),
    ],
)
def test_an_engine_that_runs_requests_and_makes_no_token_is_frozen(pages, seen):
    replica = replica_of(*(working(*values) for values in pages))
    assert replica.requests_running == seen
    assert (replica.requests_waiting is None) is (seen is None)


def test_readings_that_are_no_numbers_are_missing():
    replica = replica_of(BUSY + page(kv_cache_usage_perc=math.nan, generation_tokens_total="+Inf"))
    assert replica.kv_cache_usage is None
    assert replica.generation_tokens_total is None
    assert replica.requests_running == 2
