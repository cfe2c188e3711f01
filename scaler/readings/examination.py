"""
What there is of a workload on a server, and what there is not: facts for whoever sets it up.

Read off what the source has read as always: what is shown here is what decisions are made of.
"""

import dataclasses
import itertools
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scaler.source import Workload

from . import dcgm
from .assemble import Assembly
from .engines.profile import SHOWN_ONLY, EngineProfile
from .readings import Reading
from .series import SeriesStore, Subject, Track
from .server_kind import ServerKind
from .wanted import Exporter

_COMPARED = 8
"""Series of one pod and name that are compared."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FoundReading:
    """One reading: where it was found, or that it was not."""

    field: str
    name: str
    """As it is stored; of one that was not found, as its exporter calls it."""
    series: int = 0
    age_s: float | None = None
    interval_s: float | None = None
    """Median gap between its samples; None: fewer than two were seen."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """A label that tells series apart that are one, and its values."""

    label: str
    values: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What is known of a server."""

    kind: ServerKind
    clock_ahead_s: float | None
    """Of whoever asked; None: it does not tell."""
    exact_names: bool
    """It refuses several names in one selector."""
    has_cluster: bool
    """kube-state-metrics is there."""
    has_gpus: bool
    """NVIDIA's DCGM exporter is there."""
    objects_served: int | None
    """ScaledObjects that any kvtide tells of in its own metrics; None: none of them is there."""
    pages_read: Mapping[str, Mapping[str, int]]
    """By object, of how many pods it says that it reads them between scrapes (``read``), or tries
    to (``unread``)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What is there of one workload."""

    engine: str
    pods: tuple[str, ...]
    up: int
    """Pods whose target answers."""
    named_by: tuple[str, ...]
    """Labels in which series name the namespace and the pod."""
    readings: tuple[FoundReading, ...]
    gateway: tuple[FoundReading, ...] | None
    """None: no gateway is named."""
    gpus: tuple[FoundReading, ...]
    copies: tuple[Copies, ...]
    stale_after_s: float
    """How long an engine's reading stands."""
    instead: str | None
    """What there is in place of the engine's readings, where there are none."""
    gateway_instead: str | None
    """Likewise of its gateway's."""


def examine(
    assembly: Assembly,
    workload: Workload,
    now_s: float,
    *,
    instead: str | None,
    gateway_instead: str | None,
) -> Examination:
    """Return what an assembly holds of a workload."""
    pods = assembly.pods_of(workload)
    store, profile = assembly.store, assembly.engines.profile(workload, pods)
    stale_after_s = assembly.intervals.stale_after_s(Exporter.ENGINE)
    by_field = {
        field: _series_of(reading, store, pods)
        for field, reading in profile.readings.items()
        if field not in SHOWN_ONLY  # nobody looked for them
    }
    fresh = [track for series in by_field.values() for _, track in series]
    return Examination(
        engine=profile.name,
        pods=tuple(name for _, name in pods),
        up=sum(bool(store.value("up", pod, now_s, stale_after_s)) for pod in pods),
        named_by=_named_by([*fresh, *(t for pod in pods for t in store.tracks("up", pod))]),
        readings=tuple(
            _found(field, profile.readings[field], series, now_s)
            for field, series in by_field.items()
        ),
        gateway=_gateway(assembly, workload, now_s),
        gpus=tuple(
            _found(field, one, _series_of(one, store, pods), now_s)
            for field, one in dcgm.READINGS.items()
        ),
        copies=_copies(profile, by_field),
        stale_after_s=stale_after_s,
        instead=instead,
        gateway_instead=gateway_instead,
    )


Series = Sequence[tuple[str, Track]]
"""Series with the names that they are stored under."""


def _series_of(reading: Reading, store: SeriesStore, pods: Sequence[Subject]) -> Series:
    return [(rows.metric, track) for rows in reading.rows for track in rows.of(store, pods)]


def _gateway(
    assembly: Assembly, workload: Workload, now_s: float
) -> tuple[FoundReading, ...] | None:
    if workload.gateway is None:
        return None
    return tuple(
        _found(field, reading, series, now_s)
        for field, reading, series in assembly.gateways.found(workload)
    )


def _found(field: str, reading: Reading, series: Series, now_s: float) -> FoundReading:
    """Return a reading as it was found: of its names the first that has series."""
    filled = [(name, track) for name, track in series if track.times]
    if not filled:
        return FoundReading(field=field, name=reading.rows[0].metric)
    gaps = [gap for _, track in filled for gap in track.gaps()]
    newest_s = max(track.times[-1] for _, track in filled)
    return FoundReading(
        field=field,
        name=filled[0][0],
        series=len(filled),
        age_s=round(now_s - newest_s, 3),
        interval_s=round(statistics.median(gaps), 3) if gaps else None,
    )


def _named_by(tracks: Iterable[Track]) -> tuple[str, ...]:
    """Return the labels whose texts are the namespace or the pod that a series is about."""
    found = {
        label
        for track in tracks
        for label, text in track.labels.items()
        if text and text in track.subject and ("pod" in label or "namespace" in label)
    }
    return tuple(sorted(found))


def _copies(profile: EngineProfile, by_field: Mapping[str, Series]) -> tuple[Copies, ...]:
    """Return the labels that alone tell apart series of one pod that repeat one another."""
    values: dict[str, set[str]] = {}
    for field, series in by_field.items():
        for label, texts in _told_apart_by(profile.readings[field], series):
            values.setdefault(label, set()).update(texts)
    return tuple(
        Copies(label=label, values=tuple(sorted(texts))) for label, texts in sorted(values.items())
    )


def _told_apart_by(reading: Reading, series: Series) -> Iterator[tuple[str, set[str]]]:
    """Yield the labels, none of them one of different things, in which two copies differ."""
    things = {*reading.over, *(reading.ranks or ())}
    by_pod: dict[object, list[Mapping[str, str]]] = {}
    for name, track in series:
        by_pod.setdefault((track.subject, name), []).append(track.labels)
    for rows in by_pod.values():
        for one, other in itertools.combinations(rows[:_COMPARED], 2):
            differing = {label for label in {*one, *other} if one.get(label) != other.get(label)}
            if not differing & things:
                yield from (
                    (label, {one.get(label, ""), other.get(label, "")}) for label in differing
                )
