"""
What a simulated replica shows on ``/metrics``, under vLLM 0.32's names, labels, types and units.

Only the families that an engine profile, a dashboard or a person reads: a whole page is 50 KB.
"""

from scaler.simulation.fleet import Replica

from .exposition import Page

FINISHED = ("stop", "length", "abort", "error", "repetition")
GPU_MEMORY_UTILIZATION = 0.92


def vllm_page(replica: Replica, now_s: float) -> str:
    """Return the page of a replica that serves, at an instant of the simulation."""
    engine = replica.engine
    reading = engine.read(now_s)
    labels = {"engine": "0", "model_name": replica.fleet.model}
    page = Page()

    def gauge(name: str, value: float, **more: str) -> None:
        page.family(f"vllm:{name}", "gauge", ({**labels, **more}, value))

    def counter(name: str, value: float) -> None:
        page.family(f"vllm:{name}", "counter", (labels, value))

    gauge("num_requests_running", reading.requests_running)
    gauge("num_requests_waiting", reading.requests_waiting)
    page.family(
        "vllm:num_requests_waiting_by_reason",
        "gauge",
        ({**labels, "reason": "capacity"}, reading.requests_waiting),
        ({**labels, "reason": "deferred"}, 0),
    )
    page.family(
        "vllm:engine_sleep_state",
        "gauge",
        *(
            ({**labels, "sleep_state": state}, state == "awake")
            for state in ("awake", "weights_offloaded", "discard_all")
        ),
    )
    gauge("kv_cache_usage_perc", reading.kv_cache_usage)
    counter("num_preemptions_total", reading.preemptions_total)
    counter("prompt_tokens_total", reading.prompt_tokens_total)
    page.family(
        "vllm:prompt_tokens_by_source_total",
        "counter",
        ({**labels, "source": "local_compute"}, reading.prompt_tokens_total),
        ({**labels, "source": "local_cache_hit"}, 0),
        ({**labels, "source": "external_kv_transfer"}, 0),
    )
    counter("generation_tokens_total", reading.generation_tokens_total)
    page.family(
        "vllm:request_success_total",
        "counter",
        *(
            (
                {**labels, "finished_reason": reason},
                reading.requests_finished_total if reason == "stop" else 0,
            )
            for reason in FINISHED
        ),
    )
    _histograms(page, replica, now_s, labels)
    _cache_config(page, replica)
    return page.text


def _histograms(page: Page, replica: Replica, now_s: float, labels: dict[str, str]) -> None:
    engine = replica.engine
    itl_s, step_tokens = engine.shown(now_s)
    for name, buckets in (
        ("request_prompt_tokens", engine.request_prompt_tokens),
        ("request_generation_tokens", engine.request_generation_tokens),
        ("iteration_tokens_total", step_tokens),
        ("time_to_first_token_seconds", engine.ttft_s),
        ("inter_token_latency_seconds", itl_s),
        ("e2e_request_latency_seconds", engine.e2e_s),
        ("request_queue_time_seconds", engine.queue_s),
    ):
        page.histogram(f"vllm:{name}", labels, buckets)


def _cache_config(page: Page, replica: Replica) -> None:
    """Add the info metric; some of its labels, since each release changes the set."""
    config = replica.fleet.engine
    tokens = config.num_blocks * config.block_tokens
    page.family(
        "vllm:cache_config_info",
        "gauge",
        (
            {
                "block_size": str(config.block_tokens),
                "cache_dtype": "auto",
                "enable_prefix_caching": "False",
                "engine": "0",
                "gpu_memory_utilization": str(GPU_MEMORY_UTILIZATION),
                "kv_cache_max_concurrency": str(tokens / config.max_model_len),
                "kv_cache_size_tokens": str(tokens),
                "num_gpu_blocks": str(config.num_blocks),
            },
            1,
        ),
    )
