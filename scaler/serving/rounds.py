"""
What goes on in the background: the source is read, once for all objects, and each is decided on.

Two loops that never wait for each other. A slow source delays the next read and nothing else:
deciding goes on with what is there, which grows old and then is an error. A long round of decisions
delays no read and no RPC: windows are assembled and decided on in a thread, a little at a time, and
objects that an RPC waits for, that must give GPUs back or that scale ahead of the HPA are let in
between. One object's fault is not another's.
"""

import asyncio
import collections
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping

from scaler.decision.compose import lookback_s, reach_s
from scaler.decision.decision import Decision
from scaler.decision.foresight import Foresight
from scaler.decision.pool import PoolWindow
from scaler.errors import FaultError, KvtideError, NoDataError, SourceError
from scaler.said import Said, joined
from scaler.source import Source, Trigger
from scaler.telemetry.process import Telemetry
from scaler.tracing import failed

from .beside import Beside
from .compose import (
    Decide,
    Elsewhere,
    Readings,
    Subject,
    bounds_of,
    in_flight,
)
from .entry import ROUTINE, Entry
from .happenings import reclaimed
from .made import MOST_AT_ONCE, Answer, Asked, Made, advance, answer_one, answer_some
from .units import units_by_use

logger = logging.getLogger("kvtide.rounds")


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
        self._thread = Beside("decide")
        self._deciding = asyncio.Lock()
        self._foresight = Foresight()
        self.elsewhere: Mapping[str, Elsewhere] = {}
        """Objects of the cluster that another scaler is asked about."""
        self._reads = 0
        self._refused = 0
        self._stirred = asyncio.Event()
        """Something new may be decided on: a read has ended, or an object has new metadata."""
        self.failure: SourceError | None = None
        """Why the last read failed; None: it did not."""
        self.failing_since_s: float | None = None
        """When reads began to fail, Unix seconds; None: the last one did not."""
        self.complete = asyncio.Event()
        """Set once the source was read through, the whole lookback."""

    def stir(self) -> None:
        """Let deciding begin at once, rather than at the next tick."""
        self._stirred.set()

    async def stirred(self, timeout_s: float) -> None:
        """Wait until there may be something to decide on; ``timeout_s`` at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._stirred.wait()

    def stop(self) -> None:
        """Begin no further decision."""
        self._thread.stop()

    async def read(self) -> None:
        """Read the source for every object; what goes wrong is kept as the reason to give."""
        started = asyncio.get_running_loop().time()
        with self._telemetry.span("read", kvtide__objects=len(self._entries)) as told:
            await self._read()
            if self.failure is not None:
                told.update(failed(self.failure.kind, str(self.failure)))
        self._reads += 1
        self._refused, before = self._source.refused, self._refused
        self._telemetry.count_refused(self._refused - before)
        self._telemetry.tell_asked_apart(self._source.asked_apart)
        self.stir()
        seconds = asyncio.get_running_loop().time() - started
        self._telemetry.observe_tick(phase="read", seconds=seconds)

    async def decide(self) -> None:
        """Decide on every object once, and on the urgent ones whenever something is new."""
        async with self._deciding:
            started = asyncio.get_running_loop().time()
            self._stirred.clear()
            readings, due = self.readings(), self._due()
            with self._telemetry.span("decide", kvtide__objects=len(due)):
                await self._evaluate(due, readings, lets_in=True)
            seconds = asyncio.get_running_loop().time() - started
            self._telemetry.observe_tick(phase="decide", seconds=seconds)

    async def _urgent_first(self, readings: Readings, but: Entry | None = None) -> Readings:
        """Let the urgent ones in, ``but`` one, where there is something new; return the newest."""
        if not self._stirred.is_set():
            return readings
        self._stirred.clear()
        readings = self.readings()
        await self._evaluate([one for one in self._urgent() if one is not but], readings)
        return readings

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
            self._failed(SourceError("internal", FaultError(error).detail))
        else:
            if self._source.is_complete:
                self.complete.set()
            self.failure = self.failing_since_s = None
        for entry, trigger in asked:
            entry.read = entry.read or entry.trigger is trigger

    def _failed(self, error: SourceError) -> None:
        self._telemetry.count_source_error(error.kind)
        if str(error) != str(self.failure):
            logger.warning("the source could not be read: %s", error)
        self.failure = error.again()
        if self.failing_since_s is None:
            self.failing_since_s = self._clock()

    def _due(self) -> list[Entry]:
        """Return whom a read has ended for; those that must not wait come first."""
        due = (entry for entry in self._entries.values() if entry.read)
        return sorted(due, key=lambda entry: (entry.urgency, entry.decided))

    def _urgent(self) -> list[Entry]:
        """Return what an RPC waits for, and what acts on a stream and has not seen this read."""
        return [
            entry
            for entry in self._entries.values()
            if entry.read and entry.urgency < ROUTINE and entry.decided < self._reads
        ]

    async def held(self, trigger: Trigger) -> Subject:
        """
        Return what would be decided on for ``trigger`` now.

        Raises:
            KvtideError: nothing fresh is held of it.
        """
        readings = self.readings()
        assembling = readings.assembling(trigger)
        while not await self._thread.run(advance, assembling):
            pass  # whoever waits for a decision gets the thread in between
        return await self._thread.run(readings.subject, trigger)

    def readings(self) -> Readings:
        """Return what is held of every object now."""
        triggers = {key: entry.trigger for key, entry in self._entries.items() if entry.trigger}
        self._foresight.keep_only(triggers)
        return Readings(
            self._source, triggers, self._clock(), self._foresight, elsewhere=self.elsewhere
        )

    async def _evaluate(
        self, entries: Iterable[Entry], readings: Readings, *, lets_in: bool = False
    ) -> None:
        """Decide on objects if their readings changed, a few at a time."""
        left = collections.deque(entries)
        while left:
            if lets_in:
                readings = await self._urgent_first(readings)
            asked = [self._asked(entry) for entry in itertools.islice(left, MOST_AT_ONCE)]
            reads = self._reads
            try:
                answers = await self._thread.run(
                    answer_some, asked, readings, self._decide, self._stirred.is_set
                )
            except NoDataError as error:  # this server is ending
                answers = [error] * len(asked)
            if not answers:
                answers = [await self._assembled(asked[0], readings, lets_in=lets_in)]
            for one, made in zip(asked, answers, strict=False):
                self._take(one, made, reads)
                left.popleft()

    def _asked(self, entry: Entry) -> Asked:
        trigger = entry.trigger if self._serves(entry) else None
        has_decision = entry.latest is not None and entry.latest.decision is not None
        return Asked(entry, trigger, entry.rests_on if has_decision else None)

    async def _assembled(self, one: Asked, readings: Readings, *, lets_in: bool) -> Answer:
        """Decide on one whose windows take long, and let others in meanwhile."""
        assert one.trigger is not None  # noqa: S101 -- nothing is assembled of what is not served
        assembling = readings.assembling(one.trigger)
        try:
            while not await self._thread.run(advance, assembling):
                if lets_in and await self._urgent_first(readings, but=one.entry) is not readings:
                    self.stir()  # those that come after it are decided on what was read since
            return await self._thread.run(answer_one, one, readings, self._decide)
        except Exception as error:  # noqa: BLE001 -- one object's fault is not another's
            return error

    def _take(self, one: Asked, made: Answer, reads: int) -> None:
        """Publish what was made of an object, if it is still asked for."""
        entry, trigger = one.entry, one.trigger
        if trigger is None or entry.trigger is not trigger or not self._serves(entry):
            return  # its metadata changed meanwhile, or it has gone
        entry.decided = reads
        if isinstance(made, Exception):
            entry.publish(now_s=self._clock(), error=self._told(made, entry))
        elif made is not None:
            self._publish(entry, trigger, made)

    def _publish(self, entry: Entry, trigger: Trigger, made: Made) -> None:
        entry.rests_on = made.rests_on
        if isinstance(made.subject, PoolWindow):
            self._time_reclaim(entry, made.subject, made.decision)
        entry.publish(
            now_s=self._clock(),
            decision=made.decision,
            newest_s=made.rests_on_s,
            in_flight=in_flight(made.subject),
            bounds=bounds_of(made.subject, trigger.policy),
            units=units_by_use(made.subject, trigger.policy, made.decision),
        )

    def _serves(self, entry: Entry) -> bool:
        """Whether an entry is still served: one may go while others are decided on."""
        return self._entries.get(entry.key) is entry

    def _told(self, error: Exception, entry: Entry) -> KvtideError:
        """Return what a client is told: for want of data, also why the last read failed."""
        if isinstance(error, NoDataError) and self.failure is not None:
            if str(self.failure) in str(error):
                return error
            failed = Said("the last read failed: {failure}", failure=self.failure.said)
            return NoDataError(joined("; ", (error.said, failed)), newest_s=error.newest_s)
        return refusal(error, entry.key)

    def _time_reclaim(self, entry: Entry, pool: PoolWindow, decision: Decision) -> None:
        """Measure from the sample that ended lending until the cluster shows no worker."""
        before = entry.latest.decision if entry.latest else None
        self._telemetry.may_reclaim(namespace=entry.namespace, scaled_object=entry.name)
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
            entry.happened(reclaimed(seconds))


def refusal(error: Exception, key: str) -> KvtideError:
    """Return what is told of ``error``; a fault of this program goes into the log."""
    if isinstance(error, KvtideError):
        return error
    logger.error("a fault at %s", key, exc_info=error)
    return FaultError(error)
