"""One ScaledObject on the board: its newest metadata, its latest answer, and who follows it."""

import asyncio
import dataclasses
import logging
import re
from collections import deque
from collections.abc import Mapping

from scaler.decision.decision import Decision
from scaler.decision.policy import InferencePolicy
from scaler.errors import ConfigurationError, KvtideError, NoDataError, Problem
from scaler.said import Said
from scaler.source import Role, Trigger
from scaler.telemetry.observed import decision_fields

from .evaluation import Evaluation
from .happenings import Happening, Tell, happenings
from .pulse import Pulse

logger = logging.getLogger("kvtide.decision")


_KUBERNETES_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
ROUTINE = 2
"""The urgency of inference that has an answer and no fast path."""


LONGEST_ADDRESS = 300
"""Characters of a name and a port."""


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """What KEDA said about an object, and what it is told; nothing else is remembered."""

    namespace: str
    name: str
    taken: int | None = None
    """Stands for the newest metadata, whose texts nobody needs any more; None: not taken yet."""
    address: str = ""
    """By which KEDA called this scaler for it; empty: it did not say."""
    parsing: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    """Held while a newer one is parsed."""
    trigger: Trigger | None = None
    """None: the metadata is wrong, and ``latest`` says where."""
    read: bool = False
    """Whether a read of the source has ended since the workload was named."""
    latest: Evaluation | None = None
    decided: int = -1
    """Number of the read that was the last one when it was decided on."""
    rests_on: object = None
    """Fingerprint of the readings behind ``latest``."""
    changed: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    """Set, and replaced by a new one, with each change of the answer."""
    seq: int = 0
    pulse: Pulse = dataclasses.field(default_factory=Pulse)
    """When it was asked about."""
    followers: int = 0
    drained: bool = False
    polls: deque[tuple[float, Evaluation]] = dataclasses.field(
        default_factory=lambda: deque(maxlen=8)
    )
    """Answers that opened a poll (when, Unix seconds; which) and wait for its IsActive."""
    reclaiming_since_s: float | None = None
    tell: Tell | None = None
    """Hears what happens to the object, for people."""

    @property
    def key(self) -> str:
        """``namespace/scaledobject``."""
        return f"{self.namespace}/{self.name}"

    @property
    def urgency(self) -> int:
        """Who is decided on first: what an RPC waits for, what acts on a stream, the ROUTINE."""
        if self.latest is None:
            return 0
        return 1 if self.trigger and _acts_at_once(self.trigger) else ROUTINE

    def has_taken(self, metadata: Mapping[str, str]) -> bool:
        """Whether metadata is what was taken last."""
        return self.taken == _mark(metadata)

    def accept(self, metadata: Mapping[str, str], trigger: Trigger) -> None:
        """Begin anew with what new metadata asks for."""
        same = self.trigger is not None and self.trigger.workload == trigger.workload
        self._begin_anew(metadata, trigger, read=self.read and same)
        self.latest, self.decided = None, -1

    def refuse(self, metadata: Mapping[str, str], error: KvtideError, now_s: float) -> None:
        """Begin anew with metadata that is wrong, and tell what is."""
        self._begin_anew(metadata, None, read=False)
        self.publish(now_s=now_s, error=error)

    def _begin_anew(
        self, metadata: Mapping[str, str], trigger: Trigger | None, *, read: bool
    ) -> None:
        address = metadata.get("scalerAddress", "")
        self.taken, self.address = _mark(metadata), address[:LONGEST_ADDRESS]
        self.trigger, self.read, self.rests_on = trigger, read, None
        self.polls.clear()

    def publish(
        self,
        *,
        now_s: float,
        decision: Decision | None = None,
        error: KvtideError | None = None,
        newest_s: float | None = None,
        in_flight: Mapping[str, int] | None = None,
        bounds: tuple[int, int | None] | None = None,
        units: Mapping[str, int] | None = None,
    ) -> bool:
        """Take an answer; return whether a client sees a difference, and tell who follows."""
        before = self.latest
        if newest_s is None and isinstance(error, NoDataError):
            newest_s = error.newest_s
        if newest_s is None and before is not None:
            newest_s = before.newest_s
        evaluation = Evaluation(
            namespace=self.namespace,
            name=self.name,
            trigger=self.trigger,
            decision=decision,
            error=None if error is None else error.again(),
            newest_s=newest_s,
            evaluated_s=now_s,
            seq=self.seq + 1,
            in_flight=in_flight or {},
            bounds=bounds or (before.bounds if before else None),
            before=None if before is None else before.last_count,
            units=units or {},
        )
        if evaluation.tells_the_same_as(before):
            self.latest = dataclasses.replace(evaluation, seq=self.seq)
            return False
        self.seq, self.latest = evaluation.seq, evaluation
        logger.info("decision", extra={"fields": decision_fields(evaluation.observation)})
        for happening in happenings(before, evaluation):
            self.happened(happening)
        self.wake_followers()
        return True

    def happened(self, happening: Happening) -> None:
        """Pass on what happened to it."""
        if self.tell is not None:
            self.tell(self.namespace, self.name, happening)

    def end(self) -> None:
        """End every follower's wait, now and from now on."""
        self.drained = True
        self.wake_followers()

    def wake_followers(self) -> None:
        """Let every :meth:`Follower.next` look again."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


def _mark(metadata: Mapping[str, str]) -> int:
    return hash(frozenset(metadata.items()))


def _acts_at_once(trigger: Trigger) -> bool:
    """Whether somebody acts on the answer without waiting for KEDA's poll."""
    policy = trigger.policy
    return trigger.role is Role.TRAINING or (
        isinstance(policy, InferencePolicy) and policy.fast_path
    )


class Follower:
    """Sees every change of one object's answer, or the newest where several came at once."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._seen = 0 if entry.latest is None else entry.seq

    @property
    def latest(self) -> Evaluation | None:
        """The newest answer; None: there is none yet."""
        return self._entry.latest

    async def next(self, timeout_s: float) -> Evaluation | None:
        """Wait for an answer that differs; None: the time is up, or the board drains."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.latest is None or self.latest.seq == self._seen:
                    if self._entry.drained:
                        return None
                    await self._entry.changed.wait()
        except TimeoutError:
            return None
        self._seen = self.latest.seq
        return self.latest


def refuse_wrong_names(**names: str) -> None:
    """
    Refuse what no object of Kubernetes is called.

    Raises:
        ConfigurationError: a name is none.
    """
    problems = tuple(
        Problem(field=field, got=repr(text[:80]), allowed=Said("the name of a Kubernetes object"))
        for field, text in names.items()
        if not _KUBERNETES_NAME.fullmatch(text)
    )
    if problems:
        raise ConfigurationError(*problems)
