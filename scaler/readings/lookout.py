"""
Looks, once a minute, at what there is of workloads whose engines say nothing.

A few queries for few workloads, and only while they are silent: what is found ends up in the reason
of the decision that could not be made, and in ``kvtide doctor``.
"""

import dataclasses
import logging
import re
from collections.abc import Mapping, Sequence

from scaler.errors import ConfigurationError, SourceError
from scaler.source import Workload

from .asks import MINUTE_S
from .assemble import Assembly
from .cluster import ClusterFacts
from .engines.known import AUTO
from .engines.profile import LIVE, EngineProfile
from .gateways.known import AtGateway
from .gateways.profile import GatewayProfile, rows_of
from .nearby import Sight, labels_of, what_is_there
from .promql import Matcher
from .reader import Reader
from .round import Round
from .series import Subject
from .wanted import Exporter

logger = logging.getLogger("kvtide.prometheus")

_MOST_AT_ONCE = 5
"""Looked at in one round; the others have their turn in the next ones."""
_MOST_PODS = 20

Place = tuple[Exporter, str]
"""An exporter of a workload, by its key."""


class Lookout:
    """Remembers, by workload, what was seen the last time that it was looked at."""

    def __init__(
        self,
        reader: Reader,
        assembly: Assembly,
        *,
        profiles: Mapping[str, EngineProfile],
        gateways: Mapping[str, GatewayProfile],
    ) -> None:
        self._reader = reader
        self._assembly = assembly
        self._profiles = profiles
        self._gateways = gateways
        self._seen: dict[Place, tuple[float, str]] = {}

    def of(self, workload: Workload) -> str | None:
        """Say what is there in place of a workload's readings; None: it speaks, or sleeps."""
        return self._said(workload, Exporter.ENGINE)

    def of_gateway(self, workload: Workload) -> str | None:
        """Say what is there in place of its gateway's series; None: it speaks."""
        return self._said(workload, Exporter.GATEWAY)

    def _said(self, workload: Workload, exporter: Exporter) -> str | None:
        seen = self._seen.get((exporter, workload.key))
        return None if seen is None else seen[1]

    async def look(self, workloads: Sequence[Workload], round_: Round, now_s: float) -> None:
        """Look at the silent ones that were not looked at within a minute."""
        silent: dict[Place, Workload] = {
            (exporter, one.key): one
            for exporter, is_silent in (
                (Exporter.ENGINE, self._is_silent),
                (Exporter.GATEWAY, self._has_silent_gateway),
            )
            for one in workloads
            if is_silent(one, now_s)
        }
        self._seen = {place: seen for place, seen in self._seen.items() if place in silent}
        due = [place for place in silent if now_s - self._seen.get(place, (0.0,))[0] >= MINUTE_S]
        for place in due[:_MOST_AT_ONCE]:
            workload = silent[place]
            try:
                said = await self._looked(place[0], workload, round_, now_s)
            except SourceError as error:
                logger.info("what is there of %s could not be looked at: %s", workload.key, error)
                continue
            self._seen[place] = (now_s, said)

    async def _looked(
        self, exporter: Exporter, workload: Workload, round_: Round, now_s: float
    ) -> str:
        if exporter is Exporter.GATEWAY:
            return await self._at_gateway(workload, round_, now_s)
        return what_is_there(await self._sight(workload, round_, now_s), self._profiles)

    def _has_silent_gateway(self, workload: Workload, now_s: float) -> bool:
        """Whether a gateway that is known is named and says nothing."""
        if workload.gateway not in self._gateways:
            return False
        stale_after_s = self._assembly.intervals.stale_after_s(Exporter.GATEWAY)
        told = dataclasses.replace(workload, arrival_query=None)
        try:
            at = self._assembly.gateways.at(told, at_s=now_s, stale_after_s=stale_after_s)
        except ConfigurationError:
            return False  # which its window says
        return at == AtGateway()

    async def _at_gateway(self, workload: Workload, round_: Round, now_s: float) -> str:
        """Say which preset would fit the selected rows, else under which labels others are."""
        profile = self._gateways[str(workload.gateway)]
        known = {m: n for n, one in self._gateways.items() for r in one.readings for m in r.metrics}
        where = [(label, "=~", text) for label, text in rows_of(profile, workload).items()]
        names = await self._reader.names_at(where, [*known], round_, now_s)
        fitting = {known[name]: name for name in sorted(names) if name in known}
        fitting.pop(profile.name, None)
        if fitting:
            others = ", ".join(f"{preset} ({name})" for preset, name in fitting.items())
            return f"what it selects has the names of another preset: {others}"
        own = [metric for reading in profile.readings for metric in reading.metrics]
        # What others select is not told: of its own namespace, or of the gateway's, only.
        near = [one for one in where if one[0] == "namespace" or _is_all(one[2], workload)]
        elsewhere = await self._reader.some_of(own, near, round_, now_s) if near else ()
        return labels_of(profile.name, elsewhere, [label for label, _, _ in where])

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
        elsewhere = () if up else await self._reader.some_of(expected, (), round_, now_s)
        return Sight(
            engine=workload.engine,
            targets=sum(value is not None for value in ups.values()),
            up=len(up),
            names=names,
            elsewhere=elsewhere,
            target=(workload.namespace, workload.name),
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
            found |= await self._reader.names_at(labels, known, round_, now_s, any_name=True)
        return frozenset(found)

    def _expected(self, workload: Workload) -> list[str]:
        engines = (
            self._profiles.values()
            if workload.engine == AUTO
            else [self._profiles[workload.engine]]
        )
        return [m for one in engines for field in LIVE for m in one.readings[field].metrics]


def _is_all(pattern: str, workload: Workload) -> bool:
    return pattern == re.escape(workload.namespace)


def _where(labels: Mapping[str, str], subject: Subject) -> tuple[Matcher, ...]:
    """Return the matchers of a target's own labels that name its namespace and pod."""
    return tuple(
        (label, "=", text)
        for label, text in sorted(labels.items())
        if text in subject and ("pod" in label or "namespace" in label)
    )
