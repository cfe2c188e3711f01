"""
One instant of one workload, as its engines, GPUs, gateway and cluster report it.

Units are in the names. ``None`` means "not reported" (missing, stale, contradictory); a reading is
never NaN and never a zero that stands for silence.
"""

import dataclasses

from scaler.capacity.histogram import Histogram


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """
    One replica with a live engine series: a pod, or a LeaderWorkerSet group.

    Engine readings are already added over data-parallel ranks and model names and taken as the
    maximum over tensor- and pipeline-parallel ranks; GPU readings are averaged over the
    replica's GPUs.
    """

    name: str
    """The pod, or the leader of the group."""
    requests_running: float | None = None
    requests_waiting: float | None = None
    kv_cache_usage: float | None = None
    """Share of the engine's KV blocks in use, 0 to 1."""
    kv_blocks: float | None = None
    """KV-cache blocks the engine reports for this replica (all data-parallel ranks)."""
    kv_block_tokens: float | None = None
    """Tokens in one block of the layer group with the smallest block, as the engine reports it."""
    kv_capacity_tokens: float | None = None
    """Token capacity as the engine prints it; only meaningful for uniform models."""
    max_running: float | None = None
    """The engine's own limit on running requests, where it exports one."""
    steps_total: float | None = None
    """Counter: engine steps (iterations)."""
    prompt_tokens_total: float | None = None
    """Counter: prompt tokens computed (prefix-cache hits excluded where the engine says)."""
    generation_tokens_total: float | None = None
    """Counter: tokens generated."""
    requests_finished_total: float | None = None
    """Counter: requests finished, for whatever reason."""
    itl_sum_s: float | None = None
    """Counter: sum of inter-token latencies, seconds."""
    itl_count: float | None = None
    itl_buckets: Histogram | None = None
    """Counters: inter-token latencies by length; read where a percentile is a target."""
    ttft_sum_s: float | None = None
    """Counter: sum of times to first token, seconds."""
    ttft_count: float | None = None
    ttft_buckets: Histogram | None = None
    """Counters: times to first token by length; read where a percentile is a target."""
    e2e_sum_s: float | None = None
    """Counter: sum of end-to-end request latencies, seconds."""
    e2e_count: float | None = None
    preemptions_total: float | None = None
    gpu_memory_used_mib: float | None = None
    gpu_memory_free_mib: float | None = None
    gpu_engine_active: float | None = None
    """DCGM_FI_PROF_GR_ENGINE_ACTIVE, 0 to 1."""
    gpu_utilization: float | None = None
    """DCGM_FI_DEV_GPU_UTIL as a share, 0 to 1; absent on MIG instances."""
    sleeping: bool = False
    """The engine offloaded its weights: it counts as loading, not as ready."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One workload at the end of one bucket of the grid."""

    at_s: float
    """Unix time of the end of the bucket, seconds."""
    replicas: tuple[Replica, ...] = ()
    """Replicas with a live engine series, in order of name. Empty: none reports."""
    spec_replicas: int | None = None
    """``.spec.replicas`` of the scale target."""
    ready_replicas: int | None = None
    """Replicas ready to serve, as the cluster says."""
    loading_replicas: int | None = None
    """Replicas that exist and are not yet ready (pending, pulling, loading weights)."""
    terminating_replicas: int | None = None
    """Replicas on their way out that still hold their GPUs."""
    unschedulable_since_s: float | None = None
    """Since when the oldest unschedulable pod has waited for a node, Unix seconds; None: none."""
    gateway_in_flight: float | None = None
    """Requests in flight at the gateway, for gauges that count all of them."""
    gateway_waiting: float | None = None
    """Requests held at the gateway, for gauges that count only those."""
    arrivals_total: float | None = None
    """Counter: requests that arrived at the gateway, where there is a query for it."""
    targets_up: int | None = None
    """Scrape targets of the workload that are up; 0 is a fact, None is silence."""

    @property
    def ready(self) -> int | None:
        """Replicas ready to serve: the cluster's word, else those with a live, awake engine."""
        if self.ready_replicas is not None:
            return self.ready_replicas
        awake = sum(1 for replica in self.replicas if not replica.sleeping)
        return awake or (0 if self.is_known_zero else None)

    @property
    def has_gateway(self) -> bool:
        """Whether the gateway reads."""
        return self.gateway_in_flight is not None or self.gateway_waiting is not None

    @property
    def is_known_zero(self) -> bool:
        """
        Whether the workload is known to be at zero, rather than silent.

        By its scale target; or by a fresh gateway that reads 0 while no target is up.
        """
        if self.spec_replicas is not None:
            return self.spec_replicas == 0 and not self.replicas
        at_gateway = (self.gateway_in_flight, self.gateway_waiting)
        quiet = any(reading is not None for reading in at_gateway) and not any(at_gateway)
        return quiet and self.targets_up == 0 and not self.replicas
