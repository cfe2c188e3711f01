"""
How well computed capacity matches real engines: start-up logs that people posted, row by row.

    python -m benchmarks.kv_capacity [--rows] [--data FOLDER]

Needs ``ground_truth.csv`` and ``model_archs.json`` (``$KVTIDE_DATA/kv``, else ``../shared/data/kv``
beside the checkout). A row counts as matched when every number that it prints follows from the
memory that it prints, anywhere within that memory's own rounding.
"""

import argparse
import collections
import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.kv_logs import (
    Row,
    Setting,
    architecture_of_row,
    data_folder,
    memory_range,
    read_models,
    read_rows,
    serving_of,
    settings_of,
)
from benchmarks.kv_memory import Told, Untold, spread_untold, summary, tell
from scaler.capacity.architecture import ModelArchitecture
from scaler.capacity.kv_cache import GIB, KvCapacity, Serving, kv_capacity
from scaler.capacity.planned import MemoryTerms, plan
from scaler.capacity.question import drafter_problems
from scaler.errors import ConfigurationError, KvtideError
from scaler.report.capacity import notes

MULTI_GPU_TOLERANCE = 0.025
FAR_OFF = 0.05
HALF_CENT = 0.0051
"""Two printed decimals, and a little for halves that round either way."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one row: matched, missed (and by how much), or why it cannot be compared."""

    row: Row
    family: str
    error: float | None
    """Largest relative distance of a printed number from what its memory's rounding allows."""
    detail: str
    untold: str = ""
    """Flags that were tried though the log does not tell them; empty: as it says."""
    as_stated: float | None = None
    """The error with the log's own flags alone, where others were tried."""
    refused: bool = False
    """Whether kvtide refused to answer."""
    noted: bool = False
    """Whether the answer to what is stated says what would make it another."""

    @property
    def tolerance(self) -> float:
        """How far a row may be off: nothing on one GPU, one worker's share on several."""
        return MULTI_GPU_TOLERANCE if self.row.gpus > 1 else 0.0

    @property
    def silently_wrong(self) -> bool:
        """Whether the answer to what is stated is far off and says nothing of it."""
        off = self.error if self.as_stated is None else self.as_stated
        return off is not None and off > FAR_OFF and not self.noted

    @property
    def matched(self) -> bool:
        """Whether the row is reproduced."""
        return self.error is not None and self.error <= self.tolerance


def compare(row: Row, models: Mapping[str, Mapping[str, Any]]) -> Outcome:
    """Return how well a row follows from its own memory."""
    if "exclude" in row.notes:
        return _not_compared(row, f"excluded by the collection: {row.notes['exclude']}")
    try:
        architecture = architecture_of_row(row, models)
        untold = drafter_problems(
            drafts=False, layers=None, tokens=int(row.notes.get("draft_untold", 0))
        )
        if untold:
            raise ConfigurationError(*untold)
        if spread_untold(row, architecture):
            return _not_compared(row, "its weights lie on more GPUs than it tells")
    except KvtideError as error:
        return dataclasses.replace(_not_compared(row, str(error)), refused=True)
    outcomes = [_attempt(row, architecture, setting) for setting in settings_of(row, architecture)]
    known = [outcome for outcome in outcomes if outcome.error is not None]
    if not known:
        return outcomes[0]
    if known[0].matched:
        return known[0]
    best = min(known, key=lambda outcome: (outcome.error or 0.0, outcome.untold.count(",")))
    best = dataclasses.replace(best, as_stated=known[0].error)
    noted = best.silently_wrong and _noted(row, architecture, best.untold)
    return dataclasses.replace(best, noted=noted)


SAID = {
    "fp8": "a name is no proof of the cache's type",
    "float16": "states are taken in 32 bits",
    "0.": "no engine version stated",
}
"""What an answer says where a flag is not stated, by what the flag would have been."""


def _noted(row: Row, architecture: ModelArchitecture, untold: str) -> bool:
    """Whether the answer to what the log states names each flag that it is silent about."""
    terms = MemoryTerms(available_kv_gib=row.number("available_kv_gib") or 1.0)
    model = dataclasses.replace(architecture, by_name=row.config is None)
    said = " ".join(notes(plan(model, serving_of(row), terms)))
    if not untold:
        return "blocks are the least over" in said
    words = [note for mark, note in SAID.items() if mark in untold]
    return bool(words) and all(note in said for note in words)


def _attempt(row: Row, architecture: ModelArchitecture, setting: Setting) -> Outcome:
    """Return how well a row follows with these flags."""
    try:
        outcome = _compare(row, architecture, setting.serving)
    except KvtideError as error:
        outcome = _not_compared(row, str(error), architecture.family)
        return dataclasses.replace(outcome, refused=True, untold=setting.untold)
    return dataclasses.replace(outcome, untold=setting.untold)


def _not_compared(row: Row, why: str, family: str = "?") -> Outcome:
    return Outcome(row=row, family=family, error=None, detail=why)


def _compare(row: Row, architecture: ModelArchitecture, serving: Serving) -> Outcome:
    bounds = memory_range(row)
    if bounds is None:
        return _compare_ratio(row, architecture, serving)
    least, most = (kv_capacity(architecture, serving, memory) for memory in bounds)
    errors = dict(_errors(row, least, most))
    if not errors:
        return _not_compared(row, "no block, token or concurrency count", architecture.family)
    return Outcome(
        row=row,
        family=architecture.family,
        error=max(errors.values()),
        detail=", ".join(f"{name} {error:+.3%}" for name, error in errors.items()),
    )


def _errors(row: Row, least: KvCapacity, most: KvCapacity) -> Iterator[tuple[str, float]]:
    """Return each printed number and how far outside the allowed range it lies."""
    blocks, tokens = row.whole("gpu_blocks"), row.whole("kv_tokens")
    if blocks is not None:
        yield "blocks", _outside(blocks, least.num_blocks, most.num_blocks)
    if tokens is not None:
        low, high = least.reported_tokens, most.reported_tokens
        if low is not None and high is not None:
            yield "tokens", _outside(tokens, low, high)
    printed = row.number("max_concurrency")
    fewest, largest = least.max_concurrency or 0.0, most.max_concurrency or 0.0
    if row.whole("max_model_len") and printed is not None:
        yield "concurrency", _outside(printed, fewest - HALF_CENT, largest + HALF_CENT)
    needed = row.notes.get("needed_gib")
    if needed is not None and least.longest_request_blocks is not None:
        gib = least.longest_request_blocks * least.layout.bytes_per_block_per_gpu / GIB
        yield "needed", _outside(float(needed), gib - HALF_CENT, gib + HALF_CENT)


def _outside(value: float, low: float, high: float) -> float:
    distance = max(low - value, value - high, 0.0)
    return distance / value if value else math.inf


def _swap_error(row: Row, architecture: ModelArchitecture, serving: Serving) -> float | None:
    """Return how far V0's count of CPU blocks is from its 4 GiB of swap over bytes per block."""
    printed = row.notes.get("cpu_blocks")
    if printed is None:
        return None
    several = row.whole("n_gpu")
    if several is not None and not row.text["tp"]:
        serving = dataclasses.replace(serving, tensor_parallel=several)
    count = 4 * GIB // kv_capacity(architecture, serving, 0).layout.bytes_per_block_per_gpu
    return _outside(int(printed), count, count)


def _compare_ratio(row: Row, architecture: ModelArchitecture, serving: Serving) -> Outcome:
    """Return whether blocks, tokens and concurrency agree where the memory is not printed."""
    blocks, tokens = row.whole("gpu_blocks"), row.whole("kv_tokens")
    printed, longest = row.number("max_concurrency"), row.whole("max_model_len")
    if printed is None or longest is None or (blocks is None and tokens is None):
        swap = _swap_error(row, architecture, serving)
        if swap is not None:
            detail = f"swap blocks {swap:+.3%}"
            return Outcome(row=row, family=architecture.family, error=swap, detail=detail)
        return _not_compared(row, "neither memory nor a pair of numbers", architecture.family)
    counts = (blocks,) if blocks is not None else _printing(architecture, serving, tokens or 0)
    if not counts:
        return _not_compared(row, f"no pool prints {tokens} tokens", architecture.family)
    unit = kv_capacity(architecture, serving, 0).layout.bytes_per_block_per_gpu
    least, most = (
        kv_capacity(architecture, serving, count * unit) for count in (counts[0], counts[-1])
    )
    errors = dict(_errors(row, least, most))
    return Outcome(
        row=row,
        family=architecture.family,
        error=max(errors.values()),
        detail=", ".join(f"{name} {error:+.3%} from blocks" for name, error in errors.items()),
    )


def _printing(architecture: ModelArchitecture, serving: Serving, tokens: int) -> tuple[int, ...]:
    """Return the numbers of blocks for which the engine prints these tokens."""
    unit = kv_capacity(architecture, serving, 0).layout.bytes_per_block_per_gpu

    def reported(count: int) -> int:
        return kv_capacity(architecture, serving, count * unit).reported_tokens or 0

    low, high = 0, 2**28
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reported(middle) >= tokens else (middle + 1, high)
    return tuple(count for count in range(low, low + 64) if reported(count) == tokens)


def table(outcomes: list[Outcome]) -> str:
    """Return matched rows of those that can be compared, per engine and family."""
    counted: dict[tuple[str, str, str], list[Outcome]] = collections.defaultdict(list)
    for outcome in outcomes:
        if outcome.error is not None:
            kind = "several GPUs" if outcome.row.gpus > 1 else "one GPU"
            counted[outcome.row.text["engine"], outcome.family, kind].append(outcome)
    lines = [f"{'engine':14}{'family':16}{'on':14}{'matched':>9}{'of':>5}{'worst':>10}"]
    for (engine, family, kind), rows in sorted(counted.items()):
        matched = sum(row.matched for row in rows)
        worst = max(row.error or 0.0 for row in rows)
        lines.append(f"{engine:14}{family:16}{kind:14}{matched:9}{len(rows):5}{worst:10.2%}")
    return "\n".join(lines)


def print_capacity(outcomes: list[Outcome], *, rows: bool) -> None:
    """Print the table of blocks, tokens and concurrency, and the rows that miss."""
    print(table(outcomes))
    for outcome in outcomes:
        if rows or outcome.untold or not outcome.matched:
            label = "ok  " if outcome.matched else "MISS" if outcome.error is not None else "----"
            untold = (
                f" (if {outcome.untold}; else {outcome.as_stated or 0:.1%})"
                if outcome.untold
                else ""
            )
            print(f"{label} {outcome.row.id} {outcome.row.model[:40]:40} {outcome.detail}{untold}")
    silent = [outcome.row.id for outcome in outcomes if outcome.silently_wrong]
    print(f"silently off by more than {FAR_OFF:.0%}: {', '.join(silent) or 'none'}")


def print_memory(told: list[Told | Untold], *, rows: bool) -> None:
    """Print how well weights and overhead are told, and the rows that are far off."""
    known = [one for one in told if isinstance(one, Told)]
    print(summary(known))
    for one in known:
        if rows or not one.held:
            print(
                f"{'held' if one.held else 'OUT '} {one.row.id} {one.row.model[:36]:36} "
                f"{one.part:9} true {one.true_gib:6.2f} told {one.told_gib:6.2f} "
                f"({one.low_gib:.2f} to {one.high_gib:.2f})"
            )
    for untold in told:
        if isinstance(untold, Untold):
            print(f"---- {untold.row.id} {untold.row.model[:36]:36} {untold.why}")


def main() -> None:
    """Print both tables, and the rows that miss."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--data", help="folder that has kv/ground_truth.csv")
    parser.add_argument("--rows", action="store_true", help="every row, not only those that miss")
    arguments = parser.parse_args()
    folder = data_folder(arguments.data)
    models, rows = read_models(folder), read_rows(folder)
    print_capacity([compare(row, models) for row in rows], rows=arguments.rows)
    print()
    print_memory([one for row in rows for one in tell(row, models)], rows=arguments.rows)


if __name__ == "__main__":
    main()
