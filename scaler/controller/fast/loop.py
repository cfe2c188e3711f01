"""
The loop of the fast path: the scaler's word in, a scale or a pod's annotation out.

Thin: :mod:`.plan` and :mod:`.deletion_cost` decide. A ScaledObject is looked at when it or the
scaler's word changes, and at each heartbeat; looks at one object follow each other, those at
different ones do not wait for each other. The scale is written with the resourceVersion that was
read with it, so that nobody's write is lost; a write that conflicts is thought over from the start.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Mapping

import grpc

from scaler.controller.follow import Following
from scaler.controller.kube import Kube
from scaler.controller.plan import Event
from scaler.controller.tell import tell
from scaler.keda._pb.kvtide_pb2_grpc import ScalingStub
from scaler.readings.kubernetes.api import FAULTS, refusal
from scaler.readings.kubernetes.manifest import Manifest

from .deletion_cost import ANNOTATION, OWNERS, Written, due
from .plan import may_act, raised
from .target import Target, target
from .word import Word, scale_word

logger = logging.getLogger("kvtide.controller")

CONFLICT = 409
GONE = 404
ATTEMPTS = 3
"""Times a write is tried again at once after a conflict; then at the next heartbeat."""
ATTEMPT_S = 5.0

Key = tuple[str, str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FastRules:
    """What is done ahead of the HPA; nothing by default."""

    scale: bool = False
    """Write the scale of targets, from zero and in panic."""
    deletion_cost: bool = False
    """Write what each pod that a ReplicaSet removes has in flight as its deletion cost."""
    on_raised: Callable[[str, str, float], None] = lambda *_: None
    """Called with namespace, ScaledObject and seconds from the reading to the written scale."""


class FastPath:
    """Acts on every ScaledObject with ``fastPath``."""

    def __init__(
        self, kube: Kube, channel: grpc.aio.Channel, *, clock: Callable[[], float], rules: FastRules
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
        scaling = ScalingStub(channel)  # type: ignore[no-untyped-call]
        self._following = Following(scaling.Watch, scale_word, clock=clock, on_word=self._on_word)
        self._clock = clock
        self._rules = rules
        self._targets: dict[Key, tuple[Manifest, Target]] = {}
        self._written: dict[Key, dict[str, Written]] = {}
        self._refused: dict[Key, str] = {}
        """What was told of a refusal last, so that it is told once."""
        self._looks = asyncio.TaskGroup()
        self._looking: set[Key] = set()
        self._again: set[Key] = set()

    async def run(self) -> None:
        """Follow the API and act, until cancelled; where nothing is asked for, do nothing."""
        if not (self._rules.scale or self._rules.deletion_cost):
            return
        try:
            async with self._looks:
                await self._kube.follow("keda.sh/v1alpha1", "ScaledObject", self._on_scaled_objects)
        finally:
            await self._following.close()

    def _on_scaled_objects(self, listed: Mapping[Key, Manifest]) -> None:
        before = self._targets
        self._targets = {
            key: (manifest, found)
            for key, manifest in listed.items()
            if (found := target(manifest)) is not None
        }
        self._following.keep(set(self._targets))
        for kept in (self._written, self._refused):
            for key in kept.keys() - self._targets.keys():
                del kept[key]
        for key, (_, found) in self._targets.items():
            self._following.follow(*key)
            if key in before and before[key][1] != found:
                self._look_at(key)

    def _on_word(self, namespace: str, name: str, _differs: bool) -> None:  # noqa: FBT001
        self._look_at((namespace, name))

    def _look_at(self, key: Key) -> None:
        if key in self._looking:
            self._again.add(key)
        else:
            self._looking.add(key)
            self._looks.create_task(self._look(key))

    async def _look(self, key: Key) -> None:
        self._again.add(key)
        while key in self._again:
            self._again.remove(key)
            await self._attend(key)
        self._looking.remove(key)

    async def _attend(self, key: Key) -> None:
        """Look at one ScaledObject once; what fails is told, and tried at the next heartbeat."""
        found = self._targets.get(key)
        if found is None:
            return
        manifest, its_target = found
        word = self._following.follow(*key).word
        if word is None:
            return
        try:
            async with asyncio.timeout(ATTEMPT_S):
                if self._rules.scale:
                    await self._raise(manifest, its_target, word)
                if self._rules.deletion_cost and its_target.kind in OWNERS:
                    await self._price(key, word)
        except FAULTS as error:
            await self._tell_refusal(key, manifest, refusal(error).message)

    async def _raise(self, manifest: Manifest, its_target: Target, word: Word) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if may_act(its_target, word, self._clock()):
                    await self._raise_as_read(manifest, its_target, word)
            except FAULTS as error:
                if refusal(error).status != CONFLICT or attempt == ATTEMPTS:
                    raise
            else:
                return

    async def _raise_as_read(self, manifest: Manifest, its_target: Target, word: Word) -> None:
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        address = (its_target.api_version, its_target.kind, namespace, its_target.name)
        scale = await self._kube.scale(*address)
        if scale is None:
            kind = f"{its_target.kind}/{its_target.name}"
            await self._tell_refusal((namespace, name), manifest, f"{kind} has no scale")
            return
        current = (scale.get("spec") or {}).get("replicas") or 0
        count = raised(its_target, word, current, self._clock())
        if count is None:
            return
        version = scale["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "spec": {"replicas": count}}
        await self._kube.patch(_of(*address), patch, subresource="scale")
        now_s = self._clock()
        self._refused.pop((namespace, name), None)
        self._rules.on_raised(namespace, name, max(0.0, now_s - word.at_s))
        message = (
            f"scaled {its_target.kind}/{its_target.name} from {current} to {count} ahead of the "
            f"HPA: {word.reason}: {word.detail}"
        )
        await tell(self._kube, manifest, Event(reason="FastScaled", message=message), now_s=now_s)

    async def _price(self, key: Key, word: Word) -> None:
        """Write what pods have in flight where it has moved."""
        written = self._written.get(key, {})
        now_s = self._clock()
        costs = due(word.in_flight, written, now_s)
        self._written[key] = {pod: one for pod, one in written.items() if pod in word.in_flight}
        for pod, cost in costs.items():
            note = {"metadata": {"annotations": {ANNOTATION: str(cost)}}}
            try:
                await self._kube.patch(_of("v1", "Pod", key[0], pod), note)
            except FAULTS as error:
                if refusal(error).status != GONE:
                    raise
            self._written[key][pod] = Written(cost=cost, at_s=now_s)

    async def _tell_refusal(self, key: Key, manifest: Manifest, message: str) -> None:
        fields = {"scaledobject": "/".join(key), "why": message}
        logger.warning("could not act ahead of the HPA", extra={"fields": fields})
        if self._refused.get(key) == message:
            return
        self._refused[key] = message
        refused = Event(reason="FastPathRefused", message=message, warning=True)
        await tell(self._kube, manifest, refused, now_s=self._clock())


def _of(api_version: str, kind: str, namespace: str, name: str) -> Manifest:
    """Return as much of an object as a patch needs to find it."""
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
