"""
One controller at a time: leader election by a Lease, with client-go's rules and shorter times.

A replica that waits follows nothing and writes nothing. A leader renews every RETRY_S; when it
could not for RENEW_S since it last asked with success, it stops, before another may begin (LEASE_S
after that renewal, by the other's own clock). A leader that ends gives the Lease back, so that the
next begins within RETRY_S; one that is killed is followed as its Lease runs out, LEASE_S after the
other first saw it as it is. Short, because inference waits for what a reclaim takes back. Every
write carries the resourceVersion that was read: of two that reach for the Lease at once, one gets a
conflict. (The Kubernetes client's own elector, in 37.0, cannot create a Lease: it passes ``pretty``
as a boolean where its model wants a string.)
"""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable

from scaler.readings.kubernetes.api import FAULTS, refusal
from scaler.readings.kubernetes.manifest import Manifest

from .kube import Kube
from .seen import format_time

logger = logging.getLogger("kvtide.controller")

LEASE = "kvtide-controller"
LEASE_S = 6.0
RENEW_S = 4.5
RETRY_S = 1.0
ATTEMPT_S = 2.0
"""An attempt that takes longer has failed; half of what a leader may go without renewing."""
API_VERSION = "coordination.k8s.io/v1"

Work = Callable[[], Awaitable[None]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The last change of the Lease that this replica saw, and when it saw it by its own clock."""

    version: str
    at_s: float
    duration_s: float

    @property
    def ends_s(self) -> float:
        """When it runs out, if it does not change until then."""
        return self.at_s + self.duration_s


class Elector:
    """One candidate for the Lease of a namespace."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        identity: str,
        *,
        clock: Callable[[], float],
        retry_s: float = RETRY_S,
    ) -> None:
        """
        Stand under ``identity``.

        Args:
            kube: the API server.
            namespace: where the Lease is.
            identity: this replica's name, unlike any other's.
            clock: Unix seconds.
            retry_s: between two attempts to take or to renew the Lease.
        """
        self._kube = kube
        self._namespace = namespace
        self._identity = identity
        self._clock = clock
        self._retry_s = retry_s
        self._observed: Observed | None = None
        self._mine: Manifest | None = None
        """The Lease as this replica wrote it last: renewing it takes one call, not two."""

    async def lead(self, work: Work) -> None:
        """
        Work whenever this replica holds the Lease; never returns.

        Raises:
            Exception: what ``work`` raised; the Lease is given back.
        """
        while True:
            if await self._attempt():
                await self._term(work)
            await asyncio.sleep(min(self._retry_s, self._left_s()))

    def _left_s(self) -> float:
        """Return the seconds until the Lease that was seen runs out, if nobody renews it."""
        if self._observed is None or self._clock() >= self._observed.ends_s:
            return self._retry_s
        return self._observed.ends_s - self._clock()

    async def _term(self, work: Work) -> None:
        """Work until the Lease is lost."""
        logger.info("leading", extra={"fields": {"identity": self._identity}})
        working = asyncio.ensure_future(work())
        renewed_s = self._clock()
        try:
            while (left_s := renewed_s + RENEW_S - self._clock()) > 0:
                done, _ = await asyncio.wait({working}, timeout=min(self._retry_s, left_s))
                if done:
                    working.result()
                    return
                # Counted from before it is asked for: the answer may be late, the others' wait not.
                asked_s = self._clock()
                if await self._attempt(max(0.0, renewed_s + RENEW_S - asked_s)):
                    renewed_s = asked_s
            logger.warning("lost the lease", extra={"fields": {"identity": self._identity}})
        finally:
            working.cancel()
            # Waited for rather than awaited: a cancellation of this very task must get through.
            await asyncio.wait({working})
            await self._guarded(self._give_back(), ATTEMPT_S)

    async def _attempt(self, within_s: float = ATTEMPT_S) -> bool:
        """Take or renew the Lease; whether it is this replica's now."""
        return await self._guarded(self._take(), min(within_s, ATTEMPT_S))

    async def _guarded(self, asking: Awaitable[bool], within_s: float) -> bool:
        """Ask something of the Lease, in time; what fails is as good as a no."""
        try:
            async with asyncio.timeout(within_s):
                return await asking
        except FAULTS as error:
            why = refusal(error)
            if why.status not in {None, 409}:
                fields = {"status": why.status, "why": why.message}
                logger.warning("cannot stand for leader", extra={"fields": fields})
            return False

    async def _give_back(self) -> bool:
        """Leave the Lease to whoever asks next, if it is still this replica's."""
        self._mine = None
        lease = await self._kube.get(API_VERSION, "Lease", self._namespace, LEASE)
        if lease is None or lease["spec"].get("holderIdentity") != self._identity:
            return False
        version = lease["metadata"]["resourceVersion"]
        free = {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": ""}}
        await self._kube.patch(lease, free)
        return True

    async def _take(self) -> bool:
        # Written by another since, it is refused, and read at the next attempt.
        lease, self._mine = self._mine, None
        if lease is None:
            lease = await self._kube.get(API_VERSION, "Lease", self._namespace, LEASE)
        if lease is None:
            await self._kube.create(self._lease())
            return True
        held = lease["spec"].get("holderIdentity")
        if held != self._identity and held and not self._is_expired(lease):
            return False
        self._mine = await self._kube.patch(
            lease, self._renewal(lease, taken=held != self._identity)
        )
        return True

    def _is_expired(self, lease: Manifest) -> bool:
        """Whether the Lease has not changed for its duration, by this replica's clock alone."""
        version = str(lease["metadata"]["resourceVersion"])
        if self._observed is None or self._observed.version != version:
            duration_s = float(lease["spec"].get("leaseDurationSeconds", LEASE_S))
            self._observed = Observed(version=version, at_s=self._clock(), duration_s=duration_s)
        return self._clock() >= self._observed.ends_s

    def _lease(self) -> Manifest:
        now = format_time(self._clock())
        return {
            "apiVersion": API_VERSION,
            "kind": "Lease",
            "metadata": {"name": LEASE, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(LEASE_S),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }

    def _renewal(self, lease: Manifest, *, taken: bool) -> Manifest:
        now = format_time(self._clock())
        spec: Manifest = {"holderIdentity": self._identity, "renewTime": now}
        if taken:
            turns = int(lease["spec"].get("leaseTransitions") or 0) + 1
            spec |= {
                "acquireTime": now,
                "leaseDurationSeconds": int(LEASE_S),
                "leaseTransitions": turns,
            }
        version = lease["metadata"]["resourceVersion"]
        return {"metadata": {"resourceVersion": version}, "spec": spec}
