"""
Looks, once a minute, at what there is of workloads whose engines say nothing.

A few queries for few workloads, and only while they are silent: what is found ends up in the reason
of the decision that could not be made, and in ``kvtide doctor``.
"""

import logging
from collections.abc import Mapping, Sequence

from scaler.errors import SourceError
from scaler.source import Workload

from .asks import MINUTE_S
from .assemble import Assembly
from .cluster import ClusterFacts
from .engines.known import AUTO
from .engines.profile import LIVE, EngineProfile
from .nearby import Sight, what_is_there
from .promql import Matcher
from .reader import Reader, Round
from .series import Subject
from .wanted import Exporter

logger = logging.getLogger("kvtide.prometheus")

_MOST_WORKLOADS = 5
"""Looked at in one round; the others have their turn in the next ones."""
_MOST_PODS = 20


class Lookout:
    """Remembers, by workload, what was seen the last time that it was looked at."""

    def __init__(
        self, reader: Reader, assembly: Assembly, profiles: Mapping[str, EngineProfile]
    ) -> None:
        self._reader = reader
        self._assembly = assembly
        self._profiles = profiles
        self._seen: dict[str, tuple[float, str]] = {}

    def of(self, workload: Workload) -> str | None:
        """Say what is there in place of a workload's readings; None: it speaks, or sleeps."""
        seen = self._seen.get(workload.key)
        return None if seen is None else seen[1]

    async def look(self, workloads: Sequence[Workload], round_: Round, now_s: float) -> None:
        """Look at the silent ones that were not looked at within a minute."""
        silent = [one for one in workloads if self._is_silent(one, now_s)]
        keys = {workload.key for workload in silent}
        self._seen = {key: seen for key, seen in self._seen.items() if key in keys}
        due = [one for one in silent if now_s - self._seen.get(one.key, (0.0,))[0] >= MINUTE_S]
        for workload in due[:_MOST_WORKLOADS]:
            try:
                sight = await self._sight(workload, round_, now_s)
            except SourceError as error:
                logger.info("what is there of %s could not be looked at: %s", workload.key, error)
                continue
            self._seen[workload.key] = (now_s, what_is_there(sight, self._profiles))

    def _is_silent(self, workload: Workload, now_s: float) -> bool:
        """Whether a workload that is not known to be at zero has no engine series at all."""
        assembly, pods = self._assembly, self._assembly.pods_of(workload)
        if assembly.engines.speaks(workload, pods):
            return False
        stale_after_s = assembly.intervals.stale_after_s(Exporter.CLUSTER)
        scale = ClusterFacts(assembly.store).at(
            workload, pods, at_s=now_s, stale_after_s=stale_after_s
        )
        return scale.spec_replicas != 0

    async def _sight(self, workload: Workload, round_: Round, now_s: float) -> Sight:
        pods = self._assembly.pods_of(workload)[:_MOST_PODS]
        store = self._assembly.store
        stale_after_s = self._assembly.intervals.stale_after_s(Exporter.ENGINE)
        ups = {pod: store.value("up", pod, now_s, stale_after_s) for pod in pods}
        up = [pod for pod, value in ups.items() if value]
        names = await self._names_at(up, round_, now_s) if up else frozenset[str]()
        expected = self._expected(workload)
        elsewhere = () if up else await self._reader.some_of(expected, round_, now_s)
        return Sight(
            engine=workload.engine,
            targets=sum(value is not None for value in ups.values()),
            up=len(up),
            names=names,
            elsewhere=elsewhere,
        )

    async def _names_at(
        self, pods: Sequence[Subject], round_: Round, now_s: float
    ) -> frozenset[str]:
        tracks = [track for pod in pods for track in self._assembly.store.tracks("up", pod)]
        known = [
            m for one in self._profiles.values() for f in LIVE for m in one.readings[f].metrics
        ]
        found = set[str]()
        for labels in {_where(track.labels, track.subject) for track in tracks}:
            found |= await self._reader.names_at(labels, known, round_, now_s)
        return frozenset(found)

    def _expected(self, workload: Workload) -> list[str]:
        engines = (
            self._profiles.values()
            if workload.engine == AUTO
            else [self._profiles[workload.engine]]
        )
        return [m for one in engines for field in LIVE for m in one.readings[field].metrics]


def _where(labels: Mapping[str, str], subject: Subject) -> tuple[Matcher, ...]:
    """Return the matchers of a target's own labels that name its namespace and pod."""
    return tuple(
        (label, "=", text)
        for label, text in sorted(labels.items())
        if text in subject and ("pod" in label or "namespace" in label)
    )
