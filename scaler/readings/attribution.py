"""
Whose pods are whose: by owner, else by the controller's naming rule, else by labels.

A pod belongs to one workload. Two ScaledObjects that claim the same pod are both wrong, since
each would answer for the other's load: both are told, each with the other's name. But for one of
which the cluster shows nothing, beside one that it has: whoever can call may make that one up, and
it alone is told.
"""

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from scaler.source import Workload

from .series import Subject

_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
"""Letters of generated names (k8s.io/apimachinery, util/rand): no vowels, no 0, 1, 3."""

_GENERATED = ("Deployment", "Rollout")
"""Kinds whose pods have generated names."""
_LONGEST_BASE, _RANDOM, _LONGEST_HASH = 58, 5, 10
_HASH = re.compile(rf"{_SAFE}{{1,10}}-?")
"""A ReplicaSet's hash, or the part of it that is left, and the dash behind it where it is."""

_REPLICA_SET = re.compile(rf"(?P<name>.+)-{_SAFE}{{1,10}}")
_NAMING = (
    (re.compile(rf"(?P<name>.+)-{_SAFE}{{1,10}}-{_SAFE}{{5}}"), ("Deployment", "Rollout")),
    (re.compile(r"(?P<name>.+)-\d+"), ("StatefulSet", "LeaderWorkerSet")),
    (re.compile(r"(?P<name>.+)-\d+-\d+"), ("LeaderWorkerSet",)),
)


Target = tuple[str, str, str]
"""Namespace, kind and name of a scale target."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The object that controls a pod, as far up as is known."""

    kind: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Pods by workload (``namespace/scaledobject``), and who else claims one of them."""

    pods: Mapping[str, tuple[Subject, ...]]
    rivals: Mapping[str, tuple[str, str]]
    """Of a workload in conflict: the other ScaledObject, and the pod both claim."""


def attribute(
    pods: Iterable[Subject],
    workloads: Collection[Workload],
    *,
    owner_of: Callable[[Subject], Owner | None],
    carries: Callable[[Subject, Workload], bool],
    is_shown: Callable[[Workload], bool] = lambda _: True,
) -> Attribution:
    """
    Give each pod to the workload that it belongs to.

    ``owner_of`` returns a pod's owner where the cluster tells; ``carries`` whether a pod has an
    engine series with the labels of a workload's selector; ``is_shown`` whether the cluster shows
    a workload's ScaledObject.
    """
    everyone = _Claimants(workloads, carries)
    known = [workload for workload in workloads if is_shown(workload)]
    shown = everyone if len(known) in (0, len(workloads)) else _Claimants(known, carries)
    claimed: dict[str, list[Subject]] = {workload.key: [] for workload in workloads}
    rivals: dict[str, tuple[str, str]] = {}
    for pod in sorted(pods):
        owner = owner_of(pod)
        claiming = everyone.of(pod, owner)
        entitled = claiming if shown is everyone else shown.of(pod, owner) or claiming
        for key in entitled:
            claimed[key].append(pod)
        for key in (*entitled, *claiming):
            other = next((one for one in entitled if one != key), None)
            if other is not None:
                rivals.setdefault(key, (other, pod[1]))
    return Attribution(pods={key: tuple(found) for key, found in claimed.items()}, rivals=rivals)


class _Claimants:
    """Workloads, by what they claim pods with."""

    def __init__(
        self, workloads: Collection[Workload], carries: Callable[[Subject, Workload], bool]
    ) -> None:
        self._carries = carries
        self._by_target = _by_target(workloads)
        self._long_names = [
            (target, found) for target, found in self._by_target.items() if _may_be_cut(target)
        ]
        self._by_selector = [workload for workload in workloads if workload.selector]

    def of(self, pod: Subject, owner: Owner | None) -> list[str]:
        """Return the keys of those that claim a pod, each once."""
        found = _by_owner_or_name(pod, self._by_target, owner)
        if not found and owner is None:
            found = [
                workload
                for target, named in self._long_names
                if _is_cut_from(pod, target)
                for workload in named
            ]
        found += [
            one for one in self._by_selector if one.namespace == pod[0] and self._carries(pod, one)
        ]
        return list(dict.fromkeys(workload.key for workload in found))


def targets_of_name(pod: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, name) of the targets that a pod's name may come from, longest name first."""
    found = [
        (match["name"], kind)
        for pattern, kinds in _NAMING
        if (match := pattern.fullmatch(pod))
        for kind in kinds
    ]
    for name, kind in sorted(found, key=lambda target: -len(target[0])):
        yield kind, name


def _may_be_cut(target: Target) -> bool:
    """Whether pods of a target have names that are cut: it is long, and its pods' are generated."""
    _, kind, name = target
    shortest = len(f"{name}-h-")
    return kind in _GENERATED and shortest + _LONGEST_HASH - 1 > _LONGEST_BASE


def _is_cut_from(pod: Subject, target: Target) -> bool:
    """
    Whether a pod's name may have been cut from a target's.

    Its base, ``name-hash-``, is cut at 58 letters, and five are added (k8s.io/apiserver,
    storage/names).
    """
    if pod[0] != target[0] or len(pod[1]) != _LONGEST_BASE + _RANDOM:
        return False
    base, random = pod[1][:_LONGEST_BASE], pod[1][_LONGEST_BASE:]
    whole = f"{target[2]}-"
    if len(whole) >= _LONGEST_BASE:
        begins = whole.startswith(base)
    else:
        begins = base.startswith(whole) and bool(_HASH.fullmatch(base[len(whole) :]))
    return begins and bool(re.fullmatch(rf"{_SAFE}{{5}}", random))


def replica_of(workload: Workload, pod: str) -> str:
    """Return the replica that a pod is part of: itself, or the leader of its group."""
    if workload.kind == "LeaderWorkerSet":
        group = re.fullmatch(rf"({re.escape(workload.name)}-\d+)(-\d+)?", pod)
        return group[1] if group else pod
    return pod


def groups(workload: Workload, pods: Iterable[Subject]) -> dict[str, list[Subject]]:
    """Return the pods of each replica, in order."""
    found: dict[str, list[Subject]] = {}
    for pod in pods:
        found.setdefault(replica_of(workload, pod[1]), []).append(pod)
    return found


def _by_target(workloads: Collection[Workload]) -> dict[Target, list[Workload]]:
    found: dict[Target, list[Workload]] = {}
    for workload in workloads:
        if not workload.selector:
            target = (workload.namespace, workload.kind, workload.name)
            found.setdefault(target, []).append(workload)
    return found


def _by_owner_or_name(
    pod: Subject, by_target: Mapping[Target, list[Workload]], owner: Owner | None
) -> list[Workload]:
    namespace, name = pod
    targets = targets_of_name(name) if owner is None else _targets_of_owner(owner)
    for kind, target in targets:
        if found := by_target.get((namespace, kind, target)):
            return list(found)
    return []


def _targets_of_owner(owner: Owner) -> Iterator[tuple[str, str]]:
    """
    Yield the targets an owner stands for.

    A ReplicaSet is a Deployment's or a Rollout's; a group's leader and workers have StatefulSets.
    """
    yield owner.kind, owner.name
    if owner.kind == "ReplicaSet" and (match := _REPLICA_SET.fullmatch(owner.name)):
        yield "Deployment", match["name"]
        yield "Rollout", match["name"]
    if owner.kind == "StatefulSet":
        yield "LeaderWorkerSet", owner.name
        if match := re.fullmatch(r"(?P<name>.+)-\d+", owner.name):
            yield "LeaderWorkerSet", match["name"]
