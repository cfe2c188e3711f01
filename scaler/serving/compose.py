"""
From what a source read to what a decision is made of: one workload, a pool, or a group of tiers.

Composing remembers nothing. Since when a member has been silent is the time of its newest sample,
and since when the borrower has run at its size is read from its own window, so that two replicas
of the scaler, or one before and after a restart, compose the same.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from scaler.decision.compose import held_s, lookback_s, workers_of
from scaler.decision.decision import Decision
from scaler.decision.foresight import Foresight
from scaler.decision.limits import bounds
from scaler.decision.policy import InferencePolicy, LendingPolicy, Policy
from scaler.decision.pool import Member, PoolWindow, TierWindow
from scaler.decision.window import Window
from scaler.errors import KvtideError, NoDataError
from scaler.source import Source, Trigger, Workload

Subject = Window | PoolWindow | TierWindow
"""What :func:`decide` takes."""

Decide = Callable[[Subject, Policy], Decision]
"""The one decision function: pure, so that a backtest says what the server would have said."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Silence:
    """No window, and why."""

    error: KvtideError

    @property
    def since_s(self) -> float | None:
        """Time of the newest sample there ever was, Unix seconds."""
        return self.error.newest_s if isinstance(self.error, NoDataError) else None


@dataclasses.dataclass(frozen=True, slots=True)
class Elsewhere:
    """An object of the cluster about which KEDA asks another scaler."""

    address: str
    tier_group: str | None


class Readings:
    """
    The windows of one instant, each built once however many objects are composed of it.

    One that nothing else is composed of is let go with its subject: a thousand of them are 60 MB.
    ``triggers`` are all known ones by ``namespace/scaledobject``; ``foresight`` is kept by whoever
    composes again and again. ``elsewhere`` are the objects that another scaler is asked about.
    """

    def __init__(
        self,
        source: Source,
        triggers: Mapping[str, Trigger],
        now_s: float,
        foresight: Foresight | None = None,
        elsewhere: Mapping[str, Elsewhere] | None = None,
    ) -> None:
        self._source = source
        self._triggers = triggers
        self._now_s = now_s
        self._foresight = foresight or Foresight()
        self._elsewhere = elsewhere or {}
        self._windows: dict[str, Window | _Silence] = {}
        self._pooled = {name for trigger in triggers.values() for name in trigger.pool_members}

    def assembling(self, trigger: Trigger) -> Iterator[None]:
        """Make what :meth:`subject` is about to need, a little at each step; it raises nothing."""
        for one in self._concerned(trigger):
            if one.workload.key not in self._windows:
                yield from self._source.assembling(
                    one.workload, lookback_s(one.policy), self._now_s
                )

    def subject(self, trigger: Trigger) -> Subject:
        """
        Compose what is decided on for ``trigger``.

        Raises:
            NoDataError: nothing fresh of the workload itself. Members of a pool or a tier group
                may be silent: the decision says what follows from that.
            ConfigurationError: the source finds the trigger at odds with another one.
        """
        policy = trigger.policy
        if isinstance(policy, LendingPolicy):
            return self._pool(trigger)
        if policy.tier_group is not None:
            return self._tiers(trigger.workload, policy.tier_group)
        key = trigger.workload.key
        window = self._window(trigger)
        if key not in self._pooled:
            del self._windows[key]
        if isinstance(window, _Silence):
            raise window.error.again()
        return window

    def _pool(self, trigger: Trigger) -> PoolWindow:
        # What is decided without readings lends nothing: to a pool a silent window is none.
        members = tuple(
            self._with_units(_heard(self._member(name)), trigger.pool_resource)
            for name in trigger.pool_members
        )
        fresh = [member.window for member in members if member.window is not None]
        borrower = self._window(trigger)
        known = None if isinstance(borrower, _Silence) else borrower
        workers, since_s = (None, None) if known is None else workers_of(known)
        resource = trigger.pool_resource
        online = [
            self._triggers[name].workload for name in trigger.pool_members if name in self._triggers
        ]
        return PoolWindow(
            # Without any reading it is the clock that says for how long there was none.
            at_s=max((window.latest.at_s for window in fresh), default=self._now_s),
            read_s=max((window.now_s for window in fresh), default=None),
            members=members,
            nodes=() if resource is None else self._source.nodes(resource, online, self._now_s),
            workers=workers,
            asked=None if known is None else known.latest.spec_replicas,
            workers_since_s=since_s,
            reclaim_s=None if known is None else known.reclaim_s,
        )

    def _tiers(self, workload: Workload, group: str) -> TierWindow:
        members = tuple(self._member(name) for name in self._names_of_group(workload, group))
        return TierWindow(member=workload.key, members=members)

    def _names_of_group(self, workload: Workload, group: str) -> list[str]:
        """
        Return the group: every tier of that name in the namespace that KEDA asked about.

        Those that it asks another scaler about belong to it as well, and nothing is known of them.
        """
        asked = (
            key
            for key, other in self._triggers.items()
            if other.workload.namespace == workload.namespace
            and isinstance(other.policy, InferencePolicy)
            and other.policy.tier_group == group
        )
        apart = (
            key
            for key, other in self._elsewhere.items()
            if other.tier_group == group and key.startswith(f"{workload.namespace}/")
        )
        return sorted({*asked, *apart})

    def _concerned(self, trigger: Trigger) -> Iterator[Trigger]:
        """Return the triggers whose windows a subject is composed of."""
        names: Sequence[str] = trigger.pool_members
        if isinstance(trigger.policy, InferencePolicy) and trigger.policy.tier_group is not None:
            names = self._names_of_group(trigger.workload, trigger.policy.tier_group)
        yield trigger
        yield from (self._triggers[name] for name in names if name in self._triggers)

    def _member(self, name: str) -> Member:
        trigger = self._triggers.get(name)
        if trigger is None or not isinstance(trigger.policy, InferencePolicy):
            apart = None if trigger else self._elsewhere.get(name)
            address = None if apart is None else apart.address
            return Member(name=name, policy=None, window=None, asked_at=address)
        window = self._window(trigger)
        if isinstance(window, _Silence):
            return Member(
                name=name, policy=trigger.policy, window=None, silent_since_s=window.since_s
            )
        return Member(name=name, policy=trigger.policy, window=window)

    def _with_units(self, member: Member, resource: str | None) -> Member:
        """Return a member of a pool with what its pods hold of the pool's resource."""
        if member.window is None:
            return member
        workload = self._triggers[member.name].workload
        units = self._source.units(resource, workload, self._now_s)
        return dataclasses.replace(member, units=units)

    def _window(self, trigger: Trigger) -> Window | _Silence:
        key = trigger.workload.key
        if key not in self._windows:
            try:
                self._windows[key] = self._read(trigger)
            except KvtideError as error:
                self._windows[key] = _Silence(error.again())
        return self._windows[key]

    def _read(self, trigger: Trigger) -> Window:
        policy = trigger.policy
        window = self._source.window(
            trigger.workload, lookback_s(policy), self._now_s, silent_s=held_s(policy)
        )
        if isinstance(policy, InferencePolicy):
            return self._foresight.given(trigger.workload.key, window, policy)
        return window


def _heard(member: Member) -> Member:
    if member.window is None or not member.window.silent_s:
        return member
    return dataclasses.replace(member, window=None, silent_since_s=member.window.now_s)


def newest_s(subject: Subject) -> float | None:
    """Return the time of the newest sample in ``subject``; None: there is none."""
    if isinstance(subject, Window):
        return subject.now_s
    times = [member.window.now_s for member in subject.members if member.window is not None]
    return max(times, default=None)


def bounds_of(subject: Subject, policy: Policy) -> tuple[int, int | None] | None:
    """Return the least and most replicas or workers (None: no limit); None: not known."""
    if isinstance(policy, LendingPolicy):
        return 0, policy.most_workers
    if isinstance(subject, TierWindow):
        own = next((one.window for one in subject.members if one.name == subject.member), None)
        return None if own is None else bounds(own, policy)
    return bounds(subject, policy) if isinstance(subject, Window) else None


def in_flight(subject: Subject) -> dict[str, int]:
    """Return the requests running and waiting in each replica of an inference workload."""
    if isinstance(subject, Window):
        return {
            one.name: round(one.requests_running + (one.requests_waiting or 0.0))
            for one in subject.latest.replicas
            if one.requests_running is not None
        }
    if isinstance(subject, PoolWindow):
        return {}
    own = next((one.window for one in subject.members if one.name == subject.member), None)
    return {} if own is None else in_flight(own)


def fingerprint(subject: Subject) -> object:
    """
    Return a small value that differs when a decision may: what is newest, and who is silent.

    A late sample in an older bucket counts from the next newest one on.
    """
    if isinstance(subject, Window):
        return (subject.latest, subject.samples[0].at_s, subject.bounds, subject.silent_s)
    members = tuple(
        (
            one.name,
            one.policy,
            one.units,
            one.silent_since_s,
            one.window and fingerprint(one.window),
        )
        for one in subject.members
    )
    if isinstance(subject, TierWindow):
        return (subject.member, members)
    workers = (subject.workers, subject.asked, subject.workers_since_s)
    return (subject.at_s, members, subject.nodes, workers)
