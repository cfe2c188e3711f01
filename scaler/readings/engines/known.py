"""The engines that are known, and which of them a workload runs."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from scaler.errors import ConfigurationError, Problem
from scaler.readings.buckets import buckets_of
from scaler.readings.lengths import Which
from scaler.readings.series import SeriesStore, Subject
from scaler.readings.wanted import Exporter, Wanted
from scaler.source import Workload

from .profile import EngineProfile

AUTO = "auto"
"""Stands for the engine whose metrics a workload's pods have."""


class KnownEngines:
    """Profiles by name, and what of them some workloads need."""

    def __init__(self, profiles: Mapping[str, EngineProfile], store: SeriesStore) -> None:
        self._profiles = profiles
        self._store = store

    def wanted(self, workloads: Collection[Workload]) -> Iterator[Wanted]:
        """
        Yield the readings of the workloads' engines; what is in a label changes with its pod.

        Of an engine that is only one that ``auto`` might find, what shows it to be there, at once.
        """
        stated = {workload.engine for workload in workloads}
        by_bucket = {
            "itl_count": {workload.engine for workload in workloads if workload.itl_buckets},
            "ttft_count": {workload.engine for workload in workloads if workload.ttft_buckets},
        }
        for profile in self._of(workloads):
            is_there = profile.name in stated or self._has_series(profile)
            if not is_there:
                signs = dict.fromkeys(m for reading in profile.signs for m in reading.metrics)
                yield Wanted(metrics=tuple(signs), exporter=Exporter.ENGINE)
                continue
            for reading in profile.read_by_rules:
                yield Wanted(
                    metrics=reading.metrics,
                    exporter=Exporter.ENGINE,
                    once_a_minute=reading.label is not None,
                    unread=profile.unread_of(reading),
                )
            for reading in profile.only_shown:
                yield Wanted(metrics=reading.metrics, exporter=Exporter.ENGINE, only_shown=True)
            for field, engines in by_bucket.items():
                buckets = buckets_of(profile.readings.get(field))
                if buckets is not None and engines & {profile.name, AUTO}:
                    yield Wanted(metrics=buckets.metrics, exporter=Exporter.ENGINE)

    def sign_metrics(self, workloads: Collection[Workload]) -> tuple[str, ...]:
        """Return metrics of which an engine of the workloads has at least one."""
        return tuple(
            metric
            for profile in self._of(workloads)
            for reading in profile.signs
            for metric in reading.metrics
        )

    def length_metrics(
        self, workloads: Collection[Workload]
    ) -> Iterator[tuple[Which, tuple[str, ...]]]:
        """Yield the histograms of token lengths, each with its names in other releases."""
        for profile in self._of(workloads):
            if not self._has_series(profile):
                continue
            if profile.prompt_lengths:
                yield Which.PROMPT, tuple(rows.metric for rows in profile.prompt_lengths)
            if profile.output_lengths:
                yield Which.OUTPUT, tuple(rows.metric for rows in profile.output_lengths)

    def profile(self, workload: Workload, pods: Sequence[Subject]) -> EngineProfile:
        """
        Return the profile of a workload's engine; ``auto``: the first whose metrics its pods have.

        Raises:
            ConfigurationError: nobody knows an engine of that name.
        """
        candidates = self._named(workload.engine)
        if not candidates:
            known = ", ".join(sorted([*self._profiles, AUTO]))
            raise ConfigurationError(Problem(field="engine", got=workload.engine, allowed=known))
        if len(candidates) == 1:
            return candidates[0]
        speaking = (one for one in candidates if _signs_of(one, self._store, pods))
        return next(speaking, candidates[0])

    def speaks(self, workload: Workload, pods: Sequence[Subject]) -> bool:
        """Whether pods have any series by which their engine is told to be alive."""
        return any(_signs_of(one, self._store, pods) for one in self._named(workload.engine))

    def carries(self, workload: Workload, pod: Subject) -> bool:
        """Whether a pod has an engine series with every label of a workload's selector."""
        selector = dict(workload.selector)
        return any(
            selector.items() <= labels.items()
            for profile in self._named(workload.engine)
            for labels in _signs_of(profile, self._store, (pod,))
        )

    def _has_series(self, profile: EngineProfile) -> bool:
        return any(
            self._store.subjects(metric) for reading in profile.signs for metric in reading.metrics
        )

    def _of(self, workloads: Collection[Workload]) -> list[EngineProfile]:
        names = sorted({workload.engine for workload in workloads})
        return list({one.name: one for name in names for one in self._named(name)}.values())

    def _named(self, name: str) -> list[EngineProfile]:
        if name == AUTO:
            return list(self._profiles.values())
        return [self._profiles[name]] if name in self._profiles else []


def _signs_of(
    profile: EngineProfile, store: SeriesStore, pods: Sequence[Subject]
) -> list[Mapping[str, str]]:
    """Return the labels of the series by which a replica is told to be alive."""
    return [
        track.labels
        for reading in profile.signs
        for rows in reading.rows
        for track in rows.of(store, pods)
    ]
