"""
How many units of a pool a workload's pods hold: by what they request, and by what they claim.

What a pod asks for does not change while it lives, so the last word on it stands when its exporter
falls silent; what is in use now is only what is fresh. Unknown is unknown: a pool then lends
nothing and says why.
"""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from scaler.decision.pool import Units
from scaler.said import Said, joined

from .accelerators import Device, device_units, units_asked
from .claims import Claim, Claims
from .nodes import PHASE, REQUESTS
from .series import SeriesStore, Subject
from .spoken import spoken, word

Asked = Mapping[str, int]
"""Units by the exporter's name of a resource."""


@dataclasses.dataclass(frozen=True, slots=True)
class Template:
    """What the pod template of a workload asks for, where the API tells."""

    asked: Asked = dataclasses.field(default_factory=dict)
    devices: int | None = None
    """Accelerators of its claims; None: it has none, or they are not known."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Pods:
    """What some pods ask for."""

    asked: Asked
    claims: tuple[Claim, ...]


class UnitsReader:
    """Reads off the store what pods hold."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self._claims = Claims(store)

    def of(
        self,
        resource: str | None,
        replicas: Mapping[str, Sequence[Subject]],
        *,
        template: Callable[[], Template],
        at_s: float,
        stale_after_s: float,
    ) -> Units:
        """Return what a workload's replicas hold; ``replicas`` are the pods of each."""
        alive = [
            pods
            for group in replicas.values()
            if (pods := [pod for pod in group if not word(self._store, PHASE, pod, at_s, math.inf)])
        ]
        fresh = self._asks(alive, at_s, stale_after_s)
        seen = fresh or self._asks(replicas.values(), at_s, math.inf)
        counts = [self._units(one, resource, at_s) for one in seen]
        most = max((count for count in counts if count is not None), default=None)
        if most is None:
            return self._by_template(resource, template(), seen)
        shared = self._shared(seen, resource, at_s)
        return Units(
            per_replica=max(most, 1),
            shared=min(shared, most),
            in_use=self._in_use(fresh, resource, at_s),
        )

    def _asks(
        self, replicas: Iterable[Iterable[Subject]], at_s: float, stale_after_s: float
    ) -> list[_Pods]:
        """Return what the pods of each replica ask for, less those of which nothing is known."""
        reserved = self._claims.reserved(at_s, stale_after_s)
        found = []
        for pods in replicas:
            asked: dict[str, int] = {}
            claims: dict[Subject, Claim] = {}
            for pod in pods:
                rows = spoken(self._store, REQUESTS, pod, at_s, stale_after_s)
                # Two replicas of the exporter repeat one another.
                of_pod = {(row.get("resource", ""), row.get("container")): n for row, n in rows}
                for (name, _), units in of_pod.items():
                    asked[name] = asked.get(name, 0) + int(units)
                held = self._claims.of(pod, reserved, at_s, stale_after_s)
                claims.update({claim.subject: claim for claim in held})
            if asked or claims:
                found.append(_Pods(asked, tuple(claims.values())))
        return found

    def _units(self, pods: _Pods, resource: str | None, at_s: float) -> int | None:
        """
        Return what pods hold; None: it is not known.

        A claim that no pod's spec names was made for a request (an extended resource that a DRA
        driver serves), and is no further unit.
        """
        requested = units_asked(pods.asked, resource)
        named = [claim for claim in pods.claims if claim.named]
        others = [claim for claim in pods.claims if not claim.named]
        if any(not self._claims.devices(claim, at_s) for claim in named):
            return None  # not allocated yet, or nobody tells what
        claimed = device_units(self._devices(named, at_s), resource)
        made = device_units(self._devices(others, at_s), resource)
        known = [units for units in (requested, claimed, made) if units is not None]
        return max(requested or 0, made or 0) + (claimed or 0) if known else None

    def _devices(self, claims: Iterable[Claim], at_s: float) -> set[Device]:
        return {device for claim in claims for device in self._claims.devices(claim, at_s)}

    def _shared(self, seen: Sequence[_Pods], resource: str | None, at_s: float) -> int:
        """Return the units of claims that replicas hold together."""
        users: dict[Subject, list[Claim]] = {}
        for pods in seen:
            for claim in pods.claims:
                users.setdefault(claim.subject, []).append(claim)
        shared = [
            claims[0]
            for claims in users.values()
            if len(claims) == len(seen) and (len(claims) > 1 or not claims[0].own)
        ]
        return device_units(self._devices(shared, at_s), resource) or 0

    def _in_use(self, fresh: Sequence[_Pods], resource: str | None, at_s: float) -> int:
        """Return what all pods hold together: each device once."""
        claims = {claim for pods in fresh for claim in pods.claims}
        requested = sum(units_asked(pods.asked, resource) or 0 for pods in fresh)
        named, made = (
            device_units(self._devices((c for c in claims if c.named is is_named), at_s), resource)
            for is_named in (True, False)
        )
        return max(requested, made or 0) + (named or 0)

    def _by_template(
        self, resource: str | None, template: Template, seen: Sequence[_Pods]
    ) -> Units:
        """Return what the pod template says, else why nothing is known."""
        requested = units_asked(template.asked, resource)
        if requested is not None or template.devices is not None:
            return Units(per_replica=(requested or 0) + (template.devices or 0))
        return Units(why=_why(resource, seen, template.asked))


def _why(resource: str | None, seen: Sequence[_Pods], template: Asked) -> str:
    claims = sorted({claim.subject[1] for pods in seen for claim in pods.claims})
    if claims:
        told = joined(", ", (name or Said("one that is not made yet") for name in claims[:3]))
        return Said(
            "its pods hold ResourceClaims ({names}), of which neither kube-state-metrics"
            " (collector resourceclaims) nor the API (resource.k8s.io/v1) tells accelerators",
            names=told,
        )
    asked = sorted({name for pods in seen for name in pods.asked} | set(template))
    if asked and resource is not None:
        return Said(
            "its pods ask for {names} and not for the pool's {resource}",
            names=_listed(asked),
            resource=resource,
        )
    if asked:
        return Said(
            "its pods ask for {names}: a pool's resource says which of them counts",
            names=_listed(asked),
        )
    return Said("no request and no ResourceClaim of its pods is known")


def _listed(names: Collection[str]) -> str:
    return ", ".join(names)
