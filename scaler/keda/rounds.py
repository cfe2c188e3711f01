"""
What happens every tick: the source is read, once for all objects, and each is decided on.

A slow source delays the read and nothing else: deciding goes on with what is there, which grows
old and then is an error. One object's fault is not another's.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from scaler.decision.decision import Decision
from scaler.decision.pool import PoolWindow
from scaler.errors import FaultError, KvtideError, NoDataError, SourceError
from scaler.sources.source import Source
from scaler.telemetry import Telemetry

from .compose import Decide, Readings, fingerprint, lookback_s, newest_s, reach_s
from .entry import Entry

logger = logging.getLogger("kvtide.rounds")

SLICE_S = 0.002
"""Deciding gives way to waiting RPCs after this many seconds."""


class Rounds:
    """Reads a source for the entries of a board, and decides on them."""

    def __init__(
        self,
        entries: Mapping[str, Entry],
        *,
        source: Source,
        decide: Decide,
        clock: Callable[[], float],
        telemetry: Telemetry,
    ) -> None:
        self._entries = entries
        self._source = source
        self._decide = decide
        self._clock = clock
        self._telemetry = telemetry
        self._reading: asyncio.Task[None] | None = None
        self._began_s = 0.0
        self.failure: SourceError | None = None
        """Why the last read failed; None: it did not."""
        self.complete = asyncio.Event()
        """Set once the source was read through, the whole lookback."""

    async def round(self, *, only_new: bool, patience_s: float) -> None:
        """
        Read for at most ``patience_s``, then decide with what is there.

        A read that takes longer goes on, and the next round waits for it again: there is never
        a second one beside it.
        """
        loop = asyncio.get_running_loop()
        if self._reading is None:
            self._began_s = loop.time()
            self._reading = asyncio.create_task(self._read())
        done, _ = await asyncio.wait({self._reading}, timeout=patience_s)
        await self._decide_on(self._due(only_new=only_new))
        if done:
            self._reading = None
            self._telemetry.observe_tick(loop.time() - self._began_s)

    def stop(self) -> None:
        """Cancel the read under way."""
        if self._reading is not None:
            self._reading.cancel()

    def evaluate(self, entry: Entry) -> None:
        """Decide on one object now, from what was read before."""
        self._evaluate(entry, self._readings())

    async def _read(self) -> None:
        asked = [(entry, entry.trigger) for entry in self._entries.values() if entry.trigger]
        fine_s = max((lookback_s(trigger.policy) for _, trigger in asked), default=0.0)
        far_s = max((reach_s(trigger.policy) for _, trigger in asked), default=0.0)
        workloads = [trigger.workload for _, trigger in asked]
        try:
            await self._source.refresh(workloads, fine_s, self._clock(), history_s=far_s)
        except SourceError as error:
            self._failed(error)
        except Exception as error:
            logger.exception("reading the source failed")
            self._failed(SourceError("internal", repr(error)))
        else:
            self.complete.set()
            self.failure = None
        for entry, trigger in asked:
            entry.read = entry.read or entry.trigger is trigger

    def _failed(self, error: SourceError) -> None:
        self._telemetry.count_source_error(error.kind)
        if str(error) != str(self.failure):
            logger.warning("the source could not be read: %s", error)
        self.failure = error

    def _due(self, *, only_new: bool) -> list[Entry]:
        read = (entry for entry in self._entries.values() if entry.read)
        due = [entry for entry in read if entry.latest is None or not only_new]
        return sorted(due, key=lambda entry: entry.urgency)

    async def _decide_on(self, entries: Iterable[Entry]) -> None:
        loop = asyncio.get_running_loop()
        resumed = loop.time()
        readings = self._readings()
        for entry in entries:
            changed = self._evaluate(entry, readings)
            if changed or loop.time() - resumed > SLICE_S:
                await asyncio.sleep(0)  # RPCs and streams go first
                resumed = loop.time()

    def _readings(self) -> Readings:
        triggers = {key: entry.trigger for key, entry in self._entries.items() if entry.trigger}
        return Readings(self._source, triggers, self._clock())

    def _evaluate(self, entry: Entry, readings: Readings) -> bool:
        """Decide on one object if its readings changed; return whether the answer did."""
        trigger, now_s = entry.trigger, self._clock()
        if trigger is None:
            return False
        try:
            subject = readings.subject(trigger)
            rests_on = fingerprint(subject)
            if rests_on == entry.rests_on and entry.latest and entry.latest.decision:
                return False
            decision = self._decide(subject, trigger.policy)
        except KvtideError as error:
            return entry.publish(now_s=now_s, error=self._explained(error))
        except Exception as error:
            logger.exception("deciding on %s failed", entry.key)
            return entry.publish(now_s=now_s, error=FaultError(f"internal error: {error!r}"))
        entry.rests_on = rests_on
        if isinstance(subject, PoolWindow):
            self._time_reclaim(entry, subject, decision)
        return entry.publish(now_s=now_s, decision=decision, newest_s=newest_s(subject))

    def _explained(self, error: KvtideError) -> KvtideError:
        """Add why there is nothing fresh, where the last read says so."""
        if self.failure is None or not isinstance(error, NoDataError):
            return error
        text = f"{error}; the last read failed: {self.failure}"
        return NoDataError(text, newest_s=error.newest_s)

    def _time_reclaim(self, entry: Entry, pool: PoolWindow, decision: Decision) -> None:
        """Measure from the sample that ended lending until the cluster shows no worker."""
        before = entry.latest.decision if entry.latest else None
        if decision.replicas != 0:
            entry.reclaiming_since_s = None
        elif before is not None and before.active:
            entry.reclaiming_since_s = decision.at_s
        if entry.reclaiming_since_s is not None and pool.workers == 0:
            seconds = max(0.0, self._clock() - entry.reclaiming_since_s)
            entry.reclaiming_since_s = None
            self._telemetry.observe_reclaim(
                namespace=entry.namespace, scaled_object=entry.name, seconds=seconds
            )
