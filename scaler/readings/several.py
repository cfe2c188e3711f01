"""
Several sources as one: each workload is read from the server that its trigger names.

Servers are read at the same time, and one that fails blinds its own workloads and no others.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping

from scaler.decision.pool import Node, Units
from scaler.decision.window import Window
from scaler.errors import ConfigurationError, Problem, SourceError
from scaler.said import Said, joined
from scaler.source import Source, Workload


class SeveralSources:
    """Sources by the name that a trigger's ``prometheus`` has; see :class:`Source`."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources

    async def refresh(
        self,
        workloads: Collection[Workload],
        lookback_s: float,
        now_s: float,
        *,
        history_s: float = 0.0,
    ) -> None:
        """
        Read every server for its own workloads.

        Raises:
            SourceError: at least one could not be read, after all of them were tried.
        """

        async def read(name: str, source: Source) -> SourceError | None:
            own = [workload for workload in workloads if workload.prometheus == name]
            try:
                await source.refresh(own, lookback_s, now_s, history_s=history_s)
            except SourceError as error:
                return error
            return None

        outcomes = await asyncio.gather(
            *(read(name, source) for name, source in self._sources.items())
        )
        failed = {
            name: error
            for name, error in zip(self._sources, outcomes, strict=True)
            if error is not None
        }
        if failed:
            raise _together(failed)

    @property
    def is_complete(self) -> bool:
        """Whether every server was read through."""
        return all(source.is_complete for source in self._sources.values())

    @property
    def refused(self) -> int:
        """How many samples of every server were no readings."""
        return sum(source.refused for source in self._sources.values())

    @property
    def asked_apart(self) -> int:
        """How many namespaces are asked apart, on all servers together."""
        return sum(source.asked_apart for source in self._sources.values())

    def assembling(self, workload: Workload, lookback_s: float, now_s: float) -> Iterator[None]:
        """Make what a window needs; a server that nobody configured has nothing to make it of."""
        source = self._sources.get(workload.prometheus)
        return iter(()) if source is None else source.assembling(workload, lookback_s, now_s)

    def window(
        self, workload: Workload, lookback_s: float, now_s: float, *, silent_s: float = 0.0
    ) -> Window:
        """Return what its server knows of a workload."""
        return self._of(workload).window(workload, lookback_s, now_s, silent_s=silent_s)

    def nodes(self, resource: str, online: Collection[Workload], now_s: float) -> tuple[Node, ...]:
        """Return the nodes that the server of the pool's online workloads knows."""
        names = {workload.prometheus for workload in online}
        found = [self._sources[name] for name in sorted(names) if name in self._sources]
        return next((nodes for one in found if (nodes := one.nodes(resource, online, now_s))), ())

    def units(self, resource: str | None, workload: Workload, now_s: float) -> Units:
        """Return what its server knows of a workload's units."""
        return self._of(workload).units(resource, workload, now_s)

    def _of(self, workload: Workload) -> Source:
        if workload.prometheus not in self._sources:
            known = ", ".join(sorted(self._sources))
            raise ConfigurationError(
                Problem(field="prometheus", got=workload.prometheus, allowed=known)
            )
        return self._sources[workload.prometheus]


def _together(failed: Mapping[str, SourceError]) -> SourceError:
    """Return one error for all: of a single server its own, else the kinds by server."""
    if len(failed) == 1:
        return next(iter(failed.values()))
    kinds = {error.kind for error in failed.values()}
    detail = joined(
        "; ",
        [Said("{name}: {said}", name=name, said=error.said) for name, error in failed.items()],
    )
    return SourceError(kinds.pop() if len(kinds) == 1 else "several", detail)
