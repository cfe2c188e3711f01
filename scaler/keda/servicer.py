"""
The RPCs: look up, answer.

KEDA's contract. Whatever goes wrong becomes a gRPC status, in one table; KEDA then keeps what is. A
number is never sent in place of an error: KEDA reads NaN, infinity and negatives as 0, which means
"scale to the floor".
"""

import asyncio
import contextlib
import dataclasses
import logging
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar, cast

import grpc

from scaler.errors import (
    ConfigurationError,
    FaultError,
    KvtideError,
    NoDataError,
    NotServedError,
    TooManyObjectsError,
    TooManyStreamsError,
    UnknownMetricError,
)
from scaler.serving.board import Board
from scaler.telemetry.process import Telemetry
from scaler.tracing import failed

from ._pb import externalscaler_pb2 as keda
from ._pb.externalscaler_pb2_grpc import ExternalScalerServicer
from .streams import OpenStreams

Context = grpc.aio.ServicerContext[Any, Any]
Response = TypeVar("Response")

logger = logging.getLogger("kvtide.rpc")

METRIC = "desired-replicas"
_SERVICE = keda.DESCRIPTOR.services_by_name["ExternalScaler"].full_name

SPEC = keda.GetMetricSpecResponse(
    metricSpecs=[keda.MetricSpec(metricName=METRIC, targetSize=1, targetSizeFloat=1.0)]
)
"""With target 1 and type AverageValue the HPA's ceil(value / 1) is our number, exactly."""

STATUS: dict[type[KvtideError], grpc.StatusCode] = {
    ConfigurationError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownMetricError: grpc.StatusCode.NOT_FOUND,
    NotServedError: grpc.StatusCode.NOT_FOUND,
    TooManyObjectsError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TooManyStreamsError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    NoDataError: grpc.StatusCode.UNAVAILABLE,  # a SourceError is one
    FaultError: grpc.StatusCode.INTERNAL,
}

LONGEST_MESSAGE = 2000
"""Characters: a status travels in a header, percent-encoded, and headers end at 8 KiB."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamLife:
    """
    Seconds after which a stream ends itself with OK, drawn between the two.

    KEDA's redial ladder (2 s to 60 s) starts anew only after a clean end, and connections can move
    to another replica only when their streams end. The jitter keeps a thousand from ending at once.
    """

    shortest_s: float = 600.0
    longest_s: float = 900.0


def status(error: Exception) -> tuple[grpc.StatusCode, str]:
    """Return the code and the message that a client gets for ``error``."""
    code = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    message = str(error)
    if code is None:
        logger.error("an RPC failed", exc_info=error)
        code, message = grpc.StatusCode.INTERNAL, str(FaultError(error))
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[:LONGEST_MESSAGE]}… ({len(message)} characters in all)"
    return code, message


def end_with(context: Context, code: grpc.StatusCode, message: str) -> None:
    """
    End a call with a status once its handler returns.

    ``abort`` raises an error that the call itself keeps, and with it the request: hundreds of
    kilobytes that lie there until somebody looks for cycles.
    """
    context.set_code(code)
    context.set_details(message)


class ExternalScaler(ExternalScalerServicer):
    """KEDA's external and external-push scaler."""

    def __init__(
        self,
        board: Board,
        telemetry: Telemetry,
        *,
        rng: random.Random,
        life: StreamLife,
        streams: OpenStreams,
    ) -> None:
        self._board = board
        self._streams = streams
        self._telemetry = telemetry
        self._rng = rng
        self._life = life
        self._drained = asyncio.Event()

    def drain(self) -> None:
        """End every stream with OK."""
        self._drained.set()
        self._board.drain()

    async def GetMetricSpec(
        self, request: keda.ScaledObjectRef, context: Context
    ) -> keda.GetMetricSpecResponse:
        """
        Return the constant spec, whatever the metadata.

        An error here would reach the user as an empty message, and KEDA's fallback counts only
        failures of GetMetrics.
        """
        self._measure("GetMetricSpec", grpc.StatusCode.OK, asyncio.get_running_loop().time())
        return SPEC

    async def StreamMetricSpec(
        self, request: keda.ScaledObjectRef, context: Context
    ) -> AsyncIterator[keda.GetMetricSpecResponse]:
        """Send the constant spec once; it never changes, and an empty update would freeze KEDA."""
        try:
            with self._streams.one(request.namespace, request.name):
                yield SPEC
                async with asyncio.timeout(self._draw_life_s()):
                    await self._drained.wait()
        except TimeoutError:
            return
        except KvtideError as error:
            end_with(context, *status(error))

    async def GetMetrics(
        self, request: keda.GetMetricsRequest, context: Context
    ) -> keda.GetMetricsResponse:
        """Return the count as exactly one value: KEDA adds up what it gets."""
        return await self._answer(
            "GetMetrics", request.scaledObjectRef, context, lambda: self._metrics(request)
        )

    async def IsActive(
        self, request: keda.ScaledObjectRef, context: Context
    ) -> keda.IsActiveResponse:
        """Return whether more than zero is wanted, from the evaluation GetMetrics gave."""
        return await self._answer("IsActive", request, context, lambda: self._activity(request))

    async def StreamIsActive(
        self, request: keda.ScaledObjectRef, context: Context
    ) -> AsyncIterator[keda.IsActiveResponse]:
        """
        Send the current state, then its edges; silence and errors are no edges.

        A repeated ``true`` would delay KEDA's scale to zero.
        """
        try:
            with self._streams.one(request.namespace, request.name):
                edges = self._edges(request)
                async with contextlib.aclosing(edges):
                    async for active in edges:
                        yield keda.IsActiveResponse(result=active)
        except KvtideError as error:
            end_with(context, *status(error))

    async def _edges(self, request: keda.ScaledObjectRef) -> AsyncGenerator[bool, None]:
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + self._draw_life_s()
        active = (await self._board.latest(*_ref(request))).answer.active
        with self._board.follow(request.namespace, request.name) as follower:
            yield active
            while (changed := await follower.next(ends_s - loop.time())) is not None:
                if changed.answers and changed.answer.active is not active:
                    active = changed.answer.active
                    yield active

    async def _metrics(self, request: keda.GetMetricsRequest) -> keda.GetMetricsResponse:
        if request.metricName != METRIC:
            raise UnknownMetricError(f"metric {request.metricName!r}: there is only {METRIC!r}")
        evaluation = await self._board.value(*_ref(request.scaledObjectRef))
        number = evaluation.answer.value or 0  # both fields stay 0 at zero
        value = keda.MetricValue(
            metricName=request.metricName,
            metricValue=math.ceil(number),
            metricValueFloat=float(number),
        )
        return keda.GetMetricsResponse(metricValues=[value])

    async def _activity(self, request: keda.ScaledObjectRef) -> keda.IsActiveResponse:
        evaluation = await self._board.activity(*_ref(request))
        return keda.IsActiveResponse(result=evaluation.answer.active)

    async def _answer(
        self,
        method: str,
        about: keda.ScaledObjectRef,
        context: Context,
        make: Callable[[], Awaitable[Response]],
    ) -> Response:
        """Answer a unary RPC, or end it with a status; measure it either way."""
        started, response = asyncio.get_running_loop().time(), None
        code, message = grpc.StatusCode.OK, ""
        with self._telemetry.span(
            f"{_SERVICE}/{method}",
            kind="SERVER",
            parent=_headers(context),
            rpc__system="grpc",
            rpc__service=_SERVICE,
            rpc__method=method,
            kvtide__object=f"{about.namespace}/{about.name}",
        ) as told:
            try:
                response = await make()
            except Exception as error:  # noqa: BLE001 -- every fault has its row in the table
                code, message = status(error)
                told.update(failed(code.name, message))
            told["rpc.grpc.status_code"] = code.value[0]
        self._measure(method, code, started)
        if response is None:
            end_with(context, code, message)
        return cast("Response", response)  # gRPC sends no message beside a status

    def _measure(self, method: str, code: grpc.StatusCode, started: float) -> None:
        seconds = asyncio.get_running_loop().time() - started
        self._telemetry.observe_rpc(method=method, code=code.name, seconds=seconds)

    def _draw_life_s(self) -> float:
        return self._rng.uniform(self._life.shortest_s, self._life.longest_s)


def _headers(context: Context) -> dict[str, str]:
    """Return the headers of a call, those that are text."""
    sent = context.invocation_metadata() or ()
    return {key: value for key, value in sent if isinstance(value, str)}


def _ref(request: keda.ScaledObjectRef) -> tuple[str, str, dict[str, str]]:
    return request.namespace, request.name, dict(request.scalerMetadata)
