"""Other engines, on text that their sources document; and profiles that people write."""

import dataclasses
import itertools
import math

import pytest

from scaler.decision.sample import Replica
from scaler.errors import ConfigurationError
from scaler.readings.assemble import Assembly
from scaler.readings.engines.profile import LIVE, parse_profiles, shipped_profiles
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from scaler.source import Workload
from tests.decision.instants import increase
from tests.readings.worlds import NOW_S, STEP_S, Observer, busy, row


def observer_of(engine, profiles=None):
    workload = Workload(
        namespace="serve", scaled_object="llm", kind="StatefulSet", name="llm", engine=engine
    )
    timing = Timing(interval_s={Exporter.ENGINE: STEP_S})
    return Observer(
        workload, assembly=Assembly(profiles=profiles or shipped_profiles(), timing=timing)
    )


def replica_of(engine, *pages, profiles=None):
    observer = observer_of(engine, profiles)
    for age, page in enumerate(reversed(pages)):
        observer.round(NOW_S - age * STEP_S, {"llm-0": page})
    (replica,) = observer.window().latest.replicas
    return replica


CONFIG = {"num_gpu_blocks": "8192", "block_size": "128", "kv_cache_size_tokens": "524288"}
"""Of two data-parallel engines of 4096 blocks each, on the row of each (vLLM 0.32.0)."""


def sglang(name, value, **labels):
    fixed = {"model_name": "m", "engine_type": "unified", "pp_rank": "0"}
    return row(f"sglang:{name}", value, **{**fixed, **labels})


SGLANG = (
    "".join(
        sglang("num_running_reqs", running, tp_rank=str(2 * dp + tp), dp_rank=str(dp))
        + sglang("num_queue_reqs", 1, tp_rank=str(2 * dp + tp), dp_rank=str(dp))
        + sglang("token_usage", usage, tp_rank=str(2 * dp + tp), dp_rank=str(dp))
        + sglang("max_total_num_tokens", 1000, tp_rank=str(2 * dp + tp), dp_rank=str(dp))
        for dp, (running, usage) in enumerate([(3, 0.1), (5, 0.3)])
        for tp in (0, 1)
    )
    + sglang("realtime_tokens_total", 100, mode="prefill_compute", tp_rank="0", dp_rank="0")
    + sglang("realtime_tokens_total", 900, mode="prefill_cache", tp_rank="0", dp_rank="0")
    + sglang("realtime_tokens_total", 70, mode="decode", tp_rank="0", dp_rank="0")
    + sglang("prompt_tokens_total", 1000, is_streaming="true")
    + sglang("generation_tokens_total", 60, is_streaming="true")
    + sglang("num_requests_total", 6)
    + sglang("time_to_first_token_seconds_sum", 4, is_streaming="true")
    + sglang("time_to_first_token_seconds_sum", 2, is_streaming="false")
)

TGI = (
    row("tgi_batch_current_size", 4)
    + row("tgi_queue_size", 7)
    + row("tgi_batch_current_max_tokens", 300)
    + row("tgi_batch_max_total_tokens", 1200)
    + row("tgi_batch_inference_count", 10, method="prefill")
    + row("tgi_batch_inference_count", 90, method="decode")
    + row("tgi_batch_inference_duration_sum", 5, method="prefill")
    + row("tgi_batch_inference_duration_sum", 3, method="decode")
    + row("tgi_batch_inference_duration_count", 90, method="decode")
    + row("tgi_request_success", 11)
    + row("tgi_request_generated_tokens_sum", 500)
)

TRTLLM = "".join(
    row(f"trtllm_{name}", value, model_name="m", engine_type="trtllm")
    for name, value in {
        "num_requests_running": 4,
        "num_requests_waiting": 7,
        "max_num_active_requests": 256,
        "kv_cache_utilization": 0.25,
        "kv_cache_max_blocks": 1000,
        "kv_cache_tokens_per_block": 32,
        "num_requests_completed_total": 11,
    }.items()
) + row("trtllm_request_success_total", 9, model_name="m", finished_reason="stop")

TRITON = (
    "".join(
        row(
            "nv_trt_llm_request_metrics",
            value,
            model="tensorrt_llm",
            version="1",
            request_type=kind,
        )
        for kind, value in {"active": 4, "waiting": 7, "max": 256, "scheduled": 3}.items()
    )
    + "".join(
        row(
            "nv_trt_llm_kv_cache_block_metrics",
            value,
            model="tensorrt_llm",
            kv_cache_block_type=kind,
        )
        for kind, value in {"fraction": 0.25, "max": 1000, "tokens_per": 32, "used": 250}.items()
    )
    + "".join(
        row("nv_inference_request_success", 11, model=model, version="1")
        + row("nv_inference_request_duration_us", us, model=model, version="1")
        for model, us in {"ensemble": 22_000_000, "tensorrt_llm": 20_000_000}.items()
    )
)

NIM = "".join(
    row(name, value, model_name="m")
    for name, value in {
        "num_requests_running": 4,
        "num_requests_waiting": 7,
        "num_request_max": 256,
        "gpu_cache_usage_perc": 0.25,
        "generation_tokens_total": 500,
    }.items()
) + row("request_finish_total", 11, model_name="m", finished_reason="stop")

LLAMACPP = "".join(
    f"llamacpp:{name} {value}\n"
    for name, value in {
        "requests_processing": 4,
        "requests_deferred": 7,
        "tokens_predicted_total": 500,
        "tokens_predicted_seconds_total": 25,
        "n_decode_total": 130,
    }.items()
)

LMDEPLOY = "".join(
    row(f"lmdeploy:{name}", value, model_name="m", engine=engine)
    for engine in ("0", "1")
    for name, value in {
        "num_requests_running": 2,
        "num_requests_waiting": 3,
        "gpu_cache_usage_perc": 0.25,
        "iteration_tokens_total_count": 50,
    }.items()
)

RAY = "".join(
    row(f"ray_vllm{colon}{name}", value, model_name="m", engine="0", ReplicaId=replica)
    for colon in ("_", ":")
    for replica in ("a", "b")
    for name, value in {
        "num_requests_running": 2,
        "num_requests_waiting": 3,
        "kv_cache_usage_perc": 0.25,
    }.items()
)


@pytest.mark.parametrize(
    ("engine", "page", "expected"),
    [
        pytest.param(
            "sglang",
            SGLANG,
            {
                "requests_running": 8,
                "requests_waiting": 2,
                "kv_cache_usage": pytest.approx(0.2),
                "kv_capacity_tokens": 2000,
                "prompt_tokens_total": 100,
                "generation_tokens_total": 70,
                "requests_finished_total": 6,
                "ttft_sum_s": 6,
            },
            id="sglang: ranks of a tensor repeat, ranks of data add up",
        ),
        pytest.param(
            "tgi",
            TGI,
            {
                "requests_running": 4,
                "requests_waiting": 7,
                "kv_cache_usage": 0.25,
                "kv_capacity_tokens": 1200,
                "steps_total": 100,
                "itl_sum_s": 3,
                "itl_count": 90,
                "requests_finished_total": 11,
                "generation_tokens_total": 500,
            },
            id="tgi: a batch's budget stands for the cache",
        ),
        pytest.param(
            "trtllm",
            TRTLLM,
            {
                "requests_running": 4,
                "requests_waiting": 7,
                "max_running": 256,
                "kv_cache_usage": 0.25,
                "kv_blocks": 1000,
                "kv_block_tokens": 32,
                "requests_finished_total": 11,
            },
            id="trtllm-serve",
        ),
        pytest.param(
            "triton",
            TRITON,
            {
                "requests_running": 4,
                "requests_waiting": 7,
                "max_running": 256,
                "kv_cache_usage": 0.25,
                "kv_blocks": 1000,
                "kv_block_tokens": 32,
                "requests_finished_total": 11,
                "e2e_sum_s": pytest.approx(22),
                "e2e_count": 11,
            },
            id="triton: kinds in labels, an ensemble's models are one request",
        ),
        pytest.param(
            "nim",
            NIM,
            {
                "requests_running": 4,
                "requests_waiting": 7,
                "max_running": 256,
                "kv_cache_usage": 0.25,
                "generation_tokens_total": 500,
                "requests_finished_total": 11,
            },
            id="nim 1.x: names without a prefix",
        ),
        pytest.param(
            "llamacpp",
            LLAMACPP,
            {
                "requests_running": 4,
                "requests_waiting": 7,
                "generation_tokens_total": 500,
                "itl_sum_s": 25,
                "itl_count": 500,
                "steps_total": 130,
            },
            id="llama.cpp: no labels at all",
        ),
        pytest.param(
            "lmdeploy",
            LMDEPLOY,
            {
                "requests_running": 4,
                "requests_waiting": 6,
                "kv_cache_usage": 0.25,
                "steps_total": 100,
            },
            id="lmdeploy: two ranks",
        ),
        pytest.param(
            "ray-vllm",
            RAY,
            {"requests_running": 4, "requests_waiting": 6, "kv_cache_usage": 0.25},
            id="vllm in ray: two replicas of a node, under both names",
        ),
    ],
)
def test_an_engine_s_page_is_read(engine, page, expected):
    expected_replica = Replica(name="llm-0", **expected)
    for found in (replica_of(engine, page), replica_of("auto", page, page)):
        assert found == expected_replica


def test_every_engine_of_the_contract_is_there_and_its_names_are_its_own():
    profiles = shipped_profiles()
    assert {"vllm", "sglang", "tgi", "trtllm"} <= set(profiles)
    owners: dict[str, str] = {}
    for name, profile in profiles.items():
        for field in LIVE:
            for metric in profile.readings[field].metrics:
                assert owners.setdefault(metric, name) == name, "auto could not tell them apart"


@pytest.mark.parametrize(
    ("engine", "page", "expected"),
    [
        pytest.param(
            "vllm",
            "".join(
                busy(running=1)
                + row("vllm:cache_config_info", 1, engine=engine, **CONFIG)
                + row("vllm:num_requests_running", 1, engine=engine, model_name="m")
                for engine in ("0", "1")
            ),
            {"requests_running": 2, "kv_blocks": 8192, "kv_capacity_tokens": 1_048_576},
            id="data parallel: blocks are the sum of all engines on each row, tokens are not",
        ),
        pytest.param(
            "sglang",
            sglang("num_running_reqs", 64, engine_type="decode")
            + sglang("num_queue_reqs", 1, engine_type="decode")
            + sglang("num_decode_prealloc_queue_reqs", 80, engine_type="decode")
            + sglang("num_decode_transfer_queue_reqs", 20, engine_type="decode"),
            {"requests_running": 64, "requests_waiting": 101},
            id="sglang: a decode engine queues elsewhere",
        ),
        pytest.param(
            "sglang",
            sglang("num_running_reqs", 3)
            + sglang("num_queue_reqs", 2)
            + sglang("num_grammar_queue_reqs", 4),
            {"requests_running": 3, "requests_waiting": 6},
            id="sglang: grammars are compiled before requests queue",
        ),
        pytest.param(
            "sglang",
            sglang("num_running_reqs", 3, engine_type="prefill")
            + sglang("num_queue_reqs", 2, engine_type="prefill")
            + sglang("num_prefill_bootstrap_queue_reqs", 30, engine_type="prefill")
            + sglang("num_prefill_inflight_queue_reqs", 4, engine_type="prefill"),
            {"requests_running": 3, "requests_waiting": 36},
            id="sglang: so does a prefill engine",
        ),
        pytest.param(
            "llamacpp",
            "".join(
                row("llamacpp:requests_processing", running, model=model)
                + row("llamacpp:requests_deferred", 1, model=model)
                for model, running in (("one", 2), ("two", 3))
            ),
            {"requests_running": 5, "requests_waiting": 2},
            id="llama.cpp: the models of a router",
        ),
        pytest.param(
            "ray-vllm",
            "".join(
                row("ray_vllm_num_requests_running", 2, model_name="m", engine="0", WorkerId=worker)
                for worker in ("a", "b")
            ),
            {"requests_running": 4},
            id="ray before ReplicaId: by worker",
        ),
    ],
)
def test_what_is_counted_by_several_is_added_and_what_repeats_is_not(engine, page, expected):
    found = replica_of(engine, page)
    assert {field: getattr(found, field) for field in expected} == expected


def servers(*pages, pods=None, kind="StatefulSet", engine="vllm"):
    """Return the replicas of pages that come from addresses, or pods, of their own."""
    workload = Workload(
        namespace="serve", scaled_object="llm", kind=kind, name="llm", engine=engine
    )
    observer = Observer(workload)
    for number, page in enumerate(pages):
        pod = pods[number] if pods else "llm-0"
        address = f"10.0.0.1:{8000 + number}"
        observer.scrape(NOW_S, page, namespace="serve", pod=pod, instance=address)
    observer.round(NOW_S, {})
    return observer.window().latest.replicas


def test_two_servers_of_one_pod_are_told_apart_by_their_address():
    (found,) = servers(busy(running=3, waiting=1), busy(running=5, waiting=2))
    assert (found.requests_running, found.requests_waiting) == (8, 3)


def test_a_port_that_two_jobs_scrape_is_one_server():
    observer = Observer()
    for job in ("pods", "services"):
        target = {"namespace": "serve", "pod": "llm-0", "instance": "10.0.0.1:8000", "job": job}
        observer.scrape(NOW_S, busy(running=3), **target)
    observer.round(NOW_S, {})
    assert observer.window().latest.replicas[0].requests_running == 3


@pytest.mark.parametrize("renamed", ["llm-0", "gpu-1"], ids=["the pod's name", "the node's"])
def test_an_instance_that_another_job_calls_otherwise_is_no_second_server(renamed):
    observer = Observer()
    for instance in ("10.0.0.1:8000", renamed):
        target = {"namespace": "serve", "pod": "llm-0", "instance": instance, "job": instance}
        observer.scrape(NOW_S, busy(running=3), **target)
    observer.round(NOW_S, {})
    assert observer.window().latest.replicas[0].requests_running == 3


def test_a_pod_that_came_back_at_another_address_is_not_there_twice():
    observer = Observer()
    for age, address in ((1, "10.0.0.1:8000"), (0, "10.0.0.9:8000")):
        target = {"namespace": "serve", "pod": "llm-0", "instance": address}
        observer.scrape(NOW_S - age * STEP_S, busy(running=3), **target)
    observer.round(NOW_S, {})
    assert [one.replicas[0].requests_running for one in observer.window().samples] == [3, 3]


GROUP = {"pods": ("llm-0", "llm-0-1"), "kind": "LeaderWorkerSet"}


@pytest.mark.parametrize("ranks", [("0", "1"), ("0", "0")], ids=["ranks go on", "each begins at 0"])
def test_of_a_group_whose_every_pod_serves_all_ranks_count(ranks):
    pages = [
        row("vllm:num_requests_running", running, engine=rank, model_name="m")
        + row("vllm:kv_cache_usage_perc", usage, engine=rank, model_name="m")
        + row("vllm:cache_config_info", 1, engine=rank, **CONFIG)
        for rank, running, usage in zip(ranks, (8, 16), (0.2, 0.6), strict=True)
    ]
    (found,) = servers(*pages, **GROUP)
    assert (found.name, found.requests_running) == ("llm-0", 24)
    assert (found.kv_cache_usage, found.kv_blocks) == (pytest.approx(0.4), 16_384)


def test_tensor_ranks_of_one_engine_over_two_pods_repeat_one_another():
    pages = [sglang("num_running_reqs", 9, tp_rank=rank, dp_rank="0") for rank in ("0", "8")]
    (found,) = servers(*pages, **GROUP, engine="sglang")
    assert found.requests_running == 9


def test_a_group_of_which_a_server_fell_silent_is_not_the_sum_of_the_others():
    workload = Workload(namespace="serve", scaled_object="llm", kind="LeaderWorkerSet", name="llm")
    observer = Observer(workload)
    for age in range(8, -1, -1):
        pods = ("llm-0", "llm-0-1") if age > 4 else ("llm-0",)
        page = busy(running=4, generation_tokens_total=1e6 - age)
        observer.round(NOW_S - age * STEP_S, dict.fromkeys(pods, page))
    counts = [one.replicas[0].requests_running for one in observer.window().samples]
    assert counts == [8, 8, 8, 8, 8, 8, None, None, None]


def test_a_server_that_began_anew_beside_another_is_no_burst():
    observer = Observer()
    for at, tokens in enumerate((900_000, 900_010, 5, 15)):
        for port, counted in (("8000", 500_000 + 10 * at), ("8001", tokens)):
            target = {"namespace": "serve", "pod": "llm-0", "instance": f"10.0.0.1:{port}"}
            page = busy(generation_tokens_total=counted)
            observer.scrape(NOW_S - (3 - at) * STEP_S, page, **target)
    observer.round(NOW_S, {})
    samples = observer.window().samples
    found = [increase(*pair, "generated") for pair in itertools.pairwise(samples)]
    rises = [None if math.isnan(rise) else rise for rise in found]
    assert rises == [20, None, None]


def test_a_stuck_scheduler_is_told_by_its_throughput_alone():
    def page(throughput):
        return (
            sglang("num_running_reqs", 4)
            + sglang("num_queue_reqs", 0)
            + sglang("gen_throughput", throughput)
            + sglang("generation_tokens_total", 7)  # moves when a request ends
        )

    assert replica_of("sglang", page(90.1), page(90.2), page(90.3)).requests_running == 4
    assert replica_of("sglang", page(90.1), page(90.1), page(90.1)).requests_running is None


def test_an_engine_left_to_be_found_out_asks_for_more_once_it_is_found():
    observer = observer_of("auto")
    asked = [w for w in observer.assembly.wanted(observer.workloads) if w.exporter == "engine"]
    signs = {m for p in shipped_profiles().values() for one in p.signs for m in one.metrics}
    assert {metric for wanted in asked for metric in wanted.metrics} == {"up", *signs}
    assert len(asked) == 1 + len(shipped_profiles())
    observer.round(NOW_S, {"llm-0": busy()})
    found = observer.assembly.wanted(observer.workloads)
    assert any("vllm:generation_tokens_total" in wanted.metrics for wanted in found)
    assert not any("tgi_request_success" in wanted.metrics for wanted in found)


MINE = {"readings": {"requests_running": "mine_running", "requests_waiting": "mine_waiting"}}


def test_a_user_s_own_engine_needs_no_code():
    profiles = parse_profiles({"mine": MINE})
    page = "mine_running 3\nmine_waiting 1\n"
    assert replica_of("mine", page, profiles=profiles) == Replica(
        name="llm-0", requests_running=3, requests_waiting=1
    )


def test_a_user_changes_some_names_of_an_engine():
    changed = {"extends": "vllm", "readings": {"requests_waiting": "held"}}
    profiles = parse_profiles({"fork": changed}, known=shipped_profiles())
    page = busy(running=2, waiting=9) + "held 4\n"
    replica = replica_of("fork", page, profiles=profiles)
    assert (replica.requests_running, replica.requests_waiting) == (2, 4)


def test_profiles_may_extend_one_another_in_any_order():
    profiles = parse_profiles({"a": {"extends": "b"}, "b": MINE})
    assert profiles["a"].readings == profiles["b"].readings


@pytest.mark.parametrize(
    ("document", "field", "says"),
    [
        pytest.param("vllm", "engines.x", "allowed: a mapping", id="a text"),
        pytest.param(
            {"readings": {"requests_running": "a"}}, "engines.x.readings", "both", id="half of it"
        ),
        pytest.param(
            {**MINE, "reading": {}}, "engines.x.reading", "did you mean readings?", id="misspelt"
        ),
        pytest.param(
            {"readings": {**MINE["readings"], "running": "a"}},
            "engines.x.readings.running",
            "did you mean",
            id="a field that there is not",
        ),
        pytest.param(
            {**MINE, "extends": "vlm"}, "engines.x.extends", "one of", id="no such parent"
        ),
        pytest.param(
            {"readings": {**MINE["readings"], "steps_total": {"metrics": "a", "combine": "avg"}}},
            "engines.x.readings.steps_total.combine",
            "sum, mean, max",
            id="no such way to combine",
        ),
        pytest.param(
            {"readings": {**MINE["readings"], "steps_total": {"metrics": "a", "scale": "1k"}}},
            "engines.x.readings.steps_total.scale",
            "a number above 0",
            id="no number",
        ),
        pytest.param(
            {"readings": {**MINE["readings"], "steps_total": {"label": "a"}}},
            "engines.x.readings.steps_total.metrics",
            "the name of a metric",
            id="no metric",
        ),
    ],
)
def test_a_profile_that_is_wrong_says_where_and_what_is_allowed(document, field, says):
    with pytest.raises(ConfigurationError) as caught:
        parse_profiles({"x": document})
    assert field in [problem.field for problem in caught.value.problems]
    assert says in str(caught.value)


def test_fields_of_a_profile_are_fields_of_a_replica():
    fields = {field.name for field in dataclasses.fields(Replica)}
    for profile in shipped_profiles().values():
        assert set(profile.readings) <= fields
