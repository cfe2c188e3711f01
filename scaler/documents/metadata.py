"""
The keys of trigger metadata, per role.

Policies declare most of them; the rest, which say *what* is scaled rather than how far, are
declared here in the same way. The parser, the JSON Schema and the reference page read these.
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from scaler.capacity.gpu_memory import FRACTION
from scaler.capacity.kv_cache.serving import Layers, Whole
from scaler.capacity.question import Gib
from scaler.decision.policy import InferencePolicy, LendingPolicy, Share
from scaler.source import Role

from .keys import Key, keys_of
from .names import CONFIGURED, LABELS, MEMBERS, MODEL, PORT, PRESET, TARGET, ScaleTarget

KEDA_KEYS = frozenset(
    (
        "scalerAddress",
        "enableTLS",
        "unsafeSsl",
        "caCert",
        "tlsClientCert",
        "tlsClientKey",
        "tlsCertFile",
    )
)
"""KEDA reads these itself and forwards them with the rest: keda.sh/docs/latest/scalers/external."""
FROM_ENV = "FromEnv"
"""KEDA resolves ``xFromEnv`` and forwards the value under that name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SharedKeys:
    """Keys of both roles that are not part of a policy."""

    role: Role = Role.INFERENCE
    """What the trigger scales: inference replicas, or training workers on idle units."""
    prometheus: Annotated[str, CONFIGURED] = "default"
    """A server that the configuration names."""
    workload: Annotated[ScaleTarget | None, TARGET] = None
    """What is scaled; default: the ScaledObject's target, else a Deployment of its name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class InferenceKeys:
    """Keys of an inference trigger that are not part of its policy."""

    selector: Annotated[tuple[tuple[str, str], ...], LABELS] = ()
    """Labels of the engine's series, where pod names do not tell them."""
    engine: Annotated[str, CONFIGURED] = "vllm"
    """What serves: a built-in profile, one that the configuration names, or auto."""
    gateway: Annotated[str | None, CONFIGURED] = None
    """Whose requests wake the workload from zero: a preset, or one that the configuration names."""
    gateway_selector: Annotated[tuple[tuple[str, str], ...], LABELS] = ()
    """Labels of this workload's series at the gateway."""
    arrival_query: Annotated[str | None, CONFIGURED] = None
    """An arrival counter that the configuration names."""
    direct_scrape_port: Annotated[int | None, PORT] = None
    """Port of the pods' own /metrics, read each second between two scrapes of Prometheus, where the
    server allows it (directScrape)."""
    preset: Annotated[str | None, PRESET] = None
    """Defaults of another autoscaler; stated keys win over them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CapacityKeys:
    """Keys from which the KV cache of a replica is computed; those of ``kvtide capacity``."""

    model: Annotated[str | None, MODEL] = None
    """What is served, by its name on the hub, or one that the configuration names."""
    engine_version: str | None = None
    """Release whose rules are meant; default: the newest that is known."""
    gpu: str | None = None
    """Name of the GPU, such as H100 or A100-80GB."""
    gpu_memory_gib: Gib | None = None
    """Memory of one GPU as CUDA reports it, where the name is not known."""
    gpu_memory_utilization: Annotated[Share, FRACTION] | None = None
    """Share of it that the engine takes; default: the engine's own."""
    available_kv_gib: Gib | None = None
    """Cache memory of one GPU as the engine's log prints it; nothing is estimated then."""
    weights_gib: Gib | None = None
    """Weights on one GPU as the engine's log prints them."""
    quantization: str | None = None
    """How the weights are stored, such as fp8 or awq; default: what the model says."""
    tensor_parallel: Whole | None = None
    """Tensor-parallel ranks of one replica."""
    pipeline_parallel: Whole | None = None
    """Pipeline stages of one replica."""
    data_parallel: Whole | None = None
    """Engines in one replica."""
    kv_cache_dtype: str | None = None
    """How the cache is stored, such as auto or fp8."""
    block_size: Whole | None = None
    """Tokens of one block; default: the engine's own."""
    max_num_batched_tokens: Whole | None = None
    """Tokens of one engine step; default: the engine's own."""
    draft_layers: Layers | None = None
    """Layers of a drafter that own a cache: 1 for the checkpoint's own (MTP)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainingKeys:
    """Keys of a training trigger that are not part of its policy."""

    pool: Annotated[str | None, CONFIGURED] = None
    """A pool that the configuration names, instead of poolUnits, reservedUnits, poolWorkloads."""
    pool_workloads: Annotated[tuple[str, ...], MEMBERS] = ()
    """The online workloads of the pool, namespace/scaledobject each."""


DECLARED: Mapping[Role, tuple[type, ...]] = {
    Role.INFERENCE: (SharedKeys, InferenceKeys, CapacityKeys, InferencePolicy),
    Role.TRAINING: (SharedKeys, TrainingKeys, LendingPolicy),
}
"""Where the keys of a role are declared, in the order of the reference page."""
KEYS: Mapping[Role, tuple[Key, ...]] = {
    role: tuple(key for kind in kinds for key in keys_of(kind)) for role, kinds in DECLARED.items()
}
NAMES: Mapping[Role, frozenset[str]] = {
    role: frozenset(key.name for key in keys) for role, keys in KEYS.items()
}
