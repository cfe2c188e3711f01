"""
GPU readings of a replica, from NVIDIA's DCGM exporter, averaged over its GPUs.

Names, units and traps: github.com/NVIDIA/dcgm-exporter, etc/default-counters.csv and its issues.
On a MIG instance only the profiling fields mean anything (GPU_UTIL is absent or 0 there), and
the frame buffer may be missing; a missing reading stays missing.
"""

from collections.abc import Iterator, Sequence

from .readings import Combine, Reading, Rows
from .series import SeriesStore, Subject, Track
from .wanted import Exporter, Wanted

_GPU = ("UUID", "uuid", "gpu", "GPU_I_ID")
_BLANK = 1e15
"""Older exporters print 9223372036854775794 and its neighbours for fields a GPU has not."""


def _reading(metric: str, *, scale: float = 1.0) -> Reading:
    return Reading(
        rows=(Rows(metric=metric),), over=_GPU, combine=Combine.MEAN, scale=scale, below=_BLANK
    )


READINGS = {
    "gpu_memory_used_mib": _reading("DCGM_FI_DEV_FB_USED"),
    "gpu_memory_free_mib": _reading("DCGM_FI_DEV_FB_FREE"),
    "gpu_engine_active": _reading("DCGM_FI_PROF_GR_ENGINE_ACTIVE"),
    "gpu_utilization": _reading("DCGM_FI_DEV_GPU_UTIL", scale=0.01),
}
"""By field of :class:`~scaler.decision.sample.Replica`."""

WANTED = tuple(
    Wanted(metrics=reading.metrics, exporter=Exporter.GPU) for reading in READINGS.values()
)


class GpuReader:
    """Reads the GPUs of one replica's pods."""

    def __init__(self, store: SeriesStore, pods: Sequence[Subject]) -> None:
        bound = {field: reading.bind(store, pods) for field, reading in READINGS.items()}
        if any(track.labels.get("GPU_I_ID") for track in bound["gpu_utilization"].tracks):
            del bound["gpu_utilization"]
        self._bound = bound

    @property
    def tracks(self) -> Iterator[Track]:
        """The series that the readings come from."""
        for bound in self._bound.values():
            yield from bound.tracks

    def at(self, at_s: float, stale_after_s: float) -> dict[str, float]:
        """Return the GPU fields at an instant; those missing then are left out."""
        found = {
            field: value
            for field, bound in self._bound.items()
            if (value := bound.at(at_s, stale_after_s)) is not None
        }
        if found.get("gpu_engine_active") == 0 and found.get("gpu_utilization", 0) > 0.9:
            # Profiling fields fall silent as 0 after days (dcgm-exporter#635): a GPU that is busy
            # by its other counter is not idle.
            del found["gpu_engine_active"]
        return found
