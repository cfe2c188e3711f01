"""
The controller's loop: what changed is looked at, what a plan wants is done.

Thin: :mod:`.reconcile` decides. Each ReclaimableJob is looked at when it, its ScaledObject or the
scaler's word changes, when a plan asked for another look, and every few seconds for what happens to
its Job and pods. A write that conflicts is dropped: the next look starts from what is there.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Mapping

import grpc

from scaler.keda._pb.kvtide_pb2_grpc import LendingStub
from scaler.readings.kubernetes.api import FAULTS, refusal
from scaler.readings.kubernetes.manifest import Key, Manifest, Refusal, key_of

from .carry_out import carry_out
from .follow import Following, lent_word
from .kinds import JobKind
from .kube import Kube
from .plan import Event, Plan, ZeroReplicas
from .reconcile import reconcile
from .seen import Borrower, Job, Seen, borrower, format_time, job, pods
from .status import Status, difference
from .tell import tell

logger = logging.getLogger("kvtide.controller")

GROUP_VERSION = "kvtide.io/v1alpha1"
KIND = "ReclaimableJob"
RESYNC_S = 5.0
"""How often a Job and its pods are looked at when nothing was heard of them."""

NOT_FOUND = 404
CONFLICT = 409
CONFLICT_S = 0.05
"""After a conflict the newer object is read at once, and acted on so soon."""
RETRY_S = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the loop is told by its settings."""

    blind_reclaim_after_s: float
    on_reclaimed: Callable[[str, str, float], None]
    """Called with namespace, ScaledObject and seconds when GPUs were freed."""


class Controller:
    """Makes every ReclaimableJob follow the workers that are lent to it."""

    def __init__(
        self, kube: Kube, channel: grpc.aio.Channel, *, clock: Callable[[], float], rules: Rules
    ) -> None:
        """
        Act on the cluster behind ``kube``.

        Args:
            kube: the API server.
            channel: to the scaler.
            clock: Unix seconds.
            rules: this process' settings.
        """
        self._kube = kube
        lending = LendingStub(channel)  # type: ignore[no-untyped-call]
        self._following = Following(lending.Watch, lent_word, clock=clock, on_word=self._on_word)
        self._clock = clock
        self._rules = rules
        self._borrowers: dict[Key, Manifest] = {}
        self._drivers: dict[Key, str] | None = None
        """The ScaledObject of each ReclaimableJob; None: they were not listed yet."""
        self._due: dict[Key, float] = {}
        self._told: dict[Key, frozenset[str]] = {}
        """Of what is owed, the identities that were told."""
        self._wake = asyncio.Event()

    def _on_word(self, namespace: str, scaled_object: str, differs: bool) -> None:  # noqa: FBT001
        if not differs or self._drivers is None:
            return
        for key, driver in self._drivers.items():
            if (key[0], driver) == (namespace, scaled_object):
                self._look_at(key)

    async def run(self) -> None:
        """Follow the API and act, until cancelled."""
        objects = ("keda.sh/v1alpha1", "ScaledObject", self._on_scaled_objects)
        drivers = self._kube.follow(*objects, on_trouble=self._on_no_scaled_objects)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._kube.follow(GROUP_VERSION, KIND, self._on_borrowers))
                tasks.create_task(drivers)
                tasks.create_task(self._work())
        finally:
            await self._following.close()

    def _on_borrowers(self, listed: Mapping[Key, Manifest]) -> None:
        for key, manifest in listed.items():
            if _version(manifest) != _version(self._borrowers.get(key)):
                self._look_at(key)
        self._borrowers = dict(listed)
        self._due = {key: due for key, due in self._due.items() if key in listed}
        self._told = {key: told for key, told in self._told.items() if key in listed}

    def _on_scaled_objects(self, listed: Mapping[Key, Manifest]) -> None:
        self._drivers = {
            (namespace, target["name"]): name
            for (namespace, name), manifest in listed.items()
            if (target := manifest["spec"]["scaleTargetRef"]).get("kind") == KIND
        }
        self._following.keep({(key[0], driver) for key, driver in self._drivers.items()})
        for key in self._borrowers.keys() | self._drivers.keys():
            self._look_at(key)

    def _on_no_scaled_objects(self, why: Refusal) -> None:
        """Without KEDA's kind nothing drives any; with any other trouble nobody knows."""
        if why.status == NOT_FOUND and self._drivers is None:
            self._on_scaled_objects({})

    def _look_at(self, key: Key, after_s: float = 0.0) -> None:
        due_s = self._clock() + after_s
        self._due[key] = min(due_s, self._due.get(key, due_s))
        self._wake.set()

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            now_s = self._clock()
            due = [key for key, due_s in self._due.items() if due_s <= now_s]
            for key in due:
                del self._due[key]
            waits = await asyncio.gather(*(self._attend(key) for key in due))
            for key, again_s in zip(due, waits, strict=True):
                if key in self._borrowers:
                    self._look_at(key, again_s)
            nearest_s = min(self._due.values(), default=now_s + RESYNC_S) - self._clock()
            try:
                async with asyncio.timeout(max(0.0, nearest_s)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _attend(self, key: Key) -> float:
        """Look at one ReclaimableJob once; return when to look again, in seconds."""
        manifest, drivers = self._borrowers.get(key), self._drivers
        if manifest is None or drivers is None:
            # Who drives it is not known yet: a count that KEDA wrote would pass for a person's.
            return RESYNC_S
        try:
            seen, behind = await self._see(manifest, drivers.get(key))
            plan = reconcile(seen, self._rules.blind_reclaim_after_s)
            await self._do(manifest, behind, plan)
        except FAULTS as error:
            why = refusal(error)
            fields = {"object": "/".join(key), "status": why.status, "why": why.message}
            if why.status == CONFLICT:
                logger.debug("written by another since", extra={"fields": fields})
                return await self._read_anew(key)
            logger.warning("could not follow", extra={"fields": fields})
            await self._say(manifest, Event(reason="ApiRefused", message=why.message, warning=True))
            return RETRY_S
        return min(RESYNC_S, plan.again_s or RESYNC_S)

    async def _read_anew(self, key: Key) -> float:
        """Read an object that has changed since, where the watch is late; return when to look."""
        try:
            newest = await self._kube.get(GROUP_VERSION, KIND, *key)
        except FAULTS:
            return RETRY_S
        if newest is not None and key in self._borrowers:
            self._borrowers[key] = newest
        return CONFLICT_S

    async def _see(self, manifest: Manifest, driver: str | None) -> tuple[Seen, Manifest | None]:
        one = borrower(manifest)
        follower = self._following.follow(one.namespace, driver) if driver else None
        found = None
        parsed: Job | None = None
        held: list[Manifest] = []
        if one.kind is not None:
            found = await self._kube.get(
                one.job_api_version, one.job_kind, one.namespace, one.job_name
            )
            parsed = await self._job(found, one.kind, one) if found else None
            held = await self._kube.pods(one.namespace, f"{one.kind.pod_label}={one.job_name}")
        seen = Seen(
            now_s=self._clock(),
            borrower=one,
            job=parsed,
            pods=pods(held),
            scaled=driver is not None,
            word=follower.word if follower else None,
            listening_since_s=follower.since_s if follower else 0.0,
        )
        return seen, found

    async def _job(self, found: Manifest, kind: JobKind, one: Borrower) -> Job:
        parsed = job(found, kind, None)
        if not parsed.queued:
            return parsed
        workload = await self._kube.workload_of(one.namespace, found["metadata"]["uid"])
        return job(found, kind, workload)

    async def _do(self, manifest: Manifest, behind: Manifest | None, plan: Plan) -> None:
        """
        Do what a look wants: the Job first, then the status, and what it tells once it is written.

        The status is written as it was read or not at all, so that no step of a reclaim happens
        twice, however late this controller (or one before it) hears of its own writes.
        """
        for action in plan.actions:
            if not isinstance(action, ZeroReplicas):
                await carry_out(self._kube, manifest, behind, action, now_s=self._clock())
        written = await self._write_status(manifest, plan.status)
        if plan.reclaim_s is not None:
            namespace, name = key_of(manifest)
            driver = (self._drivers or {}).get((namespace, name), name)
            self._rules.on_reclaimed(namespace, driver, plan.reclaim_s)
        await self._tell_all(manifest, plan)
        if ZeroReplicas() in plan.actions:
            await carry_out(self._kube, written, behind, ZeroReplicas(), now_s=self._clock())

    async def _tell_all(self, manifest: Manifest, plan: Plan) -> None:
        """Tell what happened at this look, and what is owed from one before."""
        key = key_of(manifest)
        told = set(self._told.get(key, ()))
        for event in (*plan.events, *plan.owed):
            if event.identity in told or _is_known(manifest, event):
                continue
            if await self._say(manifest, event) and event.identity:
                told.add(event.identity)
        self._told[key] = frozenset(told & {one.identity for one in plan.owed})

    async def _write_status(self, manifest: Manifest, status: Status) -> Manifest:
        """
        Write the status where it differs; a condition keeps its time while it stays as it is.

        Returns:
            The object as it is then.
        """
        before = manifest.get("status") or {}
        dated = {**status, "conditions": self._dated(before, status["conditions"])}
        patch = difference(before, dated)
        if not patch:
            return manifest
        version = {"resourceVersion": manifest["metadata"]["resourceVersion"]}
        body = {"metadata": version, "status": patch}
        return await self._kube.patch(manifest, body, subresource="status")

    def _dated(self, before: Manifest, conditions: list[Manifest]) -> list[Manifest]:
        known = {one["type"]: one for one in before.get("conditions", ())}
        now = format_time(self._clock())
        dated = []
        for one in conditions:
            old = known.get(one["type"])
            same = old is not None and old["status"] == one["status"]
            dated.append(
                {**one, "lastTransitionTime": old["lastTransitionTime"] if same and old else now}
            )
        return dated

    async def _say(self, manifest: Manifest, event: Event) -> bool:
        return await tell(self._kube, manifest, event, now_s=self._clock())


def _is_known(manifest: Manifest, event: Event) -> bool:
    """Whether a warning is what the object's conditions say already."""
    conditions = (manifest.get("status") or {}).get("conditions", ())
    return event.warning and any(one["reason"] == event.reason for one in conditions)


def _version(manifest: Manifest | None) -> str | None:
    return None if manifest is None else str(manifest["metadata"]["resourceVersion"])
