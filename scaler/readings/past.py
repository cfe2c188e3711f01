"""
The history of workloads before the fine lookback, read once and thinned as it comes.

An hour at a time, newest first: a day of raw samples is never held at once. While a server runs it
is one hour a round, and what is new is read between two of its buckets: it never waits for what is
old. Whoever asks about a past waits for all of it, several hours at a time where they hold little.
"""

import math
from collections.abc import Collection, Iterator

from scaler.decision.facts.record import Record
from scaler.decision.history import COARSE_S, MINUTE_S, coarse_before_s, thinned
from scaler.decision.sample import Sample
from scaler.decision.window import Window
from scaler.errors import NoDataError
from scaler.said import Said
from scaler.source import Workload

from .arrivals import ArrivalQueries
from .asks import NO_NAMESPACE, Ask, Plan
from .assemble import Assembly
from .reader import Reader
from .round import Round
from .wanted import Exporter, Wanted, asked_for

CHUNK_S = 3600.0
_MOST_HOURS = 6
"""Read at once where they hold little."""
_LITTLE = 20_000
"""Samples of replicas that are held at once without a thought: some megabytes."""
_TRIES = 3
"""So often a span is asked for that cannot be read, by who waits for it."""


class Past:
    """Reads history backwards, for each workload until it is as long as somebody wants it."""

    def __init__(self, reader: Reader, assembly: Assembly, arrivals: ArrivalQueries) -> None:
        self._reader = reader
        self._assembly = assembly
        self._arrivals = arrivals
        self._read_to_s: dict[str, float] = {}
        """By workload: from which instant on its past was read."""
        self.is_complete = False
        """Whether there is nothing left to read."""

    async def read_all(
        self, workloads: Collection[Workload], *, until_s: float, since_s: float
    ) -> None:
        """Read all that is missing between two instants; what cannot be read, and is older, not."""
        left, hours = _TRIES, 1
        while left:
            round_ = self._reader.begin()
            held = await self.read_some(
                workloads, round_, until_s=until_s, since_s=since_s, hours=hours
            )
            if self.is_complete:
                return
            left = left - 1 if round_.failed else _TRIES
            fit = _LITTLE * hours // max(1, held)
            hours = max(1, min(fit, 2 * hours, _MOST_HOURS))

    async def read_some(
        self,
        workloads: Collection[Workload],
        round_: Round,
        *,
        until_s: float,
        since_s: float,
        hours: int = 1,
    ) -> int:
        """
        Read one more span, if any is missing between two instants, of those that lack it.

        Returns how many samples of replicas it held.
        """
        known = {workload.key: workload for workload in workloads}
        self._read_to_s = {key: at for key, at in self._read_to_s.items() if key in known}
        lacking = {
            key: at_s
            for key in known
            if (at_s := self._read_to_s.setdefault(key, _minute(until_s))) > since_s
        }
        self.is_complete = not lacking
        if not lacking:
            return 0
        end_s = max(lacking.values())
        begin_s = max(_minute(since_s), end_s - hours * CHUNK_S)
        these = [known[key] for key, at_s in lacking.items() if at_s == end_s]
        spans = await read_span(
            self._reader,
            self._assembly.like(),
            self._arrivals,
            these,
            round_,
            span_s=(begin_s, end_s),
            without=(Exporter.GPU,),  # neither a forecast nor the latch asks for GPUs
        )
        if spans is None:
            return 0
        for workload in these:
            kept = thinned(spans[workload.key])
            if end_s <= coarse_before_s(until_s):
                kept = thinned(kept, span_s=COARSE_S)
            self._assembly.add_history(workload, kept)
        self._read_to_s.update({workload.key: begin_s for workload in these})
        return sum(len(sample.replicas) for span in spans.values() for sample in span)


async def read_recording(
    reader: Reader,
    assembly: Assembly,
    arrivals: ArrivalQueries,
    workload: Workload,
    *,
    span_s: tuple[float, float],
) -> Window:
    """
    Return a workload's whole past between two instants as one window of fine samples.

    An hour at a time, newest first; each hour is assembled by itself, on the intervals that the
    newest one shows.

    Raises:
        SourceError: some of it could not be read.
        NoDataError: there is nothing in it.
    """
    newest, samples = assembly, list[Sample]()
    for end_s in _hours(*span_s):
        round_ = reader.begin()
        hour_s = (max(span_s[0], end_s - CHUNK_S), end_s)
        spans = await read_span(reader, assembly, arrivals, [workload], round_, span_s=hour_s)
        if spans is None:
            raise next(iter(round_.failed.values()))
        samples = [*spans[workload.key], *samples]
        assembly = newest.like()
    if not samples:
        what = f"{workload.kind}/{workload.name} in {workload.namespace}"
        raise NoDataError(Said("{what} has no readings between the two instants", what=what))
    return newest.window_of(workload, Record(samples).until(math.inf))


def _hours(since_s: float, until_s: float) -> Iterator[float]:
    """Yield the ends of the hours that cover a span, the newest first."""
    end_s = until_s
    while end_s > since_s:
        yield end_s
        end_s -= CHUNK_S


async def read_span(
    reader: Reader,
    assembly: Assembly,
    arrivals: ArrivalQueries,
    workloads: Collection[Workload],
    round_: Round,
    *,
    span_s: tuple[float, float],
    without: Collection[Exporter] = (),
) -> dict[str, list[Sample]] | None:
    """
    Read some workloads' samples of the buckets in ``(begin, end]``, by key, into an assembly.

    None: some of it could not be read, which the round says.
    """
    begin_s, end_s = span_s
    namespaces = tuple(sorted({workload.namespace for workload in workloads}))
    done = set[Wanted]()
    # An engine that is yet to be found out is asked in full once it is found.
    while wanted := [one for one in asked_for(assembly.wanted(workloads)) if one not in done]:
        asks = [
            Ask(
                wanted=one,
                namespaces=namespaces if one.namespaced else NO_NAMESPACE,
                since_s=begin_s - assembly.intervals.stale_after_s(one.exporter),
                at_s=end_s,
            )
            for one in wanted
            if one.exporter not in without and one.about != "node"
        ]
        if not await reader.read(asks, assembly, round_, Plan()):
            return None
        done.update(wanted)
    assembly.settle(workloads)
    step_s = assembly.intervals.interval_s(Exporter.ENGINE)
    await arrivals.read_span(workloads, round_, assembly.store, span_s=span_s, step_s=step_s)
    found = {}
    for workload in workloads:
        found[workload.key] = await assembly.between(workload, begin_s, end_s)
    return found


def _minute(at_s: float) -> float:
    """Return the minute's beginning at or before an instant."""
    return at_s // MINUTE_S * MINUTE_S
