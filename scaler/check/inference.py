"""Whether an inference trigger can see its load, wake from zero and keep its engines safe."""

from collections.abc import Iterator

from scaler.autoscaling import MAX_REPLICAS
from scaler.capacity.gpus import mig_profile
from scaler.capacity.planned import Planned
from scaler.decision.policy import Forecast, OnBurst, SignalName
from scaler.documents.capacity import knows_memory, planned_replica
from scaler.documents.engines import engine_profiles
from scaler.documents.forms import DURATIONS
from scaler.documents.gateways import gateway_profile
from scaler.documents.keys import read
from scaler.documents.metadata import KEYS
from scaler.readings.buckets import buckets_of
from scaler.source import Role

from .finding import METADATA, Finding, error, warning
from .seen import Seen


def flat_signals(seen: Seen) -> Iterator[Finding]:
    if seen.inference is None:
        return
    policy, workload = seen.inference
    field, chosen = f"{METADATA}metrics", set(policy.metrics)
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
        return
    gateway = gateway_profile(seen.configuration, str(workload.gateway))
    if workload.arrival_query is None and gateway is not None and gateway.cannot_wake:
        yield error(
            field,
            f"0 behind the gateway {gateway.name}: {gateway.cannot_wake}, so that nothing wakes it."
            " State minReplicaCount: 1, or an arrivalQuery",
        )
    elif seen.spec.type == "external":
        polling = seen.object.polling_s
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
                f"{METADATA}{key}",
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
            f"{METADATA}stableWindow",
            f"its panic window of {text(panic_s)} needs a scrape interval of {text(panic_s / 2)} "
            f"or less; at {text(interval_s)} it is {text(2 * interval_s)}. Scrape the engines more "
            "often, or lengthen stableWindow or panicWindowPercentage",
        )


def percentile_is_shown(seen: Seen) -> Iterator[Finding]:
    """Yield a percentile that the engine has no histogram for."""
    if seen.inference is None:
        return
    policy, workload = seen.inference
    profile = engine_profiles(seen.configuration).get(workload.engine)
    for key, target, count, name in (
        ("itlTarget", policy.itl_target, "itl_count", "inter-token latency"),
        ("ttftTarget", policy.ttft_target, "ttft_count", "time to first token"),
    ):
        if target is None or target.percentile is None or profile is None:
            continue
        if buckets_of(profile.readings.get(count)) is None:
            yield warning(
                f"{METADATA}{key}",
                f"p{target.percentile:g} of {name}: {workload.engine} shows no histogram of it, so "
                "that its mean is held instead",
            )


def pages_that_are_read(seen: Seen) -> Iterator[Finding]:
    """Yield a port of pods' pages that the server's own settings leave unread."""
    server = seen.configuration.server
    if not server or seen.inference is None or seen.inference[1].direct_scrape_port is None:
        return
    field = f"{METADATA}directScrapePort"
    if server.get("kubernetes") == "off":
        yield warning(
            field,
            "no pod is read between scrapes: the section server says kubernetes: off, and only the"
            " Kubernetes API tells of pods and their addresses",
        )
    elif server.get("directScrape") is not True:
        yield warning(
            field,
            "no pod is read between scrapes unless the server is told --direct-scrape true or"
            " KVTIDE_DIRECT_SCRAPE: the section server has no directScrape: true",
        )


def absorbed_by_a_forecast(seen: Seen) -> Iterator[Finding]:
    """Yield a burst to be absorbed where nothing foresees it."""
    if seen.inference is None or seen.inference[0].burst is not OnBurst.ABSORB:
        return
    policy, _ = seen.inference
    if policy.forecast is not Forecast.RISE:
        yield warning(
            f"{METADATA}burst",
            f"absorb rests on forecast: rise, and forecast is {policy.forecast}: nothing is ready",
        )
    elif policy.tier_group is not None:
        yield warning(f"{METADATA}burst", "absorb has no effect on tiers of a group")


def engine_admits(seen: Seen) -> Iterator[Finding]:
    """Yield an engine that starts more requests than are safe: a limit that nothing enforces."""
    if seen.inference is None:
        return
    policy, _ = seen.inference
    planned = _planned(seen)
    running, safe = policy.max_num_seqs, policy.max_concurrency
    if planned is not None and planned.lengths is not None:
        running = min((b.requests for b in planned.safe.bounds[1:]), default=running)
        safe = min(planned.kv_requests, safe or planned.kv_requests)
    if running is not None and safe is not None and running > safe > 0:
        yield warning(
            f"{METADATA}maxNumSeqs",
            f"the engine runs up to {running} requests at once, above the safe concurrency of "
            f"{safe}. Start it with --max-num-seqs {safe}, or limit the gateway",
        )


def model_fits(seen: Seen) -> Iterator[Finding]:
    planned = _planned(seen)
    if planned is not None and not planned.kv_requests:
        yield warning(
            f"{METADATA}model",
            "by the estimate not one request fits beside the weights. kvtide capacity shows the "
            "steps; state availableKvGiB if the engine's log says otherwise",
        )


def gpu_of_the_pool(seen: Seen) -> Iterator[Finding]:
    """The GPU that a capacity is computed for is the slice that the pool hands out."""
    stated = seen.spec.metadata.get("gpu")
    if seen.inference is None or not isinstance(stated, str):
        return
    for name, pool in seen.configuration.pools.items():
        profile = mig_profile(pool.resource)
        if seen.object.key not in pool.workloads or profile == mig_profile(stated):
            continue
        unit = f"MIG {profile} slices" if profile else "whole GPUs"
        yield warning(
            f"{METADATA}gpu",
            f"its capacity is computed for {stated}, and a unit of pool {name} is "
            f"{pool.resource}: {unit}. State the GPU that a replica gets",
        )


def _planned(seen: Seen) -> Planned | None:
    """Return the replica on paper, where its model and memory are stated."""
    texts = {key: text for key, text in seen.spec.metadata.items() if isinstance(text, str)}
    values, _ = read(KEYS[Role.INFERENCE], texts)
    if seen.inference is None or "model" not in values or not knows_memory(values):
        return None
    return planned_replica(values, seen.configuration.models)


RULES = (
    flat_signals,
    waking,
    idle_replicas,
    replicas_that_keda_allows,
    windows_and_scrapes,
    percentile_is_shown,
    pages_that_are_read,
    absorbed_by_a_forecast,
    engine_admits,
    model_fits,
    gpu_of_the_pool,
)
