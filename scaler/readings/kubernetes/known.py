"""
What the API has said so far, by kind: the fresher word beside kube-state-metrics.

Each kind stands for itself: without the right to list nodes, pods are still known. A kind whose
watch is lost keeps its last list for what seldom changes (targets, bounds), and says nothing of
what does (replicas, pods, nodes) until it is heard again.
"""

import asyncio
import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Generic, TypeVar

from scaler.decision.window import ScaleBounds
from scaler.readings.accelerators import exporter_name
from scaler.readings.attribution import Owner, attribute
from scaler.readings.units import Template
from scaler.said import Said
from scaler.source import Workload

from .claims import PodClaim, ResourceClaim, ResourceSlice
from .manifest import Key, Refusal
from .objects import Autoscaler, Counts, NodeState, Pod, ScaledObject

Parsed = TypeVar("Parsed")

NOT_FOUND = 404
_FROM_ENV = "FromEnv"
"""Ends the keys whose values KEDA takes from the target's environment."""


@dataclasses.dataclass(slots=True)
class Heard(Generic[Parsed]):
    """A list of one kind, as last heard."""

    told_by_it: str
    """What is known by it, in words."""
    optional: bool = False
    """A cluster may well be without the kind."""
    listed: Mapping[Key, Parsed] = dataclasses.field(default_factory=dict)
    is_current: bool = False
    trouble: Refusal | None = None
    unreadable: set[Key] = dataclasses.field(default_factory=set)
    """Objects that were not what is known of the kind, when they were heard last or before."""
    settled: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    """Set once it was heard, or is known not to be there to hear."""

    def take(self, listed: Mapping[Key, Parsed]) -> None:
        """Take a list."""
        self.listed, self.is_current, self.trouble = listed, True, None
        self.settled.set()

    def lose(self, why: Refusal) -> None:
        """Note that it cannot be heard."""
        self.is_current, self.trouble = False, why
        self.settled.set()


class KnownCluster:
    """Everything heard of a cluster."""

    def __init__(self, namespace: str | None = None) -> None:
        """Begin with nothing heard of a namespace (None: all of them)."""
        self.namespace = namespace
        self.scaled_objects = Heard[ScaledObject](
            Said("scale targets, minimums, paused objects, and pools and tiers right after a start")
        )
        self.autoscalers = Heard[Autoscaler](Said("the HPA's dead band"))
        self.pods = Heard[Pod](Said("pods' start times, GPUs per replica, pods on their way out"))
        self.nodes = Heard[NodeState](Said("the nodes of a pool"))
        self.claims = Heard[ResourceClaim](
            Said("GPUs that pods hold by ResourceClaim"), optional=True
        )
        self.claim_templates = Heard[ResourceClaim](
            Said("GPUs by ResourceClaim of a workload at zero"), optional=True
        )
        self.slices = Heard[ResourceSlice](
            Said("the nodes of a pool that DRA offers"), optional=True
        )
        self.counts: Mapping[str, Heard[Counts]] = {
            "Deployment": Heard(Said("replicas of Deployments")),
            "StatefulSet": Heard(Said("replicas of StatefulSets")),
            "ReclaimableJob": Heard(Said("workers of ReclaimableJobs"), optional=True),
            "Rollout": Heard(Said("replicas of Rollouts"), optional=True),
        }

    @property
    def heard(self) -> dict[str, Heard[Any]]:
        """Every list, by kind."""
        return {
            "ScaledObject": self.scaled_objects,
            "HorizontalPodAutoscaler": self.autoscalers,
            "Pod": self.pods,
            "Node": self.nodes,
            "ResourceClaim": self.claims,
            "ResourceClaimTemplate": self.claim_templates,
            "ResourceSlice": self.slices,
            **self.counts,
        }

    async def first_lists(self) -> None:
        """Wait until each kind was heard, or is known not to be there to hear."""
        await asyncio.gather(*(heard.settled.wait() for heard in self.heard.values()))

    def resolved(self, workload: Workload) -> Workload:
        """Return a workload with the target that its ScaledObject names, where it states none."""
        known = self._scaled_object(workload)
        if workload.target_stated or known is None:
            return workload
        return dataclasses.replace(workload, kind=known.kind, name=known.name)

    def bounds(self, workload: Workload, exported: ScaleBounds) -> ScaleBounds:
        """Return what ScaledObject and HPA say; without the API, what kube-state-metrics does."""
        known = self._scaled_object(workload)
        if known is None:
            return exported
        band = self._autoscaler(workload, known)
        return ScaleBounds(
            min_replicas=known.min_replicas,
            max_replicas=known.max_replicas,
            tolerance=None if band is None else band.tolerance,
            paused=known.paused,
            scale_in_paused=known.scale_in_paused,
            scale_out_paused=known.scale_out_paused,
            others_desired=None if band else self._others_desired(workload),
        )

    def reclaim_s(self, workload: Workload) -> float | None:
        """Return how long a borrower's reclaims take, seconds; None: only its object would tell."""
        heard = self.counts.get(workload.kind)
        counts = heard and heard.listed.get((workload.namespace, workload.name))
        return counts.reclaim_s if counts else None

    def template(self, workload: Workload) -> Template:
        """Return what a pod of the target asks for; a LeaderWorkerSet's group is not one pod."""
        heard = self.counts.get(workload.kind)
        counts = heard and heard.listed.get((workload.namespace, workload.name))
        if not counts:
            return Template()
        asked = {exporter_name(name): units for name, units in counts.units.items()}
        found = [self._accelerators(workload.namespace, one) for one in counts.claims]
        known = [count for count in found if count is not None]
        return Template(asked, sum(known) if known and len(known) == len(found) else None)

    def pods_of(self, workload: Workload) -> dict[str, Pod] | None:
        """
        Return a workload's pods that are there, by name; None: the list is not current.

        Theirs is what its target owns, as everywhere; a name proves nothing here.
        """
        if not self.pods.is_current:
            return None
        there = {
            key: pod
            for key, pod in self.pods.listed.items()
            if key[0] == workload.namespace and pod.owner is not None and not pod.ended
        }
        target = dataclasses.replace(workload, selector=())
        found = attribute(
            there, [target], owner_of=lambda key: there[key].owner, carries=lambda *_: False
        )
        return {key[1]: there[key] for key in found.pods[workload.key]}

    def triggers_of(
        self, addresses: Collection[str]
    ) -> Iterable[tuple[str, str, Mapping[str, str]]]:
        """
        Yield namespace, name and metadata of the ScaledObjects that name a scaler.

        Left out is metadata of which KEDA resolves a part (``…FromEnv``), and an object with
        several such triggers: only KEDA says which of them counts.
        """
        for (namespace, name), known in self._staying():
            ours = [one for one in known.triggers if one.get("scalerAddress") in addresses]
            if len(ours) == 1 and not _resolved_by_keda(ours[0]):
                yield namespace, name, ours[0]

    def triggers_elsewhere(
        self, addresses: Collection[str]
    ) -> Iterable[tuple[str, str, Mapping[str, str]]]:
        """Yield namespace, name and metadata of the ScaledObjects that name other scalers alone."""
        for (namespace, name), known in self._staying():
            named = [one for one in known.triggers if "scalerAddress" in one]
            if named and not any(one["scalerAddress"] in addresses for one in named):
                yield namespace, name, named[0]

    def metadata_of(
        self, namespace: str, name: str, asked_with: Mapping[str, str]
    ) -> Mapping[str, str] | None:
        """
        Return the metadata of a ScaledObject's trigger that counts, whatever it is asked with.

        Its own, where it has one that KEDA sends as it is written; else what is asked with, where
        it can be one of its own; None: it cannot. Where nothing is known whoever asks is believed.
        """
        known = self.scaled_objects.listed.get((namespace, name))
        if not self.there(namespace, name) or known is None:
            return asked_with
        if any(can_be(asked_with, trigger) for trigger in known.triggers):
            return asked_with
        address = asked_with.get("scalerAddress")
        same = [one for one in known.triggers if one.get("scalerAddress") == address]
        (only, *more) = same or known.triggers
        return None if more or _resolved_by_keda(only) else only

    def there(self, namespace: str, name: str) -> bool | None:
        """
        Return whether a ScaledObject is listed with an external trigger, and to stay.

        None: the list is not current or of another namespace, or the object cannot be read.
        """
        if not self.scaled_objects.is_current or self.namespace not in (None, namespace):
            return None
        known = self.scaled_objects.listed.get((namespace, name))
        if known is None and (namespace, name) in self.scaled_objects.unreadable:
            return None
        return known is not None and not known.leaving and bool(known.triggers)

    def has(self, workload: Workload) -> bool:
        """Whether its ScaledObject was in the last list, of whatever age."""
        known = self._scaled_object(workload)
        return known is not None and bool(known.triggers)

    def _staying(self) -> Iterable[tuple[Key, ScaledObject]]:
        listed = self.scaled_objects.listed.items()
        return ((key, known) for key, known in listed if not known.leaving)

    def troubles(self) -> list[str]:
        """Return what is not known, and why, as sentences; a kind that needs not be there is."""
        return [
            Said(
                "{kind} ({why}): it would tell {what}",
                kind=kind,
                why=one.trouble.message,
                what=one.told_by_it,
            )
            for kind, one in self.heard.items()
            if one.trouble is not None and not (one.optional and one.trouble.status == NOT_FOUND)
        ]

    def _accelerators(self, namespace: str, one: PodClaim) -> int | None:
        """Return how many accelerators a claim of a pod template asks for."""
        heard = self.claims if one.template is None else self.claim_templates
        found = heard.listed.get((namespace, one.template or one.claim or ""))
        return None if found is None else found.accelerators

    def _autoscaler(self, workload: Workload, known: ScaledObject) -> Autoscaler | None:
        """Return the HPA that its ScaledObject owns: most often the one that it names."""
        ours = Owner(kind="ScaledObject", name=workload.scaled_object)
        named = self.autoscalers.listed.get((workload.namespace, known.hpa))
        if named is not None and named.owner in (None, ours):
            return named
        owned = (
            one
            for (namespace, _), one in self.autoscalers.listed.items()
            if namespace == workload.namespace and one.owner == ours
        )
        return next(owned, None)

    def _others_desired(self, workload: Workload) -> int | None:
        """Return what an HPA that is not ours wants of the target; None: there is none."""
        target = Owner(kind=workload.kind, name=workload.name)
        wanted = (
            one.desired
            for (namespace, _), one in self.autoscalers.listed.items()
            if namespace == workload.namespace and one.target == target and one.desired is not None
        )
        return max(wanted, default=None) if self.autoscalers.is_current else None

    def _scaled_object(self, workload: Workload) -> ScaledObject | None:
        return self.scaled_objects.listed.get((workload.namespace, workload.scaled_object))


def can_be(metadata: Mapping[str, str], trigger: Mapping[str, str]) -> bool:
    """
    Whether KEDA may have sent ``metadata`` for a trigger.

    It sends all of it as written, but for ``…FromEnv``, which has the value of the variable, or is
    left out without one (pkg/scalers/external_scaler.go).
    """
    written = {key: text for key, text in trigger.items() if not key.endswith(_FROM_ENV)}
    sent = {key: text for key, text in metadata.items() if not key.endswith(_FROM_ENV)}
    return sent == written and metadata.keys() <= trigger.keys()


def _resolved_by_keda(trigger: Mapping[str, str]) -> bool:
    return any(key.endswith(_FROM_ENV) for key in trigger)
