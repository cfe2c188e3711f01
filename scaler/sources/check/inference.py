"""Whether an inference trigger can see its load, wake from zero and keep its engines safe."""

from collections.abc import Iterator

from scaler.decision.policy import SignalName
from scaler.sources.documents.engines import engine_profiles
from scaler.sources.documents.forms import DURATIONS

from .finding import Finding, error, warning
from .scaled_object import MAX_REPLICAS, POLLING_INTERVAL_S
from .seen import Seen


def flat_signals(seen: Seen) -> Iterator[Finding]:
    if seen.inference is None:
        return
    policy, workload = seen.inference
    field, chosen = "spec.triggers.metadata.metrics", set(policy.metrics)
    engine = workload.engine
    if chosen == {SignalName.GPU_UTILIZATION}:
        yield error(
            field,
            "gpu-utilization alone never scales: it moves with batching and not with load, and "
            "only supports another signal. Add concurrency or work",
        )
    elif chosen <= {SignalName.GPU_MEMORY, SignalName.GPU_UTILIZATION}:
        profile = engine_profiles(seen.configuration).get(engine)
        flat = profile is None or profile.allocates_up_front
        yield (error if flat else warning)(
            field,
            f"GPU memory alone: {engine} allocates its KV cache at start-up, so that it reads the "
            "same idle and full. Add concurrency or work"
            if flat
            else "GPU memory alone is a guard and sees load late. Add concurrency or work",
        )
    if SignalName.RPS in chosen and engine not in seen.configuration.engines:
        yield warning(
            field,
            f"rps with {engine}: generated requests differ a thousandfold in cost. It suits "
            "embeddings and rerankers; else use work or concurrency",
        )


def waking(seen: Seen) -> Iterator[Finding]:
    if seen.inference is None or seen.object.floor > 0:
        return
    policy, workload = seen.inference
    if policy.min_replicas or policy.tier_group is not None:
        return  # it stays awake, or its group's demand wakes it
    field = (
        "spec.minReplicaCount"
        if seen.object.spec.idle_replica_count is None
        else "spec.idleReplicaCount"
    )
    if workload.gateway is None and workload.arrival_query is None:
        more = len(seen.object.spec.triggers) > 1
        yield (warning if more else error)(
            field,
            "0 without a gateway or arrivalQuery: engines have no series at zero replicas, so "
            "that kvtide never sees the request that should wake it. State minReplicaCount: 1, or "
            "a gateway",
        )
    elif seen.spec.type == "external":
        polling = seen.object.spec.polling_interval or POLLING_INTERVAL_S
        yield warning(
            "spec.triggers.type",
            f"external wakes from zero at the next poll ({polling} s); external-push within "
            "milliseconds",
        )


def idle_replicas(seen: Seen) -> Iterator[Finding]:
    spec = seen.object.spec
    if not seen.is_training and spec.idle_replica_count is not None:
        yield warning(
            "spec.idleReplicaCount",
            f"the first request starts minReplicaCount ({spec.min_replica_count}) replicas at "
            "once, and none between is ever used. It is meant for training gangs",
        )


def replicas_that_keda_allows(seen: Seen) -> Iterator[Finding]:
    if seen.inference is None:
        return
    (policy, _), spec = seen.inference, seen.object.spec
    if spec.max_replica_count is None and policy.max_replicas is None:
        yield warning(
            "spec.maxReplicaCount",
            f"not stated: KEDA's default is {MAX_REPLICAS} replicas. State how many GPUs there are",
        )
    most = spec.max_replica_count or MAX_REPLICAS
    for key, wanted in (("minReplicas", policy.min_replicas), ("maxReplicas", policy.max_replicas)):
        if wanted is not None and wanted > most:
            yield warning(
                f"spec.triggers.metadata.{key}",
                f"{wanted} is above what KEDA allows (maxReplicaCount {most}): never reached",
            )


def windows_and_scrapes(seen: Seen) -> Iterator[Finding]:
    """Yield the scrape interval that the stated windows need."""
    if seen.trigger is None:
        return
    server = seen.configuration.prometheus.get(seen.trigger.workload.prometheus)
    interval_s = None if server is None else server.scrape_interval.engine_s
    panic_s = seen.trigger.policy.panic_window_s
    if interval_s is not None and 2 * interval_s > panic_s:
        text = DURATIONS.write
        yield warning(
            "spec.triggers.metadata.stableWindow",
            f"its panic window of {text(panic_s)} needs a scrape interval of {text(panic_s / 2)} "
            f"or less; at {text(interval_s)} it is {text(2 * interval_s)}. Scrape the engines more "
            "often, or lengthen stableWindow or panicWindowPercentage",
        )


def engine_admits(seen: Seen) -> Iterator[Finding]:
    if seen.inference is None:
        return
    policy, _ = seen.inference
    if policy.max_num_seqs is None or policy.max_concurrency is None:
        return
    if policy.max_num_seqs > policy.max_concurrency:
        yield warning(
            "spec.triggers.metadata.maxNumSeqs",
            f"{policy.max_num_seqs} is above the safe concurrency of {policy.max_concurrency}: the "
            f"engine admits more than is safe. Start it with --max-num-seqs "
            f"{policy.max_concurrency}, or limit the gateway",
        )


RULES = (
    flat_signals,
    waking,
    idle_replicas,
    replicas_that_keda_allows,
    windows_and_scrapes,
    engine_admits,
)
