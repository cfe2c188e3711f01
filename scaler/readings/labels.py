"""
In which labels rows say whose they are: namespace and pod, under the names that scrapes give them.

A scrape that keeps its own ``namespace`` and ``pod`` moves an exporter's to ``exported_…``; DCGM's
old naming has ``pod_namespace`` and ``pod_name``; scrape jobs of older charts (and Istio's) say
``kubernetes_namespace`` and ``kubernetes_pod_name``, OpenTelemetry ``k8s_namespace_name`` and
``k8s_pod_name``, on the rows or on ``target_info`` alone. What a configuration states weighs most.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping

from .promql import Matcher, any_of, any_text

_PAIRS = (
    ("k8s_namespace_name", "k8s_pod_name"),
    ("kubernetes_namespace", "kubernetes_pod_name"),
    ("namespace", "pod"),
    ("exported_namespace", "exported_pod"),
    ("pod_namespace", "pod_name"),
)
"""Labels of a namespace and of a pod, the weightiest last: an exporter's own word on a pod counts
for more than what the scrape says of the exporter."""
NAMING = frozenset(name for pair in _PAIRS for name in pair)
"""Every label that may say whose a row is."""
_WEIGHTIEST_FIRST = {
    "namespace": tuple(namespace for namespace, _ in reversed(_PAIRS)),
    "pod": tuple(pod for _, pod in reversed(_PAIRS)),
}
STATED = tuple(_WEIGHTIEST_FIRST)
"""What a configuration may state a label for."""

TARGET_INFO = "target_info"
"""OpenTelemetry's metric that carries what its rows leave out, joined by job and instance."""


def reported(labels: Mapping[str, str], label: str) -> str | None:
    """Return what a row says under any name of a label; None: nothing."""
    names = _WEIGHTIEST_FIRST.get(label, (f"exported_{label}", label))
    return next((labels[name] for name in names if labels.get(name)), None)


class LabelNames:
    """The names of one server's labels; ``stated`` are those of the configuration."""

    def __init__(self, stated: Iterable[tuple[str, str]] = ()) -> None:
        self._stated = dict(stated)
        own = (self._stated.get("namespace", "namespace"), self._stated.get("pod", "pod"))
        pairs = [pair for pair in _PAIRS if pair[0] != own[0]]
        self._pairs = (*pairs, own) if self._stated else _PAIRS

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Labels that may name a namespace, the weightiest last."""
        return tuple(namespace for namespace, _ in self._pairs)

    def pod_beside(self, namespace: str) -> str:
        """Return the label that names the pod where another one names its namespace."""
        return dict(self._pairs)[namespace]

    def named(self, label: str, namespaces: Iterable[str]) -> tuple[Matcher, ...]:
        """Return the matchers of rows that name a namespace in a label, in no weightier one."""
        weightier = self.namespaces[self.namespaces.index(label) + 1 :]
        found: Matcher = (label, "=~", any_of(namespaces))
        return (found, *((other, "=", "") for other in weightier))

    def read(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return a row whose stated labels have the names that everybody reads."""
        told = {label: labels.get(name, "") for label, name in self._stated.items()}
        told = {label: text for label, text in told.items() if text}
        return _told(labels, told) if told else labels


@dataclasses.dataclass(frozen=True, slots=True)
class _Target:
    """What identifies a target on its rows."""

    label: str
    """``instance``, or ``exported_instance`` behind a collector that is scraped itself."""
    job: str
    instance: str


class Targets:
    """Whose rows are that carry no pod, as ``target_info`` has it."""

    def __init__(self) -> None:
        self._pods: dict[_Target, tuple[str, str]] = {}

    def learn(self, rows: Iterable[Mapping[str, str]]) -> None:
        """Take in all rows of ``target_info``, in place of what was known."""
        self._pods = {
            target: (namespace, pod)
            for labels in rows
            if (target := _target_of(labels)) is not None
            and (namespace := labels.get("k8s_namespace_name"))
            and (pod := labels.get("k8s_pod_name"))
        }

    def named(self, namespaces: Collection[str]) -> list[tuple[Matcher, ...]]:
        """Return the matchers of the targets in some namespaces: none, one or two of them."""
        instances: dict[str, set[str]] = {}
        for target, (namespace, _) in self._pods.items():
            if namespace in namespaces:
                instances.setdefault(target.label, set()).add(target.instance)
        return [((label, "=~", any_text(found)),) for label, found in sorted(instances.items())]

    def read(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return a row with the pod of its target."""
        target = _target_of(labels)
        pod = None if target is None else self._pods.get(target)
        return labels if pod is None else _told(labels, {"namespace": pod[0], "pod": pod[1]})


def _target_of(labels: Mapping[str, str]) -> _Target | None:
    label = "exported_instance" if labels.get("exported_instance") else "instance"
    job = labels.get("exported_job" if label == "exported_instance" else "job", "")
    instance = labels.get(label, "")
    return _Target(label, job, instance) if instance else None


def _told(labels: Mapping[str, str], told: Mapping[str, str]) -> Mapping[str, str]:
    """Return a row that says some things under their plain names, and under no other."""
    others = {name for label in told for name in _WEIGHTIEST_FIRST[label]}
    return {**{name: text for name, text in labels.items() if name not in others}, **told}
