"""The gateways that are known, and what they say of a workload at an instant."""

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from scaler.errors import NOTHING, ConfigurationError, Problem
from scaler.readings.plausible import MOST_AT_GATEWAY, at_most
from scaler.readings.promql import Matcher, any_text
from scaler.readings.readings import Reading
from scaler.readings.series import SeriesStore, Subject, Track
from scaler.readings.wanted import Exporter, Wanted
from scaler.said import Said
from scaler.source import Workload

from .profile import GatewayProfile, any_of, rows_of, rows_of_sign
from .totals import total

NOWHERE: Subject = ("", "")
"""What gateway rows are about: their labels say it, and each workload picks its own."""

_Chosen = tuple[Workload, str, tuple[tuple[str, str], ...]]
"""A workload, a metric, and the patterns of its rows."""

_LONGEST_PATTERNS = 8_000
"""Letters of patterns in one query: VictoriaMetrics refuses one of more than 16 KiB."""

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
        self.copies = copies
        """Labels that tell copies of one series apart."""
        self._rows: dict[_Chosen, tuple[int, list[Track]]] = {}

    def wanted(self, workloads: Collection[Workload]) -> Iterator[Wanted]:
        """Yield the readings of the workloads' gateways, each once for all of its workloads."""
        for name, profile in self._profiles.items():
            users = [workload for workload in workloads if workload.gateway == name]
            if not users:
                continue
            for where in _matchers([rows_of(profile, one) for one in users]):
                for reading in profile.readings:
                    yield _wanted(reading.metrics, where)
            for sign in profile.signs:
                for alive in _matchers([rows_of_sign(sign, profile, one) for one in users]):
                    yield _wanted(sign.reading.metrics, alive)
        if servers := sorted(self._servers(workloads)):
            yield _wanted(("up",), (("instance", "=~", any_text(servers)),))

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

        none = self._none_of(workload, profile, at_s, stale_after_s)

        def value(name: str, readings: Sequence[Reading]) -> float | None:
            parts = [self._value(workload, profile, one, at_s, stale_after_s) for one in readings]
            known = [part for part in parts if part is not None]
            if known:
                return sum(known)
            return 0.0 if readings and name in none else None

        came = value("arrivals", profile.arrivals)
        if came is None and self._is_unborn(workload, at_s, stale_after_s):
            came = 0.0
        return AtGateway(
            gateway_in_flight=at_most(value("in_flight", profile.in_flight), MOST_AT_GATEWAY),
            gateway_waiting=at_most(value("waiting", profile.waiting), MOST_AT_GATEWAY),
            arrivals_total=came if counted is None else counted,
        )

    def settle(self, workloads: Collection[Workload]) -> None:
        """Forget the rows of workloads that are gone."""
        kept = set(workloads)
        self._rows = {key: rows for key, rows in self._rows.items() if key[0] in kept}

    def silent(self, workload: Workload, *, at_s: float, stale_after_s: float) -> str | None:
        """
        Say what is not there, where nothing is known of a workload's requests at an instant.

        None: something is, or nobody is named who would tell of them.
        """
        if self.at(workload, at_s=at_s, stale_after_s=stale_after_s) != AtGateway():
            return None
        if workload.arrival_query is not None:
            return Said(
                "the query {query} has no answer for {workload}",
                query=workload.arrival_query,
                workload=workload.key,
            )
        if workload.gateway is None:
            return None
        profile = self._profile(workload)
        chosen = rows_of(profile, workload).items()
        names = " or ".join(dict.fromkeys(one.rows[0].metric for one in profile.readings))
        where = ", ".join(f'{label}=~"{pattern}"' for label, pattern in sorted(chosen))
        return Said(
            "the gateway {gateway} has no fresh series ({names} with {labels})",
            gateway=profile.name,
            names=names,
            labels=where,
        )

    def found(self, workload: Workload) -> Iterator[tuple[str, Reading, list[tuple[str, Track]]]]:
        """Yield each reading of a workload's gateway by its field, with its series and names."""
        if workload.gateway is None:
            return
        profile = self._profile(workload)
        chosen = rows_of(profile, workload)
        for field in ("in_flight", "waiting", "arrivals"):
            for reading in getattr(profile, field):
                series = [
                    (metric, track)
                    for metric in reading.metrics
                    for track in self._selected(workload, metric, chosen)
                ]
                yield field, reading, series

    def tracks(self, workload: Workload) -> Iterator[Track]:
        """Yield the series of a workload's gateway."""
        for _, _, series in self.found(workload):
            yield from (track for _, track in series)

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
            known = ", ".join(sorted(self._profiles)) or Said("none is configured")
            raise ConfigurationError(Problem(field="gateway", got=name, allowed=known))
        profile = self._profiles[name]
        if not profile.ties_rows_to_workloads and not workload.gateway_selector:
            raise ConfigurationError(
                Problem(
                    field="gatewaySelector",
                    got=NOTHING,
                    allowed=Said(
                        "labels of this workload's series at the gateway {name}", name=name
                    ),
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
                return total(reading, found, self.copies)
        return None

    def _arrivals(self, workload: Workload) -> Iterator[Track]:
        for field, _, series in self.found(workload):
            if field == "arrivals":
                yield from (track for _, track in series)

    def _servers(self, workloads: Collection[Workload]) -> set[str]:
        """Return the addresses whose pages count arrivals."""
        known = (one for one in workloads if self._can_be_told(one))
        tracks = (track for one in known for track in self._arrivals(one))
        return {track.labels["instance"] for track in tracks if track.labels.get("instance")}

    def _can_be_told(self, workload: Workload) -> bool:
        profile = self._profiles.get(workload.gateway or "")
        return profile is not None and bool(
            profile.ties_rows_to_workloads or workload.gateway_selector
        )

    def _is_unborn(self, workload: Workload, at_s: float, stale_after_s: float) -> bool:
        """Whether a counter of arrivals is about to appear on a page that is up: it is 0 so far."""
        soon = [
            track
            for track in self._arrivals(workload)
            if track.first_s - stale_after_s < at_s < track.first_s
        ]
        if not soon:
            return False
        ups = list(self._store.all_tracks("up"))
        return any(
            up.at(at_s, stale_after_s)
            for track in soon
            for up in ups
            if up.labels.get("instance") == track.labels.get("instance")
            and up.labels.get("job") == track.labels.get("job")
        )

    def _none_of(
        self, workload: Workload, profile: GatewayProfile, at_s: float, stale_after_s: float
    ) -> set[str]:
        """Return the readings of which no row means none, since the gateway is there."""
        found = set[str]()
        for sign in profile.signs:
            chosen = rows_of_sign(sign, profile, workload)
            if any(
                track.at(at_s, stale_after_s) is not None
                for metric in sign.reading.metrics
                for track in self._selected(workload, metric, chosen)
            ):
                found.update(sign.of)
        return found

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
        key = (workload, metric, tuple(sorted(patterns.items())))
        known = self._rows.get(key)
        if known is None or known[0] != shape:
            compiled = [(label, re.compile(pattern)) for label, pattern in patterns.items()]
            found = [
                track
                for track in self._store.tracks(metric, NOWHERE)
                if all(one.fullmatch(track.labels.get(label, "")) for label, one in compiled)
            ]
            known = self._rows[key] = (shape, found)
        return known[1]


def _wanted(metrics: tuple[str, ...], where: tuple[Matcher, ...]) -> Wanted:
    return Wanted(
        metrics=metrics, exporter=Exporter.GATEWAY, about="", namespaced=False, where=where
    )


def _matchers(selections: Sequence[Mapping[str, str]]) -> Iterator[tuple[Matcher, ...]]:
    """Yield the matchers of the rows of several workloads, as many at a time as a query holds."""
    distinct = {tuple(sorted(one.items())): one for one in selections}
    part: list[Mapping[str, str]] = []
    letters = 0
    for one in distinct.values():
        length = sum(map(len, one.values()))
        if part and letters + length > _LONGEST_PATTERNS:
            yield tuple((label, "=~", pattern) for label, pattern in sorted(any_of(part).items()))
            part, letters = [], 0
        part.append(one)
        letters += length
    yield tuple((label, "=~", pattern) for label, pattern in sorted(any_of(part).items()))
