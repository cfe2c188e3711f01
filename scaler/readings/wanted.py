"""
What is read from the world: metrics, whose they are, and how often.

Every source (Prometheus, scraping) reads the same list and hands rows over in the same form, so
that what is made of them cannot depend on the road they came.
"""

import dataclasses
import enum
from collections.abc import Mapping

from .promql import Matcher
from .series import Subject


class Exporter(enum.StrEnum):
    """Who reports: each has its own scrape interval."""

    ENGINE = "engine"
    GPU = "gpu"
    CLUSTER = "cluster"
    GATEWAY = "gateway"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Metrics that are one reading under its several names."""

    metrics: tuple[str, ...]
    exporter: Exporter
    about: str = "pod"
    """The label that names what a row is about; empty: the row is about nothing in particular."""
    namespaced: bool = True
    once_a_minute: bool = False
    """It changes only with its pod: read once a minute and when a pod appears."""
    where: tuple[Matcher, ...] = ()
    """Matchers that leave out rows nobody reads; a page is read whole."""

    def subject(self, labels: Mapping[str, str]) -> Subject | None:
        """
        Return what a row is about, None if it does not say.

        A scrape that keeps its own ``namespace`` and ``pod`` labels moves the exporter's to
        ``exported_…``; the DCGM exporter's old naming has ``pod_namespace`` and ``pod_name``.
        """
        if not self.about:
            return ("", "")
        name = _reported(labels, self.about)
        namespace = _reported(labels, "namespace") if self.namespaced else ""
        return (namespace, name) if name and namespace is not None else None


_OLD_NAMES = {"pod": "pod_name", "namespace": "pod_namespace"}


def _reported(labels: Mapping[str, str], label: str) -> str | None:
    old = _OLD_NAMES.get(label, "")
    return labels.get(old) or labels.get(f"exported_{label}") or labels.get(label)
