"""A whole process: the real decision behind real gRPC and HTTP, and how it ends."""

import dataclasses
import functools

import aiohttp
import grpc
import pytest

from scaler.configuration import Configuration, Pool
from scaler.documents.trigger import parse_trigger
from scaler.errors import ConfigurationError
from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.settings import settings
from scaler.wiring.serving import serving
from tests.builders import steady
from tests.fakes.fake_source import FakeSource

NOW_S = 10_000.0
SETTINGS = settings(
    flags={"grpc_address": "127.0.0.1:0", "http_address": "127.0.0.1:0"},
    file={"tick": "1m", "drainDelay": "0s"},
)
CHAT = {"scalerAddress": "kvtide:6000", "metrics": "concurrency", "maxConcurrency": "10"}
TRAIN = {"scalerAddress": "kvtide:6000", "role": "training", "pool": "gpus"}
CONFIGURATION = Configuration(pools={"gpus": Pool(units=8, workloads=("llm/chat",))})


PARSE = functools.partial(parse_trigger, configuration=CONFIGURATION)


def running(source: FakeSource):
    """Serve over ``source`` with the real parser and the real decision."""
    return serving(SETTINGS, source=source, parse=PARSE, clock=lambda: NOW_S)


def ref(name: str, metadata: dict[str, str]) -> keda.ScaledObjectRef:
    return keda.ScaledObjectRef(namespace="llm", name=name, scalerMetadata=metadata)


async def count(stub: ExternalScalerStub, asked: keda.ScaledObjectRef) -> float:
    request = keda.GetMetricsRequest(scaledObjectRef=asked, metricName="desired-replicas")
    (value,) = (await stub.GetMetrics(request)).metricValues
    return float(value.metricValueFloat)


@pytest.fixture
def source() -> FakeSource:
    """Return two replicas that run fourteen requests, seven each, and have done so for an hour."""
    made = FakeSource()
    made.windows["llm/chat"] = steady(3600, running=14, replicas=2, end_s=NOW_S)
    return made


async def test_the_decision_and_its_reasons_come_out_at_every_door(source):
    async with (
        running(source) as made,
        grpc.aio.insecure_channel(f"127.0.0.1:{made.grpc_port}") as channel,
    ):
        stub = ExternalScalerStub(channel)
        assert await count(stub, ref("chat", CHAT)) == 2
        with pytest.raises(grpc.aio.AioRpcError, match="maxConcurency"):
            await count(stub, ref("typo", {"maxConcurency": "10"}))

        async with aiohttp.ClientSession(f"http://127.0.0.1:{made.http_port}") as http:
            async with http.get("/readyz") as response:
                assert response.status == 200
            async with http.get("/api/decisions/llm/chat") as response:
                document = await response.json()
            async with http.get("/metrics") as response:
                metrics = await response.text()
            async with http.get("/") as response:
                page = await response.text()
    assert document["decision"]["replicas"] == 2
    assert 'kvtide_desired_replicas{namespace="llm",reason="Demand",role="inference"' in metrics
    assert 'kvtide_held{namespace="llm",reason="WrongMetadata",role="unknown"' in metrics
    assert "llm/chat" in page


async def test_no_call_about_a_held_workload_with_replicas_says_inactive(source):
    heard = source.windows["llm/chat"]
    asked = ref("chat", CHAT)
    async with (
        running(source) as made,
        grpc.aio.insecure_channel(f"127.0.0.1:{made.grpc_port}") as channel,
    ):
        stub = ExternalScalerStub(channel)
        assert await count(stub, asked) == 2
        assert (await stub.IsActive(asked)).result
        stream = stub.StreamIsActive(asked)
        edges = [(await anext(aiter(stream))).result]
        for silent_s in range(5, 200, 15):
            source.windows["llm/chat"] = dataclasses.replace(heard, silent_s=float(silent_s))
            await made.board.tick()
            if silent_s <= 120:
                assert await count(stub, asked) == 2
                assert (await stub.IsActive(asked)).result
                (told,) = made.board.observations()
                assert told.reason == "Held"
                assert f"readings of {silent_s} s ago" in told.detail
                assert told.newest_s == heard.now_s
                continue
            for call in (count(stub, asked), stub.IsActive(asked)):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        source.windows["llm/chat"] = dataclasses.replace(heard, silent_s=0.0)
        await made.board.tick()
        assert await count(stub, asked) == 2
        made.board.drain()
        edges += [more.result async for more in stream]
    assert edges == [True]


async def test_training_is_lent_nothing_while_its_pool_was_not_heard_of(source):
    async with (
        running(source) as made,
        grpc.aio.insecure_channel(f"127.0.0.1:{made.grpc_port}") as channel,
    ):
        stub = ExternalScalerStub(channel)
        with pytest.raises(grpc.aio.AioRpcError, match="MemberUnknown"):
            await count(stub, ref("train", TRAIN))


async def test_a_taken_http_port_is_named(source):
    async with running(source) as made:
        taken = SETTINGS.model_copy(update={"http_address": f"127.0.0.1:{made.http_port}"})
        with pytest.raises(ConfigurationError, match="http_address: port [0-9]+ is in use"):
            async with serving(taken, source=source, parse=PARSE, clock=lambda: NOW_S):
                pass
