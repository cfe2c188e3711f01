"""
The names under which one metric is stored: what lies between an engine and a server renames it.

* A client library that negotiates OpenMetrics, a collector, or Ray writes ``_`` for ``:``.
* OpenTelemetry's exporter adds what it knows of a metric (``_total``, ``_ratio``, ``_seconds``),
  and told to add nothing it leaves out the ``_total`` that was there.
* Monitors of platforms put a prefix before everything (KServe's ``kserve_``).

Original and renamed copies can stand side by side, so the names of one metric are alternatives: the
first that a replica has counts, as it does for the names of other releases.
"""

import dataclasses
import enum
from collections.abc import Iterator, Sequence

from .readings import Reading, Rows

Renames = tuple[tuple[str, str], ...]
"""Beginnings of names, and what stands in their place: ``(("vllm:", "acme_vllm_"),)``."""

_HISTOGRAM = ("_sum", "_count", "_bucket")


class Meaning(enum.Enum):
    """What a collector knows of a metric, and says in its name."""

    GAUGE = enum.auto()
    SHARE = enum.auto()
    COUNTER = enum.auto()
    SECONDS = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """What renames the metrics of an engine or gateway, beside what renames those of all."""

    prefixes: tuple[str, ...] = ()
    """Put before a whole name by monitors of this engine or gateway."""
    renames: Renames = ()
    """What the configuration states."""

    def of(self, name: str, meaning: Meaning = Meaning.GAUGE) -> tuple[str, ...]:
        """Return every name of a metric, the one that its exporter gave it first."""
        heads = [name, *(prefix + name for prefix in self.prefixes)]
        heads += [new + name[len(old) :] for old, new in self.renames if name.startswith(old)]
        as_written = [*heads, *(head.replace(":", "_") for head in heads)]
        with_meaning = [other for one in as_written for other in _said(one, meaning)]
        return tuple(dict.fromkeys([*as_written, *with_meaning]))

    def reading(self, reading: Reading, meaning: Meaning = Meaning.GAUGE) -> Reading:
        """Return a reading with every name of each of its metrics."""
        return dataclasses.replace(
            reading,
            rows=self.rows(reading.rows, meaning),
            plus=self.rows(reading.plus, meaning),
            out_of=self.rows(reading.out_of, meaning),
        )

    def rows(self, rows: Sequence[Rows], meaning: Meaning = Meaning.GAUGE) -> tuple[Rows, ...]:
        """Return the rows under every name, those that were other names of one made anew."""
        found = {
            dataclasses.replace(
                one, metric=name, spelling_of=None if name == one.metric else one.metric
            ): None
            for one in rows
            if one.spelling_of is None
            for name in self.of(one.metric, meaning)
        }
        return tuple(found)


def meaning_of(field: str) -> Meaning:
    """Return what a field of a Replica or of a Sample means."""
    if field.endswith("_s"):
        return Meaning.SECONDS
    if field.endswith(("_total", "_count")):
        return Meaning.COUNTER
    return Meaning.SHARE if field.endswith("_usage") else Meaning.GAUGE


def _said(name: str, meaning: Meaning) -> Iterator[str]:
    """Yield the names that say more, or less, of a metric than this one."""
    ending = next((end for end in _HISTOGRAM if name.endswith(end)), None)
    if ending is not None:
        stem = name.removesuffix(ending)
        if meaning is not Meaning.GAUGE and not stem.endswith(("_seconds", "_total", "_tokens")):
            yield f"{stem}_seconds{ending}"
    elif meaning in (Meaning.COUNTER, Meaning.SECONDS):
        yield name.removesuffix("_total") if name.endswith("_total") else f"{name}_total"
    elif meaning is Meaning.SHARE:
        yield f"{name}_ratio"
