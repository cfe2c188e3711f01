"""
Devices that pods hold by ResourceClaim, which no request of a container tells.

As kube-state-metrics has them (``kube_pod_resourceclaim_info`` of its pod collector; its
``resourceclaims`` collector, internal/store/resourceclaim.go) or the API (resource.k8s.io/v1): both
are stated under the same names, and whoever spoke last is right.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from .accelerators import Device
from .series import SeriesStore, Subject
from .spoken import spoken
from .wanted import Exporter, Wanted

OF_POD = "kube_pod_resourceclaim_info"
RESERVED = "kube_resourceclaim_status_reserved_for"
DEVICE = "kube_resourceclaim_allocation_device_info"

WANTED = (
    Wanted(metrics=(OF_POD,), exporter=Exporter.CLUSTER),
    Wanted(metrics=(RESERVED,), exporter=Exporter.CLUSTER, about="resourceclaim"),
    Wanted(metrics=(DEVICE,), exporter=Exporter.CLUSTER, about="resourceclaim"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """A claim that a pod holds."""

    subject: Subject
    """Its namespace and name."""
    named: bool
    """The pod's own spec names it; otherwise only the claim says that the pod uses it."""
    own: bool
    """It was made from a template, for this pod alone."""


Reserved = Mapping[Subject, Sequence[Subject]]
"""By pod: claims."""


class Claims:
    """Reads claims off the store."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store

    def of(
        self, pod: Subject, reserved: Reserved, at_s: float, stale_after_s: float
    ) -> list[Claim]:
        """Return the claims of a pod, those that its spec names first."""
        by_name: dict[str, Claim] = {}
        for labels, _ in spoken(self._store, OF_POD, pod, at_s, stale_after_s):
            template = labels.get("resourceclaim_template_name", "")
            claim = labels.get("resourceclaim_name", "")
            name = labels.get("claim_name") or template or claim
            if claim or name not in by_name:  # one that is not made yet has no name of its own
                by_name[name] = Claim((pod[0], claim), named=True, own=bool(template))
        found = {claim.subject: claim for claim in by_name.values()}
        for subject in reserved.get(pod, ()):
            found.setdefault(subject, Claim(subject, named=False, own=True))
        return list(found.values())

    def reserved(self, at_s: float, stale_after_s: float) -> Reserved:
        """Return by pod the claims that say they are reserved for it."""
        found: dict[Subject, list[Subject]] = {}
        for claim in self._store.subjects(RESERVED):
            for labels, _ in spoken(self._store, RESERVED, claim, at_s, stale_after_s):
                if labels.get("consumer_resource") == "pods":
                    pod = (claim[0], labels.get("consumer_name", ""))
                    found.setdefault(pod, []).append(claim)
        return found

    def devices(self, claim: Claim, at_s: float) -> frozenset[Device]:
        """Return what a claim was last seen to be allocated; empty: that is not known."""
        last = [
            (point[0], track.labels)
            for track in self._store.tracks(DEVICE, claim.subject)
            if (point := track.last(at_s)) is not None
        ]
        newest_s = max((seen_s for seen_s, _ in last), default=0.0)
        return frozenset(
            Device(labels["driver"], labels.get("pool", ""), labels["device"])
            for seen_s, labels in last
            if seen_s == newest_s and labels.get("driver") and labels.get("device")
        )
