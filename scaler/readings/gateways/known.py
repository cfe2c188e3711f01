"""The gateways that are known, and what they say of a workload at an instant."""

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from scaler.errors import ConfigurationError, Problem
from scaler.readings.promql import Matcher
from scaler.readings.readings import Reading
from scaler.readings.series import SeriesStore, Subject, Track
from scaler.readings.wanted import Exporter, Wanted
from scaler.source import Workload

from .profile import GatewayProfile, any_of, rows_of, signs_of
from .totals import total

NOWHERE: Subject = ("", "")
"""What gateway rows are about: their labels say it, and each workload picks its own."""

ARRIVALS = "arrivals of "
"""Series of named queries are called so, with the query's name behind."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AtGateway:
    """What is known of a workload's requests before its engines; the fields are a Sample's."""

    gateway_in_flight: float | None = None
    gateway_waiting: float | None = None
    arrivals_total: float | None = None


class KnownGateways:
    """Profiles by name, and the rows that workloads select."""

    def __init__(
        self,
        profiles: Mapping[str, GatewayProfile],
        store: SeriesStore,
        *,
        copies: Collection[str] = (),
    ) -> None:
        """Know some gateways; ``copies`` are labels that tell copies of one series apart."""
        self._profiles = profiles
        self._store = store
        self._copies = copies
        self._rows: dict[tuple[Workload, str], tuple[int, list[Track]]] = {}

    def wanted(self, workloads: Collection[Workload]) -> Iterator[Wanted]:
        """Yield the readings of the workloads' gateways, each once for all of its workloads."""
        for name, profile in self._profiles.items():
            users = [workload for workload in workloads if workload.gateway == name]
            if not users:
                continue
            where = _matchers(any_of([rows_of(profile, one) for one in users]))
            for reading in profile.readings:
                yield _wanted(reading.metrics, where)
            if profile.none_while is not None:
                alive = _matchers(any_of([signs_of(profile, one) for one in users]))
                yield _wanted(profile.none_while.metrics, alive)

    def at(self, workload: Workload, *, at_s: float, stale_after_s: float) -> AtGateway:
        """
        Return what the gateway and the arrival query say at an instant.

        Raises:
            ConfigurationError: the gateway is not known, or nothing tells its rows apart.
        """
        counted = self._counted(workload, at_s, stale_after_s)
        if workload.gateway is None:
            return AtGateway(arrivals_total=counted)
        profile = self._profile(workload)

        def value(readings: Sequence[Reading]) -> float | None:
            parts = [self._value(workload, profile, one, at_s, stale_after_s) for one in readings]
            known = [part for part in parts if part is not None]
            return sum(known) if known else None

        none = 0.0 if self._is_alive(workload, profile, at_s, stale_after_s) else None
        in_flight, waiting = value(profile.in_flight), value(profile.waiting)
        return AtGateway(
            gateway_in_flight=none if in_flight is None and profile.in_flight else in_flight,
            gateway_waiting=none if waiting is None and profile.waiting else waiting,
            arrivals_total=value(profile.arrivals) if counted is None else counted,
        )

    def settle(self, workloads: Collection[Workload]) -> None:
        """Forget the rows of workloads that are gone."""
        kept = set(workloads)
        self._rows = {key: rows for key, rows in self._rows.items() if key[0] in kept}

    def missing(self, workload: Workload) -> str:
        """Say what is not there where nothing at all is known of a workload's requests."""
        if workload.gateway is None:
            return f"the query {workload.arrival_query} has no answer for it"
        profile = self._profile(workload)
        rows = rows_of(profile, workload)
        names = [reading.rows[0].metric for reading in profile.readings]
        where = ", ".join(f'{label}=~"{pattern}"' for label, pattern in sorted(rows.items()))
        return f"the gateway {profile.name} has no series of it: none of {names} with {where}"

    def about(self, workload: Workload) -> tuple[Subject, ...]:
        """Return the subjects whose series these readings come from."""
        found = () if workload.gateway is None else (NOWHERE,)
        if workload.arrival_query is None:
            return found
        return (*found, (workload.namespace, workload.name))

    def origin(self, workload: Workload) -> str | None:
        """Name the rows that its readings come from: alike for workloads that read the same."""
        if workload.gateway is None:
            return None
        rows = sorted(rows_of(self._profile(workload), workload).items())
        return f"{workload.prometheus}/{workload.gateway} {rows}"

    def _profile(self, workload: Workload) -> GatewayProfile:
        name = str(workload.gateway)
        if name not in self._profiles:
            known = ", ".join(sorted(self._profiles)) or "none is configured"
            raise ConfigurationError(Problem(field="gateway", got=name, allowed=known))
        profile = self._profiles[name]
        if not profile.ties_rows_to_workloads and not workload.gateway_selector:
            raise ConfigurationError(
                Problem(
                    field="gatewaySelector",
                    got="nothing",
                    allowed=f"labels of this workload's series at the gateway {name}",
                )
            )
        return profile

    def _value(
        self,
        workload: Workload,
        profile: GatewayProfile,
        reading: Reading,
        at_s: float,
        stale_after_s: float,
    ) -> float | None:
        for rows in reading.rows:
            tracks = self._selected(workload, rows.metric, rows_of(profile, workload))
            found = [
                (track, value)
                for track in tracks
                if (value := track.at(at_s, stale_after_s)) is not None
                and all(track.labels.get(name) == text for name, text in rows.match)
            ]
            if found:
                return total(reading, found, self._copies)
        return None

    def _is_alive(
        self, workload: Workload, profile: GatewayProfile, at_s: float, stale_after_s: float
    ) -> bool:
        if profile.none_while is None:
            return False
        signs = signs_of(profile, workload)
        return any(
            track.at(at_s, stale_after_s) is not None
            for metric in profile.none_while.metrics
            for track in self._selected(workload, metric, signs)
        )

    def _counted(self, workload: Workload, at_s: float, stale_after_s: float) -> float | None:
        if workload.arrival_query is None:
            return None
        about = (workload.namespace, workload.name)
        tracks = self._store.tracks(ARRIVALS + workload.arrival_query, about)
        values = (track.at(at_s, stale_after_s) for track in tracks)
        return max((value for value in values if value is not None), default=None)

    def _selected(
        self, workload: Workload, metric: str, patterns: Mapping[str, str]
    ) -> list[Track]:
        """Return the series of a metric that a workload selects, found anew when others appear."""
        shape = self._store.shape(metric)
        known = self._rows.get((workload, metric))
        if known is None or known[0] != shape:
            compiled = [(label, re.compile(pattern)) for label, pattern in patterns.items()]
            found = [
                track
                for track in self._store.tracks(metric, NOWHERE)
                if all(one.fullmatch(track.labels.get(label, "")) for label, one in compiled)
            ]
            known = self._rows[workload, metric] = (shape, found)
        return known[1]


def _wanted(metrics: tuple[str, ...], where: tuple[Matcher, ...]) -> Wanted:
    return Wanted(
        metrics=metrics, exporter=Exporter.GATEWAY, about="", namespaced=False, where=where
    )


def _matchers(patterns: Mapping[str, str]) -> tuple[Matcher, ...]:
    return tuple((label, "=~", pattern) for label, pattern in sorted(patterns.items()))
