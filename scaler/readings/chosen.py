"""
Which series are asked for: metrics under their names, of namespaces under the labels of a server.

Knows what a configuration states (matchers, labels), what was found out (whether several names may
be asked for at once, whose the targets are that carry no pod), and puts it into selectors.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from scaler.configuration import PrometheusServer

from . import promql
from .labels import TARGET_INFO, LabelNames, Targets
from .names import Names
from .promql import Matcher, Stem
from .wanted import Exporter

_JOINED_NAMESPACE, _JOINED_POD = "k8s_namespace_name", "k8s_pod_name"


class Chosen:
    """Selectors for one server."""

    def __init__(self, server: PrometheusServer) -> None:
        self._server = server
        self._spelt = LabelNames(server.labels)
        self.names = Names()
        self.targets = Targets()

    @property
    def labels(self) -> tuple[str, ...]:
        """What may tell a row's namespace: labels, the weightiest last, and ``target_info``."""
        return (*self._spelt.namespaces, TARGET_INFO)

    @property
    def own_label(self) -> str:
        """The label that is asked for also where nothing has it yet."""
        return self._spelt.namespaces[-1] if self._server.labels else "namespace"

    def selectors(self, metrics: Iterable[str], matchers: Iterable[Matcher]) -> list[str]:
        """Return the selectors of metrics with some labels: one, or one for each name."""
        ours = [(label, "=", value) for label, value in self._server.matchers]
        return self.names.selectors(tuple(dict.fromkeys(metrics)), [*ours, *matchers])

    def within(
        self,
        label: str,
        metrics: Sequence[str],
        namespaces: Collection[str],
        where: Iterable[Matcher] = (),
        pods: Collection[str] = (),
    ) -> list[str]:
        """
        Return the selectors of rows that a label tells to be of some namespaces.

        Of ``pods`` alone, if there are any and a label beside it names them.
        """
        if label == TARGET_INFO:
            every = self.targets.named(namespaces)
        else:
            every = [self._spelt.named(label, namespaces)]
            if pods:
                where = (*where, (self._spelt.pod_beside(label), "=~", promql.any_of(pods)))
        return [one for matchers in every for one in self.selectors(metrics, (*matchers, *where))]

    def probed(self, exporter: Exporter) -> tuple[str, ...]:
        """Return where to look for an exporter's namespaces; engines' rows may carry no pod."""
        return self.labels if exporter is Exporter.ENGINE else self._spelt.namespaces

    def existence(
        self, metrics: Sequence[str], namespaces: Collection[str], labels: Collection[str]
    ) -> str:
        """
        Return the query for the labels by which there are rows of some metrics and namespaces.

        By ``target_info``: whether there are targets whose rows may carry no pod.
        """
        return " or ".join(
            promql.exists(chosen, label)
            for label in labels
            for chosen in (
                [self.targets_in(namespaces)]
                if label == TARGET_INFO
                else self.within(label, metrics, namespaces)
            )
        )

    def targets_in(self, namespaces: Collection[str]) -> str:
        """Return the selector of the targets of some namespaces."""
        matcher: Matcher = (_JOINED_NAMESPACE, "=~", promql.any_of(namespaces))
        return self.selectors((TARGET_INFO,), (matcher,))[0]

    def read(self, label: str, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return a row that was found by a label, under the names that everybody reads."""
        return (self.targets if label == TARGET_INFO else self._spelt).read(labels)

    def increase(
        self,
        label: str,
        metric: str,
        namespaces: Collection[str],
        *,
        seconds: float,
        stem: str,
        copies: Sequence[str] = (),
    ) -> tuple[str, str]:
        """
        Return the query for a histogram's increase by stem, and its label of the namespace.

        Series that differ in ``copies`` alone are one. What is stored as a whole has no buckets to
        tell apart.
        """
        classic = metric.endswith("_bucket")
        joined = label == TARGET_INFO
        by = _JOINED_NAMESPACE if joined else label
        pod = _JOINED_POD if joined else self._spelt.pod_beside(label)
        query = " or ".join(
            promql.increase_by(
                chosen,
                seconds,
                stem=Stem(pattern=stem, pod=pod),
                by=(by, "stem", "le") if classic else (by, "stem"),
                copies=tuple(dict.fromkeys((*self._server.replica_labels, *copies))),
                of_copies="max" if classic else "avg",
                joined=self.selectors((TARGET_INFO,), ())[0] if joined else None,
            )
            for chosen in self.within(label, (metric,), namespaces)
        )
        return query, by
