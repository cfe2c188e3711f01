"""
How well weights and overhead are told from a GPU's name, the flags and the model alone.

The second half of ``kv_capacity.py``, which prints both.
"""

import dataclasses
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.kv_logs import Row, architecture_of_row, serving_of
from scaler.capacity.architecture import ModelArchitecture
from scaler.capacity.gpu_memory import MemoryEstimate, default_fraction, estimate_memory
from scaler.capacity.kv_cache import GpuClass, Serving, vllm_rules
from scaler.capacity.weights import weights_on_gpu
from scaler.errors import KvtideError

GIB = 2**30
FEWER_BITS = 0.7
"""Weights below this share of what a row's words mean were stored or spread in ways not told."""

COVERED = 0.95
"""Share of new logs that an interval is to hold."""

SPREAD = 0.2
"""Below this share no format's fewer bits explain it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One part of a row's memory: what the log says, what was told, and its interval."""

    row: Row
    part: str
    true_gib: float
    told_gib: float
    low_gib: float
    high_gib: float

    @property
    def error_gib(self) -> float:
        """Told less true."""
        return self.told_gib - self.true_gib

    @property
    def held(self) -> bool:
        """Whether the interval holds the truth."""
        return self.low_gib <= self.true_gib <= self.high_gib


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """A row too poor to predict, and why."""

    row: Row
    why: str


def tell(row: Row, models: Mapping[str, Mapping[str, Any]]) -> Iterator[Told | Untold]:
    """Return what can be compared of one row."""
    true = row.number("weights_gib")
    if true is None or row.text["engine"] not in ("vllm", "sglang"):
        return
    try:
        architecture = architecture_of_row(row, models)
        serving = serving_of(row)
        weights = weights_on_gpu(architecture, serving, row.text["quantization"] or None)
    except KvtideError as error:
        yield Untold(row=row, why=str(error))
        return
    why = _too_poor(row, true, weights.gpu_bytes / GIB)
    if why:
        yield Untold(row=row, why=why)
        return
    told, slack = weights.gpu_bytes / GIB, max(0.25, weights.slack_bytes / GIB)
    yield Told(
        row=row,
        part="weights",
        true_gib=true,
        told_gib=told,
        low_gib=told - slack,
        high_gib=told + slack,
    )
    overhead = true_overhead(row, serving)
    if overhead is None or serving.gpu_class in (GpuClass.UNIFIED, GpuClass.ASCEND):
        return
    known = serving if serving.gpu_memory_gib else dataclasses.replace(serving, gpu_memory_gib=24.0)
    estimate = estimate_memory(architecture, known, quantization=row.text["quantization"] or None)
    yield from _parts(row, true, overhead, estimate)


def _parts(row: Row, weights: float, overhead: float, estimate: MemoryEstimate) -> Iterator[Told]:
    low, high = estimate.low_gib, estimate.high_gib
    told = estimate.overhead_gib
    yield Told(
        row=row,
        part="overhead",
        true_gib=overhead,
        told_gib=told,
        low_gib=low - estimate.weights_gib,
        high_gib=high - estimate.weights_gib,
    )
    yield Told(
        row=row,
        part="both",
        true_gib=weights + overhead,
        told_gib=estimate.weights_gib + told,
        low_gib=low,
        high_gib=high,
    )


def spread_untold(row: Row, architecture: ModelArchitecture) -> bool:
    """Whether a row's weights are so few that its model must lie on GPUs it does not tell of."""
    true = row.number("weights_gib")
    if true is None or row.text["tp"]:
        return False
    told = weights_on_gpu(architecture, serving_of(row), row.text["quantization"] or None)
    return true < SPREAD * told.gpu_bytes / GIB


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How wide an interval has to be, as a multiple of the stated one, for new logs to fall in."""

    rows: int
    factor: float
    """The conformal quantile of |error| / half-width: what holds ``COVERED`` of new logs."""
    left_out: float
    """Share of logs that the interval holds when it is calibrated on all others."""


def calibration(told: Sequence[Told]) -> Calibration:
    """
    Return the width that exchangeable logs ask for (split conformal prediction).

    With n scores, the ceil((n + 1) × coverage)-th smallest holds a new log at least that often,
    whatever the errors' distribution. Vovk, Gammerman, Shafer: Algorithmic Learning in a Random
    World, 2005.
    """
    scores = [_score(one) for one in told]
    held = sum(
        score <= _quantile(scores[:place] + scores[place + 1 :])
        for place, score in enumerate(scores)
    )
    return Calibration(rows=len(scores), factor=_quantile(scores), left_out=held / len(scores))


def _score(one: Told) -> float:
    half = one.told_gib - one.low_gib if one.error_gib > 0 else one.high_gib - one.told_gib
    return abs(one.error_gib) / half


def _quantile(scores: Sequence[float]) -> float:
    place = math.ceil((len(scores) + 1) * COVERED)
    return sorted(scores)[min(place, len(scores)) - 1]


def is_first_engine(one: Told) -> bool:
    """Whether a log is of vLLM's first engine (V0), whose memory followed other rules."""
    return one.row.text["engine"] == "vllm" and vllm_rules.version(serving_of(one.row)).v0


def _too_poor(row: Row, true: float, told: float) -> str | None:
    if row.text["model"] == "" and "unnamed" in row.text["notes"]:
        return "the model is not named"
    if "exl3" in row.text["model"]:
        return "exl3: bits per weight are not told"
    if "Radeon" in row.text["gpu"]:
        # Until 0.20 vllm/platforms/rocm.py told all memory in use on the device as that of weights.
        return "what it prints is all memory in use of a system that shares it"
    if true < FEWER_BITS * told and not row.text["quantization"]:
        return f"weights are {true / told:.0%} of what the row's words mean"
    return None


def true_overhead(row: Row, serving: Serving) -> float | None:
    """Return what the log says is neither weights nor cache, GiB, or None."""
    activation, outside = row.number("activation_peak_gib"), row.number("non_torch_gib")
    if activation is not None and outside is not None:
        return activation + outside
    total, share = serving.gpu_memory_gib, row.number("gpu_memory_utilization")
    if share is None and row.text["engine_version"] and total is not None:
        share = default_fraction(serving, total)
    weights, cache = row.number("weights_gib"), row.number("available_kv_gib")
    if total is None or share is None or weights is None or cache is None:
        return None
    return total * share - weights - cache if row.text["engine"] == "vllm" else None


def summary(told: list[Told]) -> str:
    """Return errors and intervals per part."""
    head = f"{'GiB of':10}{'rows':>5}{'median':>8}{'within 1':>10}{'within 3':>10}"
    lines = [head + f"{'held':>7}{'widest':>8}"]
    for part in ("weights", "overhead", "both"):
        rows = [one for one in told if one.part == part]
        errors = [abs(one.error_gib) for one in rows]
        within = [sum(error <= most for error in errors) / len(rows) for most in (1, 3)]
        held = sum(one.held for one in rows) / len(rows)
        widest = max(one.high_gib - one.low_gib for one in rows)
        lines.append(
            f"{part:10}{len(rows):5}{statistics.median(errors):8.2f}{within[0]:10.0%}"
            f"{within[1]:10.0%}{held:7.0%}{widest:8.2f}"
        )
    both = [one for one in told if one.part == "both"]
    for name, first in (("V1", False), ("V0", True)):
        asked = calibration([one for one in both if is_first_engine(one) is first])
        lines.append(
            f"{name}: {asked.rows} logs ask for {asked.factor:.2f} of the stated half-width "
            f"({COVERED:.0%}); each left out in turn, {asked.left_out:.0%} are held"
        )
    return "\n".join(lines)
