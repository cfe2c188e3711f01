"""
The GPUs of the simulated nodes: which pod holds which, and what NVIDIA's DCGM exporter would say.

Names, labels and units as dcgm-exporter has them (``etc/default-counters.csv``): frame buffer in
MiB, GPU_UTIL in percent, clocks in MHz, power in W, temperature in °C, the profiling ratios from 0
to 1. Power and temperature follow the busy share in a straight line. As there, a GPU that no pod
holds has no pod labels, and utilization is an average over the collection interval.
"""

import dataclasses

from scaler.simulation.cluster import Cluster
from scaler.simulation.fleet import Phase

from .exposition import Page
from .vllm_page import GPU_MEMORY_UTILIZATION


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GpuModel:
    """What a GPU is; the defaults are an H100 as its driver reports it."""

    name: str = "NVIDIA H100 80GB HBM3"
    memory_mib: int = 81_081
    """Used and free together; what the driver reserves is outside it."""
    idle_w: float = 70.0
    most_w: float = 690.0
    sm_mhz: int = 1980
    memory_mhz: int = 2619
    weights_mib: int = 15_500
    """What a replica has loaded when it is half-way to ready."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A pod that holds GPUs, and what it does with them now."""

    namespace: str
    pod: str
    container: str
    node: str
    units: int
    used_mib: float
    busy: float
    """Share of the time that something ran, 0 to 1."""
    tensor: float
    """Share of its busy time in which tensor cores work: little in decoding, much in training."""
    state: str
    """Loading, Ready, Draining, Running or Leaving."""


class Gpus:
    """Gives each holder GPUs of its node, the same for as long as it lives."""

    def __init__(self, cluster: Cluster, model: GpuModel) -> None:
        self._cluster = cluster
        self._model = model
        self._holds: dict[tuple[str, int], str] = {}
        self._busy_before: dict[str, tuple[float, float]] = {}
        self._holders: dict[str, Holder] = {}

    def collect(self) -> None:
        """Look at who holds what, as DCGM does once per collection interval."""
        self._holders = {holder.pod: holder for holder in (*self._inference(), *self._training())}
        self._holds = {place: pod for place, pod in self._holds.items() if pod in self._holders}
        self._busy_before = {
            pod: before for pod, before in self._busy_before.items() if pod in self._holders
        }
        held = set(self._holds.values())
        for pod, holder in self._holders.items():
            if pod not in held:
                self._give(holder)

    def held(self) -> dict[tuple[str, int], Holder | None]:
        """Return every GPU (node, index) with who holds it; None: nobody."""
        return {
            (node.name, index): self._holders.get(self._holds.get((node.name, index), ""))
            for node in self._cluster.nodes.configs
            for index in range(node.units)
        }

    def page(self) -> str:
        """Return what the exporter shows of all nodes (one page; in a cluster, one per node)."""
        rows = [(self._labels(*place), holder) for place, holder in self.held().items()]
        memory = self._model.memory_mib
        idle_w, rise_w = self._model.idle_w, self._model.most_w - self._model.idle_w
        families = (
            ("DCGM_FI_DEV_GPU_UTIL", lambda h: round(100 * h.busy) if h else 0),
            ("DCGM_FI_DEV_SM_CLOCK", lambda h: self._model.sm_mhz if h and h.busy else 345),
            ("DCGM_FI_DEV_MEM_CLOCK", lambda _: self._model.memory_mhz),
            ("DCGM_FI_DEV_POWER_USAGE", lambda h: idle_w + rise_w * (h.busy if h else 0)),
            ("DCGM_FI_DEV_GPU_TEMP", lambda h: round(32 + 35 * (h.busy if h else 0))),
            ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", lambda h: h.busy * h.tensor if h else 0.0),
            ("DCGM_FI_DEV_FB_FREE", lambda h: memory - h.used_mib if h else memory),
            ("DCGM_FI_DEV_FB_USED", lambda h: h.used_mib if h else 0),
            ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", lambda h: h.busy if h else 0.0),
        )
        page = Page()
        for name, value in families:
            page.family(
                name,
                "gauge",
                *(
                    ({**labels, **_owner(holder)}, round(value(holder), 6))
                    for labels, holder in rows
                ),
            )
        return page.text

    def _give(self, holder: Holder) -> None:
        index = 0
        for _ in range(holder.units):
            while (holder.node, index) in self._holds:
                index += 1
            self._holds[holder.node, index] = holder.pod

    def _inference(self) -> list[Holder]:
        found = []
        for fleet in self._cluster.fleets.values():
            for replica in fleet.replicas.values():
                if replica.node is None:
                    continue
                serves = replica.phase is not Phase.LOADING
                memory = self._model.memory_mib * GPU_MEMORY_UTILIZATION
                found.append(
                    Holder(
                        namespace=fleet.config.namespace,
                        pod=replica.name,
                        container="vllm",
                        node=replica.node,
                        units=fleet.config.units_per_replica,
                        used_mib=round(memory) if serves else self._model.weights_mib // 2,
                        busy=self._busy(
                            replica.name, replica.engine.read(self._cluster.now_s).busy_s_total
                        ),
                        tensor=0.25,
                        state=replica.phase.value,
                    )
                )
        return found

    def _training(self) -> list[Holder]:
        return [
            Holder(
                namespace=job.config.namespace,
                pod=worker.name,
                container="trainer",
                node=worker.node,
                units=job.config.units_per_worker,
                used_mib=round(0.85 * self._model.memory_mib),
                busy=0.97 if worker.computed_s(self._cluster.now_s) else 0.0,
                tensor=0.55,
                state=worker.phase.value,
            )
            for job in self._cluster.jobs.values()
            for worker in job.workers.values()
            if worker.node is not None
        ]

    def _busy(self, pod: str, busy_s: float) -> float:
        """Return the busy share since the last collection."""
        now_s = self._cluster.now_s
        before_s, busy_before_s = self._busy_before.get(pod, (now_s, busy_s))
        self._busy_before[pod] = (now_s, busy_s)
        if now_s <= before_s:
            holder = self._holders.get(pod)
            return holder.busy if holder else 0.0
        return max(0.0, min(1.0, (busy_s - busy_before_s) / (now_s - before_s)))

    def _labels(self, node: str, index: int) -> dict[str, str]:
        return {
            "gpu": str(index),
            "UUID": f"GPU-{node}-{index}",
            "pci_bus_id": f"00000000:{index + 1:02X}:00.0",
            "device": f"nvidia{index}",
            "modelName": self._model.name,
            "Hostname": node,
        }


def _owner(holder: Holder | None) -> dict[str, str]:
    if holder is None:
        return {}
    return {"container": holder.container, "namespace": holder.namespace, "pod": holder.pod}
