"""
ResourceClaims, their templates and ResourceSlices, as the API (resource.k8s.io/v1) has them.

What is kept: the devices that were allocated, who holds them, and how many accelerators are asked
for while none is.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from scaler.readings.accelerators import Device, is_accelerator

from .manifest import Manifest, at_path


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResourceClaim:
    """A claim."""

    devices: tuple[Device, ...]
    """Allocated ones, less those for an administrator's eye; empty: none yet."""
    pods: tuple[str, ...]
    """Names of the pods that it is reserved for."""
    accelerators: int | None
    """How many it asks for; None: not a stated number (all of a node)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PodClaim:
    """A claim as a pod names it."""

    name: str
    """What the pod calls it."""
    claim: str | None
    """The claim's name; None: it is not made yet, or this is a pod's template."""
    template: str | None
    """The ResourceClaimTemplate that it is made from, one for each pod."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSlice:
    """A part of what a driver offers; its pool is the whole, anew with each generation."""

    driver: str
    pool: str
    generation: int
    devices: tuple[tuple[str, Device], ...]
    """By the name of the node that each is on; those that are tainted, or on no one node, left
    out."""


def resource_slice(manifest: Manifest) -> ResourceSlice:
    """Parse a ResourceSlice."""
    spec = manifest["spec"]
    driver, pool = spec["driver"], spec["pool"]["name"]
    return ResourceSlice(
        driver=driver,
        pool=pool,
        generation=int(spec["pool"].get("generation", 0)),
        devices=tuple(
            (node, Device(driver, pool, one["name"]))
            for one in spec.get("devices") or ()
            if (node := one.get("nodeName") or spec.get("nodeName")) and not one.get("taints")
        ),
    )


def resource_claim(manifest: Manifest) -> ResourceClaim:
    """Parse a ResourceClaim."""
    allocated = at_path(manifest, ("status", "allocation", "devices", "results"), ())
    reserved = at_path(manifest, ("status", "reservedFor"), ())
    return ResourceClaim(
        devices=tuple(
            Device(one["driver"], one.get("pool", ""), one["device"])
            for one in allocated
            if not one.get("adminAccess")
        ),
        pods=tuple(one["name"] for one in reserved if one.get("resource") == "pods"),
        accelerators=_asked_for(at_path(manifest, ("spec", "devices", "requests"), ())),
    )


def resource_claim_template(manifest: Manifest) -> ResourceClaim:
    """Parse a ResourceClaimTemplate: what the claims made from it ask for."""
    requests = at_path(manifest, ("spec", "spec", "devices", "requests"), ())
    return ResourceClaim(devices=(), pods=(), accelerators=_asked_for(requests))


def pod_claims(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[PodClaim, ...]:
    """Return the claims that a pod's spec names; of one made from a template its status knows."""
    made = {
        one["name"]: one.get("resourceClaimName")
        for one in status.get("resourceClaimStatuses") or ()
    }
    return tuple(
        PodClaim(
            name=one["name"],
            claim=one.get("resourceClaimName") or made.get(one["name"]),
            template=one.get("resourceClaimTemplateName"),
        )
        for one in spec.get("resourceClaims") or ()
    )


def _asked_for(requests: Iterable[Mapping[str, Any]]) -> int | None:
    """Return the accelerators of requests; of alternatives the most that one asks for."""
    found = 0
    for request in requests:
        exact = request.get("exactly")
        ways = [_count(one) for one in ([exact] if exact else request.get("firstAvailable") or ())]
        if None in ways:
            return None
        found += max((way for way in ways if way is not None), default=0)
    return found


def _count(request: Mapping[str, Any]) -> int | None:
    if request.get("adminAccess") or not is_accelerator(request.get("deviceClassName", "")):
        return 0
    if request.get("allocationMode", "ExactCount") != "ExactCount":
        return None
    return int(request.get("count", 1))
