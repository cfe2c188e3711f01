"""
What KEDA asked about, and the latest answer for each.

An RPC only looks up. The first one for an object registers it and waits for the next read of the
source, a second at most; for one namespace and name the newest metadata counts. No answer depends
on an earlier one.
"""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping

from scaler.errors import NoDataError, NotServedError, TooManyObjectsError
from scaler.said import Said
from scaler.source import Source, Trigger
from scaler.telemetry.observed import Observation, Standing
from scaler.telemetry.process import Telemetry

from .beside import Beside
from .compose import Decide, Elsewhere, Subject
from .entry import Entry, Follower, refuse_wrong_names
from .evaluation import Evaluation
from .happenings import Tell
from .listed import Listed
from .rounds import Rounds, refusal

logger = logging.getLogger("kvtide.board")

Parse = Callable[[str, str, Mapping[str, str]], Trigger]
"""(namespace, name, metadata) to a Trigger, or a ConfigurationError with all problems."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Times and bounds of a board."""

    tick_s: float = 2.0
    first_answer_s: float = 1.0
    """The most that the first call for an object waits; KEDA's own deadline is 3 s for a poll."""
    idle_s: float = 1800.0
    """An object is dropped after three polls that did not come, and after so long at the latest."""
    most_objects: int = 10_000
    poll_s: float = 1.0
    """GetMetrics and the IsActive after it, within this time, are one poll."""


class Board:
    """The objects that KEDA asked about, each with its latest answer."""

    def __init__(
        self,
        *,
        source: Source,
        parse: Parse,
        decide: Decide,
        clock: Callable[[], float],
        telemetry: Telemetry,
        limits: Limits | None = None,
        listed: Listed | None = None,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Begin with no object.

        Args:
            source: the readings.
            parse: metadata to a trigger.
            decide: the one decision function.
            clock: Unix seconds.
            telemetry: what is said of each answer.
            limits: times and bounds.
            listed: the ScaledObjects that the cluster has; None: only KEDA says.
            has_room: whether there is memory for one object more.
        """
        self._has_room = has_room
        self._listed = listed or Listed()
        self.tell: Tell | None = None
        """Hears what happens to objects that are admitted from now on, for people."""
        self._parse = parse
        self._clock = clock
        self._telemetry = telemetry
        self._limits = limits or Limits()
        self._entries: dict[str, Entry] = {}
        self._rounds = Rounds(
            self._entries, source=source, decide=decide, clock=clock, telemetry=telemetry
        )
        self._parser = Beside("parse")
        self._wake = asyncio.Event()
        self._withdrawn = False
        self.draining = False
        self._ticked_s = clock()

    @property
    def standing(self) -> Standing:
        """Whether answers can be expected, for probes and the status page."""
        failure = self._rounds.failure
        return Standing(
            ready=self._rounds.complete.is_set() and not self._withdrawn,
            draining=self._withdrawn,
            failure=None if failure is None else str(failure),
            ticked_s=self._ticked_s,
            failure_kind=None if failure is None else failure.kind,
            failure_detail="" if failure is None else failure.detail,
            failing_since_s=self._rounds.failing_since_s,
        )

    async def until_ready(self) -> None:
        """Wait for the first full read of the source."""
        await self._rounds.complete.wait()

    async def run(self) -> None:
        """Read and decide, every tick and when an object is new, until cancelled."""
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._keep_reading())
                loops.create_task(self._keep_deciding())
        finally:
            self._rounds.stop()
            self._parser.stop()

    async def tick(self) -> None:
        """Read once, decide on every object, and drop the idle ones."""
        await self._learn()
        await self._rounds.read()
        await self._decide()

    async def _keep_reading(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            due_s = loop.time() + self._limits.tick_s
            await self._learn()
            self._evict()  # what has gone claims no pod of whoever follows it
            await self._rounds.read()
            if all(entry.read for entry in self._entries.values() if entry.trigger):
                await self._pause(due_s - loop.time())

    async def _keep_deciding(self) -> None:
        while True:
            await self._rounds.stirred(self._limits.tick_s)
            await self._decide()

    async def _decide(self) -> None:
        await self._rounds.decide()
        self._evict()
        self._ticked_s = self._clock()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def value(self, namespace: str, name: str, metadata: Mapping[str, str]) -> Evaluation:
        """Return the answer that opens a poll; :meth:`activity` of the same poll agrees with it."""
        entry = await self._asked(namespace, name, metadata)
        evaluation = await self._latest(entry)
        if evaluation.answers:  # after an error KEDA does not ask for activity
            entry.polls.append((self._clock(), evaluation))
        return evaluation

    async def activity(self, namespace: str, name: str, metadata: Mapping[str, str]) -> Evaluation:
        """Return the answer that closes a poll: the one its :meth:`value` gave, else the latest."""
        entry = await self._asked(namespace, name, metadata)
        while entry.polls:
            opened_s, evaluation = entry.polls.popleft()
            if 0 <= self._clock() - opened_s <= self._limits.poll_s:
                return evaluation
        return await self._latest(entry)

    async def latest(self, namespace: str, name: str, metadata: Mapping[str, str]) -> Evaluation:
        """
        Return the latest answer; the first call for an object waits for its first.

        Raises:
            NoDataError: the first read takes too long.
            ConfigurationError: these are no names of an object.
            TooManyObjectsError: it would be one too many.
        """
        return await self._latest(await self._asked(namespace, name, metadata))

    @contextlib.contextmanager
    def follow(self, namespace: str, name: str) -> Iterator[Follower]:
        """
        Follow the answers of an object that was asked about.

        Raises:
            NotServedError: it was not.
        """
        entry = self._entries.get(f"{namespace}/{name}")
        if entry is None:
            raise NotServedError(
                Said(
                    "KEDA has not asked about {key} since this server started",
                    key=f"{namespace}/{name}",
                )
            )
        entry.followers += 1
        try:
            yield Follower(entry)
        finally:
            entry.followers -= 1
            entry.pulse.keep(self._clock())

    def evaluations(self) -> tuple[Evaluation, ...]:
        """Return the latest answers, in order of namespace and name; from any thread."""
        entries = sorted(self._entries.values(), key=lambda entry: entry.key)
        return tuple(entry.latest for entry in entries if entry.latest)

    def triggers(self) -> dict[str, Trigger]:
        """Return what the objects ask for, by ``namespace/scaledobject``; wrong ones left out."""
        return {key: entry.trigger for key, entry in self._entries.items() if entry.trigger}

    async def held(self, key: str) -> Subject:
        """
        Return what is held of an object's readings.

        Raises:
            NotServedError: nobody asked about it, or its metadata is wrong.
            KvtideError: nothing fresh is held.
        """
        trigger = self.triggers().get(key)
        if trigger is None:
            raise NotServedError(Said("{key} is not served", key=key))
        return await self._rounds.held(trigger)

    def observations(self) -> tuple[Observation, ...]:
        """Return the latest answers as metrics and pages show them."""
        return tuple(evaluation.observation for evaluation in self.evaluations())

    def withdraw(self) -> None:
        """Say that nobody new should come; answers and streams go on."""
        self._withdrawn = True

    def drain(self) -> None:
        """End every follower's wait, now and from now on."""
        self.draining = self._withdrawn = True
        for entry in self._entries.values():
            entry.end()

    async def _latest(self, entry: Entry) -> Evaluation:
        if entry.latest is not None:
            return entry.latest
        evaluation = await Follower(entry).next(self._limits.first_answer_s)
        if evaluation is None:
            failure = self._rounds.failure
            because = (
                Said("; the last one failed: {failure}", failure=failure.said) if failure else ""
            )
            raise NoDataError(
                Said(
                    "the first read for {key} is not done yet{because}",
                    key=entry.key,
                    because=because,
                )
            )
        return evaluation

    async def _asked(self, namespace: str, name: str, metadata: Mapping[str, str]) -> Entry:
        """Register an object, or take its newest metadata; note that somebody asked."""
        key = f"{namespace}/{name}"
        if key not in self._entries:
            refuse_wrong_names(namespace=namespace, name=name)
            await self._listed.refuse_made_up(
                namespace, name, patience_s=self._limits.first_answer_s
            )
        metadata = self._listed.metadata(namespace, name, metadata)
        entry = self._entries.get(key) or self._register(namespace, name)
        entry.pulse.poll(self._clock())
        if not entry.has_taken(metadata):
            await self._take(entry, dict(metadata))
        return entry

    def _register(self, namespace: str, name: str) -> Entry:
        if why := self._full():
            raise TooManyObjectsError(why)
        entry = Entry(namespace=namespace, name=name, drained=self.draining, tell=self.tell)
        self._entries[entry.key] = entry
        return entry

    def _full(self) -> Said | None:
        """Return why no further object is taken up; None: it is."""
        count = len(self._entries)
        if count >= self._limits.most_objects:
            return Said("{count} ScaledObjects are served, which is the limit", count=count)
        if not self._has_room():
            return Said(
                "{count} ScaledObjects are served, and there is no memory for one more", count=count
            )
        return None

    async def _take(self, entry: Entry, metadata: Mapping[str, str]) -> None:
        """
        Parse new metadata, beside the loop; what the old one led to no longer counts.

        However often an object changes, one text of it is in the queue.
        """
        async with entry.parsing:
            if entry.has_taken(metadata):
                return  # others came with the same meanwhile
            try:
                trigger = await self._parser.run(self._parse, entry.namespace, entry.name, metadata)
            except Exception as error:  # noqa: BLE001 -- a fault of the parser is one object's too
                entry.refuse(metadata, refusal(error, entry.key), self._clock())
                return
            entry.accept(metadata, trigger)
        self._rounds.stir() if entry.read else self._wake.set()

    async def _learn(self) -> None:
        """
        Take up objects that KEDA has not asked about yet: others share a pool or tiers with them.

        They name an address that KEDA called this scaler by; what KEDA says of an object counts
        from its first call on.
        """
        addresses = self._addresses()
        for namespace, name, metadata in tuple(self._listed.named(addresses)):
            entry = self._entries.get(f"{namespace}/{name}")
            if entry is None and self._full() is None:
                entry = self._register(namespace, name)
            if entry is not None:
                entry.pulse.keep(self._clock())
                if entry.taken is None:
                    await self._take(entry, dict(metadata))
        if addresses:
            self._rounds.elsewhere = {
                f"{namespace}/{name}": Elsewhere(
                    metadata["scalerAddress"], metadata.get("tierGroup")
                )
                for namespace, name, metadata in self._listed.others(addresses)
                if f"{namespace}/{name}" not in self._entries
            }

    def _addresses(self) -> set[str]:
        """
        Return the addresses that this scaler is called by, as far as they can be believed.

        Whoever calls may ask about an object that names another scaler, whose objects are none of
        ours: its address does not count where its metadata is not for us, nor once nobody asks.
        """
        since_s = self._clock() - self._limits.idle_s
        return {
            entry.address
            for entry in self._entries.values()
            if entry.address and entry.trigger is not None and entry.pulse.polled_s >= since_s
        }

    def _evict(self) -> None:
        """Drop what the cluster does not have, and what nobody asks about any more."""
        now_s, idle_s = self._clock(), self._limits.idle_s
        for entry in tuple(self._entries.values()):
            if self._listed.there(entry.namespace, entry.name) is False:
                self._drop(entry, "the cluster has no ScaledObject %s: dropped")
            elif not entry.followers and entry.pulse.has_stopped(now_s, idle_s):
                self._drop(entry, "nobody asks about %s any more: dropped")

    def _drop(self, entry: Entry, why: str) -> None:
        del self._entries[entry.key]
        entry.end()
        self._telemetry.forget(namespace=entry.namespace, scaled_object=entry.name)
        logger.info(why, entry.key)
