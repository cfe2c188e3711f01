"""Traces of a real server, as a real receiver of OTLP takes them, over HTTP and over gRPC."""

import asyncio
import contextlib
import importlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from aiohttp import web

from scaler.errors import ConfigurationError
from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.tracing import NO_TRACER, tracer
from tests.fakes.fake_prometheus import fake_prometheus
from tests.test_serve_command import CHAT, METADATA, minutes_of, started

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PASSWORD, KEY = "pwd-Wn3fT6", "key-Zb8Rq1"
RPC = "externalscaler.ExternalScaler/GetMetrics"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


def opentelemetry(name: str) -> Any:
    """Return a module of OpenTelemetry's; without it skip the test, or fail it where CI is set."""
    if os.environ.get("CI"):
        return importlib.import_module(name)
    return pytest.importorskip(name, reason="the extra otel is not installed: make setup")


class Receiver:
    """What was received, and as whom."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.keys: set[str] = set()

    def take(self, body: bytes, key: str) -> None:
        self.bodies.append(body)
        self.keys.add(key)

    @property
    def resources(self) -> list[Any]:
        service = opentelemetry("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
        return [
            one
            for body in self.bodies
            for one in service.ExportTraceServiceRequest.FromString(body).resource_spans
        ]

    def spans(self, name: str) -> list[Any]:
        return [
            span
            for resource in self.resources
            for scope in resource.scope_spans
            for span in scope.spans
            if span.name == name
        ]


def said(span: Any) -> dict[str, Any]:
    """Return the attributes of a span or of a resource."""
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value") or "") for one in span.attributes
    }


@contextlib.asynccontextmanager
async def over_http() -> AsyncIterator[tuple[str, Receiver]]:
    received = Receiver()

    async def traces(request: web.Request) -> web.Response:
        received.take(await request.read(), request.headers["x-key"])
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/traces", traces)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", received
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def over_grpc() -> AsyncIterator[tuple[str, Receiver]]:
    received = Receiver()

    async def export(request: bytes, context: Any) -> bytes:
        received.take(request, dict(context.invocation_metadata())["x-key"])
        return b""

    server = grpc.aio.server()
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    handler = grpc.unary_unary_rpc_method_handler(export)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {"Export": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}", received
    finally:
        await server.stop(None)


@pytest.mark.parametrize(("protocol", "receiver"), [(None, over_http), ("grpc", over_grpc)])
async def test_rounds_queries_and_rpcs_are_spans_without_a_secret(
    tmp_path, monkeypatch, protocol, receiver
):
    opentelemetry("opentelemetry.sdk.trace")
    async with fake_prometheus() as fake, receiver() as (address, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={KEY}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        if protocol is not None:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        minutes_of(fake, running=14)
        url = fake.url.replace("://", f"://me:{PASSWORD}@")
        async with started(tmp_path, url) as server:
            fields = await server.line("serving")
            await ask(int(str(fields["grpc"])))
            server.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(server.process.wait(), 30) == 0

    reads, queries = received.spans("read"), received.spans("query")
    by_kind = {said(span).get("error.type"): span for span in received.spans(RPC)}
    good, refused = by_kind[None], by_kind["INVALID_ARGUMENT"]
    assert {span.parent_span_id for span in queries} <= {span.span_id for span in reads}
    assert {said(span)["server.address"] for span in queries} == {"127.0.0.1"}
    assert "vllm:num_requests_running" in str([said(span)["db.query.text"] for span in queries])
    assert received.spans("decide")
    assert (good.trace_id.hex(), good.parent_span_id.hex()) == (TRACE, SPAN)
    assert said(good)["kvtide.object"] == "serve/chat"
    assert said(good)["rpc.grpc.status_code"] == 0
    assert "workload" in refused.status.message
    assert {said(one.resource)["service.name"] for one in received.resources} == {"kvtide"}
    assert received.keys == {KEY}
    everything = b"".join(received.bodies).decode("utf-8", "replace")
    assert PASSWORD not in everything + json.dumps(server.lines)
    assert KEY not in everything + json.dumps(server.lines)


async def ask(port: int) -> None:
    """Ask once as somebody who traces, and once with metadata that are wrong."""
    wrong = keda.ScaledObjectRef(
        namespace="serve", name="typo", scalerMetadata={**METADATA, "workload": "Nothing"}
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = ExternalScalerStub(channel)
        parent = (("traceparent", f"00-{TRACE}-{SPAN}-01"),)
        request = keda.GetMetricsRequest(scaledObjectRef=CHAT, metricName="desired-replicas")
        for _ in range(100):
            if await stub.GetMetrics(request, metadata=parent).code() is grpc.StatusCode.OK:
                break
            await asyncio.sleep(0.5)  # the first read of a busy machine
        request = keda.GetMetricsRequest(scaledObjectRef=wrong, metricName="desired-replicas")
        with pytest.raises(grpc.aio.AioRpcError, match="workload"):
            await stub.GetMetrics(request)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "true"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": ""},
        {"OTEL_SERVICE_NAME": "kvtide"},
    ],
)
def test_nothing_is_traced_unless_it_is_asked_for(environment):
    assert tracer(environment, "1") is NO_TRACER


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "zipkin"},
            "OTEL_TRACES_EXPORTER: got zipkin; allowed: otlp, console or none",
        ),
        (
            {**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_PROTOCOL: got http/json; allowed: http/protobuf or grpc",
        ),
    ],
)
def test_a_wrong_variable_is_named(environment, says):
    opentelemetry("opentelemetry.sdk.trace")
    with pytest.raises(ConfigurationError) as caught:
        tracer(environment, "1")
    assert says in str(caught.value)


def test_without_the_extra_the_error_says_how_to_have_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match="pip install 'kvtide\\[otel\\]'"):
        tracer(ENDPOINT, "1")
