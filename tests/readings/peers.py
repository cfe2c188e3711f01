"""What engines and gateways expose, and what is right to read of it: one list for all databases."""

import dataclasses
import pathlib

from scaler.source import Workload
from tests.readings.worlds import row

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
Expected = tuple[float | None, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peer:
    """One page, and what is right to read of it."""

    what: str
    version: str
    page: str
    right: Expected
    """Engines: running, waiting, share of the KV cache. Gateways: in flight, waiting, arrivals."""
    engine: str = "vllm"
    gateway: str | None = None
    selector: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """What its pod is called."""
        kept = (one if one.isalnum() else "-" for one in f"{self.what}-{self.version}".lower())
        return "-".join("".join(kept).split("-")).strip("-")

    @property
    def workload(self) -> Workload:
        return Workload(
            namespace="serve",
            scaled_object=self.name,
            kind="StatefulSet",
            name=self.name,
            engine=self.engine,
            gateway=self.gateway,
            gateway_selector=self.selector
            or ((("pod", f"{self.name}-0"),) if self.gateway else ()),
        )


def captured(name: str) -> str:
    return (FIXTURES / f"{name}.prom").read_text(encoding="utf-8")


def rows(prefix: str, values: dict[str, float], **labels: str) -> str:
    return "".join(row(prefix + name, value, **labels) for name, value in values.items())


TOKENS = {"generation_tokens_total": 70}  # moves, or the engine is frozen
VLLM = {"num_requests_running": 3, "num_requests_waiting": 1, "kv_cache_usage_perc": 0.4} | TOKENS
VLLM_LABELS = {"model_name": "m", "engine": "0"}
SGLANG = {"num_running_reqs": 12, "num_queue_reqs": 4, "token_usage": 0.5} | TOKENS
LMDEPLOY = {"num_requests_running": 12, "num_requests_waiting": 4, "gpu_cache_usage_perc": 0.5}
LMDEPLOY |= TOKENS

ENGINES = (
    Peer(what="vLLM", version="0.28.0", page=captured("vllm-0.28.0"), right=(4, 28, 0.0039)),
    Peer(what="vLLM", version="0.32.0", page=captured("vllm-0.32.0"), right=(5, 10, 1)),
    Peer(
        what="vLLM, data parallel",
        version="0.32.0",
        page=captured("vllm-0.32.0-dp2"),
        right=(8, 8, 0.0029),
    ),
    Peer(
        what="vLLM, asleep", version="0.32.0", page=captured("vllm-0.32.0-asleep"), right=(0, 0, 0)
    ),
    Peer(
        what="vLLM, KServe's monitors",
        version="LLMInferenceService",
        page=rows("kserve_vllm:", VLLM, **VLLM_LABELS),
        right=(3, 1, 0.4),
    ),
    Peer(
        what="vLLM, both copies",
        version="Open Data Hub",
        page=rows("vllm:", VLLM, **VLLM_LABELS) + rows("kserve_vllm:", VLLM, **VLLM_LABELS),
        right=(3, 1, 0.4),
    ),
    Peer(
        what="vLLM, OpenTelemetry",
        version="suffixes",
        page=rows(
            "vllm_",
            {
                "num_requests_running": 3,
                "num_requests_waiting": 1,
                "kv_cache_usage_perc_ratio": 0.4,
            }
            | TOKENS,
            **VLLM_LABELS,
        ),
        right=(3, 1, 0.4),
    ),
    Peer(
        what="vLLM in Ray Serve",
        version="Ray 2.60.0",
        page=captured("ray-vllm-2.60.0"),
        engine="ray-vllm",
        right=(2, 1, 0.0029),
    ),
    Peer(
        what="SGLang in Ray",
        version="names of 0.5.23",
        page=rows(
            "ray_sglang_",
            SGLANG,
            model_name="m",
            engine_type="unified",
            tp_rank="0",
            ReplicaId="",
            WorkerId="a1",
        ),
        engine="ray-sglang",
        right=(12, 4, 0.5),
    ),
    Peer(
        what="Dynamo's mocker",
        version="1.6.1",
        page=captured("dynamo-mocker-1.6.1"),
        right=(4, 8, 0.05),
    ),
    Peer(
        what="llama.cpp",
        version="11434",
        page=captured("llama.cpp-11434"),
        engine="llamacpp",
        right=(2, 4, None),
    ),
    *(
        Peer(
            what=f"{what}, {how}",
            version=version,
            page=rows(f"{engine}{colon}", values, model_name="m"),
            engine=engine,
            right=(12, 4, 0.5),
        )
        for what, version, engine, values in (
            ("SGLang", "0.5.23", "sglang", SGLANG),
            ("LMDeploy", "0.18", "lmdeploy", LMDEPLOY),
        )
        for colon, how in ((":", "as exposed"), ("_", "legacy names"))
    ),
)

GATEWAYS = (
    *(
        Peer(
            what=what,
            version=version,
            page=captured(f"gateways/{page}"),
            gateway=gateway,
            selector=selector,
            right=right,
        )
        for what, version, gateway, page, selector, right in (
            ("vllm-router", "0.1.17", "vllm-router", "vllm-router-0.1.17", (), (None, None, 4)),
            (
                "vllm-router, no worker",
                "0.1.17",
                "vllm-router",
                "vllm-router-0.1.17-noworker",
                (),
                (None, None, 3),
            ),
            ("sglang-router", "0.3.2", "sglang-router", "sglang-router-0.3.2", (), (4, None, 4)),
            ("smg", "1.13.0", "smg", "smg-1.13.0", (), (3, None, 6)),
            ("smg, no worker", "1.13.0", "smg", "smg-1.13.0-noworker", (), (0, None, 3)),
            (
                "Dynamo's frontend",
                "1.6.1",
                "dynamo",
                "dynamo-1.6.1",
                (("model", "tiny"),),
                (12, None, 0),
            ),
            (
                "LiteLLM",
                "1.108.7",
                "litellm",
                "litellm-1.108.7",
                (("requested_model", "chat"),),
                (None, None, 8),
            ),
            (
                "Ray Serve",
                "2.60.0",
                "ray-serve",
                "ray-serve-2.60.0",
                (("application", "llm"), ("deployment", "LLM")),
                (3, None, 3),
            ),
        )
    ),
    Peer(
        what="KEDA HTTP add-on",
        version="0.14",
        gateway="keda-http",
        selector=(("route_name", "chat"),),
        page=row("interceptor_request_concurrency", 2, route_name="chat", route_namespace="serve")
        + row("interceptor_request_count_total", 9, route_name="chat", route_namespace="serve"),
        right=(2, None, 9),
    ),
    Peer(
        what="KEDA HTTP add-on",
        version="0.13",
        gateway="keda-http",
        selector=(("host", "llm.example.com"),),
        page=row("interceptor_pending_request_count", 2, host="llm.example.com")
        + row("interceptor_request_count_total", 9, host="llm.example.com", code="200"),
        right=(2, None, 9),
    ),
    Peer(
        what="llm-d's picker",
        version="September 2026",
        gateway="inference-extension",
        selector=(("inference_pool", "big"),),
        page=row("llm_d_epp_ready_endpoints", 0, name="big")
        + row("llm_d_epp_flow_control_queue_size", 3, inference_pool="big"),
        right=(None, 3, None),
    ),
    Peer(
        what="kthena's router, asked for a model without a pod",
        version="as its source has it",
        gateway="kthena",
        selector=(("model", "asleep"),),
        page=row("kthena_router_active_downstream_requests", 0, model="asleep")
        + row("kthena_router_requests_total", 3, model="asleep", status_code="404")
        + row("kthena_router_requests_total", 5, model="unknown", status_code="404"),
        right=(0, None, 3),
    ),
    Peer(
        what="kthena's router",
        version="as documented",
        gateway="kthena",
        selector=(("model", "m"),),
        page=row("kthena_router_active_downstream_requests", 4, model="m")
        + row("kthena_router_requests_total", 6, model="m", status_code="200"),
        right=(4, None, 6),
    ),
)
