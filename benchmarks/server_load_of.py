"""
The server that :mod:`.server_load` asks: a whole process, with readings that are made up.

It is run as a file, on whatever ``scaler`` the path has first, so that another checkout answers the
same calls; what an older one lacks is left out. Prints its gRPC port, and serves until stdin ends.
``bare`` in place of an interval: gRPC alone, a constant for every call.
"""

import asyncio
import contextlib
import functools
import importlib
import math
import sys
from collections.abc import Iterator
from typing import Any

import grpc

from scaler.decision.pool import Node
from scaler.decision.sample import Replica, Sample
from scaler.decision.window import Lengths, Window
from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb import externalscaler_pb2_grpc as stubs
from scaler.settings import settings
from scaler.wiring.serving import serving


def found(*names: str) -> Any:  # noqa: ANN401 -- whatever a checkout has there
    """Return the first of some names that this checkout has; None: it has none of them."""
    for module, _, name in (one.rpartition(".") for one in names):
        with contextlib.suppress(ImportError, AttributeError):
            return getattr(importlib.import_module(module), name)
    return None


CONFIGURATION = found(
    "scaler.configuration.Configuration", "scaler.sources.configuration.Configuration"
)
PARSE = found(
    "scaler.documents.trigger.parse_trigger", "scaler.sources.documents.trigger.parse_trigger"
)
HISTOGRAM = found("scaler.capacity.histogram.Histogram", "scaler.decision.window.Histogram")
UNITS = found("scaler.decision.pool.Units")
RECORD = found("scaler.decision.facts.record.Record")
"""None: a checkout that keeps what it worked out with the samples."""
KEPT = found("scaler.decision.window.Kept")
PERIOD = 40.0
"""Buckets of a wave over two pi."""
SERVICE_S, PROMPT, OUTPUT, STEP_S = 12.0, 900.0, 200.0, 0.03


class MovingSource:
    """
    Two replicas per workload whose load moves: counters, latencies, a gateway, token histograms.

    Replicas are made once and shared, as a source shares what has not changed; samples and columns
    are each workload's own.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._replicas: dict[int, tuple[Replica, ...]] = {}
        self._finished: dict[int, float] = {}
        self._kept: dict[Any, Any] = {}
        counts = HISTOGRAM(upper=(500.0, 2000.0, math.inf), counts=(60.0, 39.0, 1.0))
        self._lengths = Lengths(prompt_tokens=counts, output_tokens=counts)

    @property
    def is_complete(self) -> bool:
        return True

    @property
    def refused(self) -> int:
        return 0

    @property
    def asked_apart(self) -> int:
        return 0

    async def refresh(self, *_: object, **__: object) -> None:
        """Read nothing: samples are a function of the time."""

    def assembling(self, *_: object) -> Iterator[None]:
        return iter(())

    def window(self, workload: object, lookback_s: float, now_s: float, **_: object) -> Window:
        newest = math.floor(now_s / self._interval_s)
        first = newest - math.ceil(lookback_s / self._interval_s) + 1
        if RECORD is None:
            return self._older(workload, first, newest)
        record = self._kept.get(workload)
        if record is None:
            record = self._kept[workload] = _record()
        done = round(record.samples[-1].at_s / self._interval_s) if record.samples else first - 1
        for number in range(max(first, done + 1), newest + 1):
            record.add(self._sample(number))
        record.take_before(first * self._interval_s)
        fine = record.until(math.inf)
        return self._window(fine.samples, kept=KEPT(fine, RECORD().until(0.0)))

    def _older(self, workload: object, first: int, newest: int) -> Window:
        kept = self._kept.setdefault(workload, [])
        done = round(kept[-1].at_s / self._interval_s) if kept else first - 1
        kept += [self._sample(number) for number in range(max(first, done + 1), newest + 1)]
        del kept[: max(0, len(kept) - (newest - first + 1))]
        return self._window(tuple(kept))

    def _window(self, samples: tuple[Sample, ...], **more: Any) -> Window:  # noqa: ANN401
        return Window(
            samples=samples,
            interval_s=self._interval_s,
            startup_s=(55.0, 70.0, 62.0),
            lengths=self._lengths,
            **more,
        )

    def nodes(self, *_: object) -> tuple[Node, ...]:
        return ()

    def units(self, *_: object) -> Any:  # noqa: ANN401
        return UNITS(per_replica=1)

    def _sample(self, number: int) -> Sample:
        if number not in self._replicas:
            self._replicas[number] = self._made(number)
        running = sum(one.requests_running or 0.0 for one in self._replicas[number])
        return Sample(
            at_s=number * self._interval_s,
            replicas=self._replicas[number],
            ready_replicas=2,
            spec_replicas=2,
            loading_replicas=0,
            gateway_in_flight=running + number % 3,
            targets_up=2,
        )

    def _made(self, number: int) -> tuple[Replica, ...]:
        running = round(8 + 6 * math.sin(number / PERIOD))
        # What a wave of so many running requests has completed since the epoch.
        wave = 8 * number - 6 * PERIOD * math.cos(number / PERIOD)
        done = float(round(self._interval_s / SERVICE_S * wave))
        steps = float(round(number * self._interval_s / (STEP_S * (1 + running / 100))))
        return tuple(
            Replica(
                name=f"llm-{replica}",
                requests_running=float(running),
                requests_waiting=float(number % 2),
                kv_cache_usage=0.02 + 0.03 * running,
                kv_blocks=20_000.0,
                kv_block_tokens=16.0,
                steps_total=steps,
                prompt_tokens_total=done * PROMPT,
                generation_tokens_total=done * OUTPUT,
                requests_finished_total=done,
                itl_sum_s=done * OUTPUT * STEP_S,
                itl_count=done * OUTPUT,
                ttft_sum_s=done * 0.2,
                ttft_count=done,
            )
            for replica in range(2)
        )


def _record() -> Any:  # noqa: ANN401
    """Return what a source keeps a workload's samples in."""
    try:
        return RECORD(packs=True)
    except TypeError:  # a checkout that packs nothing
        return RECORD()


class Bare(stubs.ExternalScalerServicer):
    """A constant, as fast as grpc.aio gives it."""

    async def GetMetricSpec(self, request: object, context: object) -> object:  # noqa: ARG002, N802
        return keda.GetMetricSpecResponse(
            metricSpecs=[keda.MetricSpec(metricName="desired-replicas", targetSizeFloat=1.0)]
        )

    async def GetMetrics(self, request: object, context: object) -> object:  # noqa: ARG002, N802
        value = keda.MetricValue(metricName="desired-replicas", metricValueFloat=2.0)
        return keda.GetMetricsResponse(metricValues=[value])

    async def IsActive(self, request: object, context: object) -> object:  # noqa: ARG002, N802
        return keda.IsActiveResponse(result=True)


async def serve_bare() -> None:
    server = grpc.aio.server()
    stubs.add_ExternalScalerServicer_to_server(Bare(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


async def serve(interval_s: float) -> None:
    made = settings(
        flags={
            "grpc_address": "127.0.0.1:0",
            "http_address": "127.0.0.1:0",
            "log_level": "error",
        },
        file={"drainDelay": "0s"},
    )
    parse = functools.partial(PARSE, configuration=CONFIGURATION())
    source: Any = MovingSource(interval_s)
    async with serving(made, source=source, parse=parse) as served:
        print(served.grpc_port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve_bare() if sys.argv[1] == "bare" else serve(float(sys.argv[1])))
