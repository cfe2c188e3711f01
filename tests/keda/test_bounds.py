"""What clients may hold: streams and connections have a bound, and polls go on beneath it."""

import asyncio
import contextlib
import dataclasses
import gc
import struct

import grpc
import pytest

from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.telemetry.process import Telemetry
from tests.keda.conftest import OPTIONS, ref, refused, serve

MANY = 10_000
NAMES = [f"llm-{number}" for number in range(200)]


def shown(telemetry: Telemetry, name: str) -> float:
    value = telemetry.registry.get_sample_value(name)
    assert value is not None
    return value


@contextlib.asynccontextmanager
async def another(port: int):
    """Yield a channel with a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield channel


async def test_one_stream_too_many_is_refused_and_polls_go_on():
    async with serve(options=dataclasses.replace(OPTIONS, most_streams=2)) as bench:
        bench.runs("prod/llm", 2)
        first, second = bench.scaler.StreamIsActive(ref()), bench.scaler.StreamMetricSpec(ref())
        await anext(aiter(first))
        await anext(aiter(second))
        assert shown(bench.telemetry, "kvtide_open_streams") == 2
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "2 streams are open"):
            await anext(aiter(bench.scaler.StreamIsActive(ref())))
        assert await bench.count(ref()) == 2
        second.cancel()
        async with asyncio.timeout(10):
            while shown(bench.telemetry, "kvtide_open_streams") > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await anext(aiter(bench.scaler.StreamIsActive(ref())))).result is True


async def test_streams_about_one_object_take_no_place_of_another():
    async with serve(options=dataclasses.replace(OPTIONS, most_streams_of_one=1)) as bench:
        bench.runs("prod/llm", 2)
        bench.runs("prod/other", 2)
        first = bench.scaler.StreamIsActive(ref())
        await anext(aiter(first))
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "1 streams about prod/llm are open"):
            await anext(aiter(bench.scaler.StreamIsActive(ref())))
        assert (await anext(aiter(bench.scaler.StreamIsActive(ref("other"))))).result
        first.cancel()
        async with asyncio.timeout(10):
            while shown(bench.telemetry, "kvtide_open_streams") > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await anext(aiter(bench.scaler.StreamIsActive(ref())))).result


async def test_ten_thousand_streams_are_served_and_leave_nothing_behind():
    async with serve() as bench:
        for name in NAMES:
            bench.runs(f"prod/{name}", 2)
        bench.runs("prod/llm", 2)
        before = len(asyncio.all_tasks())
        async with another(bench.port) as channel:
            stub = ExternalScalerStub(channel)
            streams = list[grpc.aio.UnaryStreamCall[object, object]]()
            while len(streams) < MANY:  # those who wait to be begun on have a bound as well
                more = [stub.StreamIsActive(ref(name)) for name in NAMES]
                firsts = await asyncio.gather(*(anext(aiter(one)) for one in more))
                assert all(one.result for one in firsts)
                streams += more
            assert shown(bench.telemetry, "kvtide_open_streams") == MANY
            assert await bench.count(ref()) == 2
        async with asyncio.timeout(30):
            while shown(bench.telemetry, "kvtide_open_streams"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            del streams
            gc.collect()
            while len(asyncio.all_tasks()) > before + 5:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    """Return a frame of HTTP/2 (RFC 9113, 4.1)."""
    return (
        struct.pack(">I", len(body))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + body
    )


def literal(name: str, text: str) -> bytes:
    """Return a header as HPACK has it without any table (RFC 7541, 6.2.2)."""
    return b"\0" + b"".join(bytes((len(one),)) + one.encode() for one in (name, text))


def stream_of_activity(number: int) -> bytes:
    """Return the frames that open StreamIsActive for prod/llm."""
    path = "/externalscaler.ExternalScaler/StreamIsActive"
    headers = ((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"))
    rest = (("content-type", "application/grpc"), ("te", "trailers"))
    asked = ref().SerializeToString()
    message = b"\0" + struct.pack(">I", len(asked)) + asked
    opened = b"".join(literal(*one) for one in (*headers, *rest))
    return frame(1, 4, number, opened) + frame(0, 1, number, message)


async def test_a_client_that_never_reads_is_cut_and_its_streams_with_it():
    options = dataclasses.replace(OPTIONS, keepalive_s=1.0, keepalive_grace_s=1.0)
    async with serve(options=options) as bench:
        bench.runs("prod/llm", 2)
        assert await bench.count(ref()) == 2
        no_window = frame(4, 0, 0, struct.pack(">HI", 4, 0))  # it will not take a byte of an answer
        asked = b"".join(stream_of_activity(2 * number + 1) for number in range(50))
        _, writer = await asyncio.open_connection("127.0.0.1", bench.port)
        reading = writer.transport
        assert isinstance(reading, asyncio.Transport)
        reading.pause_reading()
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + no_window + asked)
        async with asyncio.timeout(60):
            while shown(bench.telemetry, "kvtide_open_streams") < 50:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            assert await bench.count(ref()) == 2
            while shown(bench.telemetry, "kvtide_open_streams"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        writer.close()


async def test_one_connection_too_many_is_refused_until_another_one_ends():
    async with serve(options=dataclasses.replace(OPTIONS, most_connections=3)) as bench:
        bench.runs("prod/llm", 2)
        async with contextlib.AsyncExitStack() as held:
            for _ in range(3):
                channel = await held.enter_async_context(another(bench.port))
                await ExternalScalerStub(channel).GetMetricSpec(ref())
            async with another(bench.port) as one_more:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await ExternalScalerStub(one_more).GetMetricSpec(ref(), timeout=5)
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        async with another(bench.port) as one_more:
            spec = ExternalScalerStub(one_more).GetMetricSpec(
                ref(), timeout=30, wait_for_ready=True
            )
            assert (await spec).metricSpecs


async def test_a_message_too_large_or_headers_without_end_are_refused_and_polls_go_on():
    async with serve() as bench:
        bench.runs("prod/llm", 2)
        large = ref()
        large.scalerMetadata["padding"] = "x" * 4_194_304
        async with another(bench.port) as channel:
            stub = ExternalScalerStub(channel)
            with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"):
                await stub.IsActive(large)
            headers = [(f"key-{number}", "x" * 100) for number in range(1_000)]
            with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "metadata"):
                await stub.IsActive(ref(), metadata=headers)
            assert (await stub.IsActive(ref())).result
        assert await bench.count(ref()) == 2
