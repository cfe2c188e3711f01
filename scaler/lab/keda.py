"""
KEDA and the HPA, played over real gRPC: they ask as KEDA 2.20 asks, and act as it acts.

Per object a poll loop, an HPA loop and, for ``external-push``, a stream; each asks GetMetricSpec,
then GetMetrics and IsActive, and retries a failing call once. All objects of one address share one
connection, and share their state machines with the simulator. The one difference: durations are
given, so that a fast world has a fast KEDA.

What must stay true: an error scales nothing, as in KEDA.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import grpc

from scaler.autoscaling import SYNC_PERIOD_S
from scaler.keda._pb import externalscaler_pb2 as pb
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.simulation.hpa import ExternalMetric, HorizontalPodAutoscaler
from scaler.simulation.scaled_object import (
    ScaledObject,
    ScaledObjectConfig,
    metric_value,
    target_size,
)

from .cluster_page import HpaBounds
from .world import ScaleTarget

logger = logging.getLogger("kvtide.lab.keda")

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LabObject:
    """A ScaledObject with one trigger of type ``external`` or ``external-push``."""

    namespace: str
    name: str
    metadata: Mapping[str, str]
    config: ScaledObjectConfig
    target: ScaleTarget
    push: bool = True

    @property
    def bounds(self) -> HpaBounds:
        """What KEDA's HPA for it says."""
        hpa = self.config.hpa()
        return HpaBounds(
            namespace=self.namespace,
            name=f"keda-hpa-{self.name}",
            min_replicas=hpa.min_replicas,
            max_replicas=hpa.max_replicas,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Durations that are KEDA's and the controller manager's rather than an object's."""

    sync_period_s: float = SYNC_PERIOD_S
    redial_first_s: float = 2.0
    redial_longest_s: float = 60.0
    """The ladder of a push stream that ends badly; a clean end takes it back to the first."""
    adapter_timeout_s: float = 3.0
    """Deadline of the HPA's path through KEDA's metrics adapter; the poll path has none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one round of calls came to."""

    value: float | None
    """None: a call failed."""
    target: float
    active: bool
    error: str | None = None
    spec_failed: bool = False
    """GetMetricSpec failed: KEDA does not count that for its fallback (KEDA#8056)."""


OnScale = Callable[[LabObject, int, int, str], None]
"""Told of every write of a count: the object, before, after, and who wrote it."""


def scaled(one: LabObject, before: int, after: int, who: str) -> None:
    """Log a write of a count."""
    logger.info("%s/%s: %d -> %d (%s)", one.namespace, one.name, before, after, who)


class KedaStandIn:
    """
    Plays KEDA and the HPA for some objects of one scaler.

    Attributes:
        calls: RPCs made, by method.
        errors: the latest error of each object (``namespace/name``), as KEDA's Event shows it.
    """

    def __init__(
        self,
        address: str,
        objects: tuple[LabObject, ...],
        *,
        pace: Pace | None = None,
        on_scale: OnScale = scaled,
    ) -> None:
        self.objects = objects
        self.calls: dict[str, int] = {}
        self.errors: dict[str, str] = {}
        self._pace = pace or Pace()
        self._on_scale = on_scale
        self._channel = grpc.aio.insecure_channel(
            address, options=[("grpc.lb_policy_name", "round_robin")]
        )
        self._stub = ExternalScalerStub(self._channel)  # type: ignore[no-untyped-call]

    async def run(self) -> None:
        """Poll, sync and listen until cancelled."""
        async with asyncio.TaskGroup() as group:
            for one in self.objects:
                state = ScaledObject(one.config, created_s=_now())
                group.create_task(self._poll(one, state))
                group.create_task(self._sync(one, state))
                if one.push:
                    group.create_task(self._listen(one, state))

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close(None)

    # The three loops

    async def _poll(self, one: LabObject, state: ScaledObject) -> None:
        while True:
            began_s = _now()
            answer = await self._ask(one, timeout_s=None)
            self._count_for_fallback(state, answer)
            self._scale(
                one,
                "KEDA's poll",
                state.poll(
                    now_s=_now(),
                    replicas=one.target.spec(),
                    active=answer.active or state.falls_back,
                    error=answer.error is not None and not state.falls_back,
                ),
            )
            await asyncio.sleep(max(0.0, began_s + one.config.polling_interval_s - _now()))

    async def _sync(self, one: LabObject, state: ScaledObject) -> None:
        period_s = self._pace.sync_period_s
        hpa = HorizontalPodAutoscaler(one.config.hpa(sync_period_s=period_s))
        while True:
            began_s = _now()
            if one.target.spec() > 0:  # at zero the HPA is off and asks nothing
                answer = await self._ask(one, timeout_s=self._pace.adapter_timeout_s)
                value = self._count_for_fallback(state, answer)
                synced = hpa.sync(
                    [ExternalMetric(value=value, target=answer.target)],
                    now_s=_now(),
                    spec_replicas=one.target.spec(),
                    status_replicas=one.target.status(),
                    ready_replicas=one.target.ready(),
                )
                self._scale(one, "HPA", synced.replicas)
            await asyncio.sleep(max(0.0, began_s + period_s - _now()))

    async def _listen(self, one: LabObject, state: ScaledObject) -> None:
        wait_s = self._pace.redial_first_s
        while True:
            self._counted("StreamIsActive")
            try:
                async for message in self._stub.StreamIsActive(_ref(one)):
                    wanted = state.push(
                        now_s=_now(), replicas=one.target.spec(), active=message.result
                    )
                    self._scale(one, "KEDA's push", wanted)
                wait_s = self._pace.redial_first_s
            except grpc.aio.AioRpcError as error:
                logger.debug("%s: the push stream broke: %s", one.name, error.details())
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._pace.redial_longest_s)

    def _scale(self, one: LabObject, who: str, replicas: int | None) -> None:
        before = one.target.spec()
        if replicas is not None and replicas != before:
            one.target.scale(replicas)
            self._on_scale(one, before, replicas, who)

    # One round of calls

    async def _ask(self, one: LabObject, *, timeout_s: float | None) -> Answer:
        """Ask what KEDA asks, in its order; any failing call is the whole round's error."""
        ref, key = _ref(one), f"{one.namespace}/{one.name}"
        spec_failed = True
        try:
            async with asyncio.timeout(timeout_s):
                specs = await self._call("GetMetricSpec", self._stub.GetMetricSpec, ref)
                spec = specs.metricSpecs[0]
                spec_failed = False
                wanted = pb.GetMetricsRequest(scaledObjectRef=ref, metricName=spec.metricName)
                metrics = await self._call("GetMetrics", self._stub.GetMetrics, wanted)
                active = await self._call("IsActive", self._stub.IsActive, ref)
        except (grpc.aio.AioRpcError, TimeoutError, IndexError) as error:
            text = error.details() if isinstance(error, grpc.aio.AioRpcError) else None
            self.errors[key] = text or repr(error)
            return Answer(
                value=None,
                target=1.0,
                active=False,
                error=self.errors[key],
                spec_failed=spec_failed,
            )
        self.errors.pop(key, None)
        return Answer(
            # KEDA renames every value to the metric it asked for, and the HPA adds them up.
            value=sum(
                metric_value(v.metricValue, v.metricValueFloat) for v in metrics.metricValues
            ),
            target=target_size(spec.targetSize, spec.targetSizeFloat),
            active=active.result,
        )

    async def _call(
        self, name: str, method: Callable[[Request], Awaitable[Response]], request: Request
    ) -> Response:
        """Call, and once more if that fails: KEDA rebuilds its scaler and tries again."""
        self._counted(name)
        try:
            return await method(request)
        except grpc.aio.AioRpcError:
            self._counted(name)
            return await method(request)

    def _counted(self, method: str) -> None:
        self.calls[method] = self.calls.get(method, 0) + 1

    def _count_for_fallback(self, state: ScaledObject, answer: Answer) -> float | None:
        if answer.spec_failed:
            return None
        return state.metric(answer.value, target=answer.target)


def _ref(one: LabObject) -> pb.ScaledObjectRef:
    return pb.ScaledObjectRef(
        name=one.name, namespace=one.namespace, scalerMetadata=dict(one.metadata)
    )


def _now() -> float:
    """Return monotonic seconds: KEDA's durations are its own, not the simulation's."""
    return asyncio.get_running_loop().time()
