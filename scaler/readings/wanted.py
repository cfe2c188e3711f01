"""
What is read from the world: metrics, whose they are, and how often.

Every source (Prometheus, scraping) reads the same list and hands rows over in the same form, so
that what is made of them cannot depend on the road they came.
"""

import dataclasses
import enum
from collections.abc import Iterable, Mapping

from .labels import reported
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
    unread: tuple[Matcher, ...] = ()
    """Matchers that leave out rows which this reading is not made of; a page is read whole."""
    only_shown: bool = False
    """No answer rests on it: it is taken from a page, and no server is asked for it."""

    def subject(self, labels: Mapping[str, str]) -> Subject | None:
        """
        Return what a row is about, None if it does not say.

        Namespace and pod have several names (:mod:`.labels`).
        """
        if not self.about:
            return ("", "")
        name = reported(labels, self.about)
        namespace = reported(labels, "namespace") if self.namespaced else ""
        return (namespace, name) if name and namespace is not None else None

    def own(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """
        Return a row's labels as its exporter wrote them.

        A scrape that has a label of the same name moves the exporter's to ``exported_…``. A
        gateway's rows are told by where they were scraped, which nobody may claim; so is the server
        that an engine's rows are of.
        """
        if self.exporter is Exporter.GATEWAY or not any(map(_is_moved, labels)):
            return labels
        kept = _OF_SERVER if self.exporter is Exporter.ENGINE else ()
        moved = {
            name.removeprefix(_MOVED): value for name, value in labels.items() if _is_moved(name)
        }
        return {**labels, **{name: moved[name] for name in moved if name not in kept}}


def asked_for(wanted: Iterable[Wanted]) -> tuple[Wanted, ...]:
    """Return what a server is asked for: what an answer may rest on."""
    return tuple(one for one in wanted if not one.only_shown)


_MOVED = "exported_"
_OF_SERVER = ("namespace", "pod", "instance", "job")


def _is_moved(label: str) -> bool:
    return label.startswith(_MOVED)
