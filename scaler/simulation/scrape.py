"""
The simulated cluster as a decision sees it: scraped on a grid, some time late, kept for a while.

What must stay true: a window says what the exporters' pages of the same instants say, and nothing
that they do not.
"""

import math
from collections.abc import Iterable, Mapping

from scaler.capacity.histogram import Histogram
from scaler.decision.compose import fine_after_s
from scaler.decision.facts.record import Record
from scaler.decision.history import coarse_before_s, coarsen, thinned
from scaler.decision.sample import Replica as Seen
from scaler.decision.sample import Sample
from scaler.decision.window import Kept, Lengths, ScaleBounds, Window

from .cluster import Cluster
from .fleet import Fleet, Phase, Replica
from .histogram import Buckets

_SERVES = (Phase.READY, Phase.DRAINING)


class Scraper:
    """
    Scrapes one fleet every ``interval_s``; what it saw can be read ``lag_s`` later.

    ``keep_s`` is how far back from the minute of the newest it remembers every sample,
    ``history_s`` how far back what :mod:`scaler.decision.history` keeps of older minutes.
    """

    def __init__(
        self,
        cluster: Cluster,
        fleet: str,
        *,
        interval_s: float,
        lag_s: float,
        keep_s: float,
        history_s: float = 0.0,
    ) -> None:
        self._cluster = cluster
        self._fleet = cluster.fleets[fleet]
        self._interval_s = interval_s
        self._lag_s = lag_s
        self._record = Record()
        self._keep_s = keep_s
        self._history = Record()
        self._history_s = history_s
        self._coarse_s = -math.inf
        self._before: Sample | None = None
        self._busy_s: dict[str, float] = {}

    def scrape(self) -> None:
        """Look at the fleet now; to be called once per interval, in order."""
        self._record.add(sample(self._cluster, self._fleet, self._gpu_utilization()))
        newest_s = self._cluster.now_s - self._lag_s
        after_s = fine_after_s(newest_s, self._keep_s)
        left = self._record.take_before(math.nextafter(after_s, math.inf))
        if left and self._history_s:
            self._history.merge(thinned(left, self._before))
            self._history.take_before(newest_s - self._history_s)
            if coarse_before_s(newest_s) > self._coarse_s:
                self._coarse_s = coarse_before_s(newest_s)
                coarsen(self._history, self._coarse_s)
            self._before = left[-1]

    def _gpu_utilization(self) -> dict[str, float]:
        """Return the share of the last interval in which a kernel ran, as DCGM's GPU_UTIL says."""
        before, now_s = self._busy_s, self._cluster.now_s
        self._busy_s = {
            pod.name: pod.engine.read(now_s).busy_s_total
            for pod in self._fleet.replicas.values()
            if pod.phase in _SERVES
        }
        return {
            name: min(1.0, (busy_s - before.get(name, busy_s)) / self._interval_s)
            for name, busy_s in self._busy_s.items()
        }

    def window(self, bounds: ScaleBounds | None = None) -> Window | None:
        """Return what can be read by now; None: nothing yet."""
        last_s = self._cluster.now_s - self._lag_s + 1e-9
        fine = self._record.until(math.nextafter(last_s, math.inf))
        if not fine.samples:
            return None
        history = self._history.until(fine.samples[0].at_s)
        return Window(
            samples=fine.samples,
            history=history.samples,
            kept=Kept(fine, history),
            interval_s=self._interval_s,
            lengths=lengths(self._fleet.replicas.values()),
            startup_s=tuple(self._fleet.startup_s),
            bounds=bounds or ScaleBounds(),
            allocates_up_front=True,
        )


def sample(
    cluster: Cluster, fleet: Fleet, gpu_utilization: Mapping[str, float] | None = None
) -> Sample:
    """Return one instant of a fleet, as its engines, its gateway and the cluster tell it."""
    used = gpu_utilization or {}
    pods = fleet.replicas.values()
    gateway = fleet.gateway
    serving = sorted((pod for pod in pods if pod.phase in _SERVES), key=lambda pod: pod.name)
    return Sample(
        at_s=cluster.now_s,
        replicas=tuple(_seen(pod, cluster.now_s, used.get(pod.name)) for pod in serving),
        spec_replicas=fleet.spec_replicas,
        ready_replicas=fleet.count(Phase.READY),
        loading_replicas=fleet.count(Phase.PENDING, Phase.LOADING),
        terminating_replicas=fleet.count(Phase.DRAINING),
        unschedulable_since_s=min(
            (pod.created_s for pod in pods if pod.phase is Phase.PENDING), default=None
        ),
        gateway_in_flight=gateway.in_flight,
        arrivals_total=gateway.arrived_total,
        targets_up=len(serving),
    )


def _seen(pod: Replica, now_s: float, gpu_utilization: float | None) -> Seen:
    engine = pod.engine
    config = engine.config
    reading = engine.read(now_s)
    return Seen(
        name=pod.name,
        requests_running=reading.requests_running,
        requests_waiting=reading.requests_waiting,
        kv_cache_usage=reading.kv_cache_usage,
        kv_blocks=config.num_blocks,
        kv_block_tokens=config.block_tokens,
        kv_capacity_tokens=config.num_blocks * config.block_tokens,
        steps_total=reading.steps_total,
        prompt_tokens_total=reading.prompt_tokens_total,
        generation_tokens_total=reading.generation_tokens_total,
        requests_finished_total=reading.requests_finished_total,
        itl_sum_s=reading.itl_sum_s,
        itl_count=reading.itl_count,
        itl_buckets=_histogram(engine.shown(now_s)[0]),
        ttft_sum_s=reading.ttft_sum_s,
        ttft_count=reading.ttft_count,
        ttft_buckets=_histogram(engine.ttft_s),
        e2e_sum_s=reading.e2e_sum_s,
        e2e_count=reading.e2e_count,
        preemptions_total=reading.preemptions_total,
        gpu_utilization=gpu_utilization,
    )


def lengths(pods: Iterable[Replica]) -> Lengths:
    """Return the token lengths of what some pods have answered so far."""
    engines = [pod.engine for pod in pods]
    return Lengths(
        prompt_tokens=_added([engine.request_prompt_tokens for engine in engines]),
        output_tokens=_added([engine.request_generation_tokens for engine in engines]),
    )


def _histogram(buckets: Buckets) -> Histogram:
    return Histogram(upper=(*buckets.upper, math.inf), counts=tuple(map(float, buckets.counts)))


def _added(each: list[Buckets]) -> Histogram | None:
    if not any(sum(one.counts) for one in each):
        return None
    counts = tuple(float(sum(column)) for column in zip(*(one.counts for one in each), strict=True))
    return Histogram(upper=(*each[0].upper, math.inf), counts=counts)
