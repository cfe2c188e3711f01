"""Streams: the current state at once, then what changes, and a clean end."""

import asyncio
import dataclasses
from typing import Any

import grpc
import pytest

from scaler.errors import NoDataError
from scaler.keda._pb import kvtide_pb2 as kvtide
from scaler.keda.server import ServerOptions
from scaler.keda.servicer import StreamLife
from tests.builders import replica, sample_of, window
from tests.keda.conftest import METRIC, OPTIONS, ref, refused, serve

TRAINING = {"role": "training", "pool": "prod/llm"}


def brief() -> ServerOptions:
    """Streams end themselves after a twentieth of a second."""
    life = StreamLife(shortest_s=0.05, longest_s=0.06)
    return dataclasses.replace(OPTIONS, life=life)


async def received(stream, count: int) -> list[Any]:
    return [await anext(stream) for _ in range(count)]


async def test_activity_is_pushed_at_once_and_then_only_as_it_changes(bench):
    bench.runs("prod/llm", 2)
    stream = aiter(bench.scaler.StreamIsActive(ref()))
    assert (await anext(stream)).result is True
    for running in (5, 1, 0, 0, 3):
        bench.runs("prod/llm", running)
        await bench.tick()
        await asyncio.sleep(0.02)  # each edge is sent before the next tick
    assert [one.result for one in await received(stream, 2)] == [False, True]


async def test_silence_and_holding_are_no_edges(bench):
    bench.runs("prod/llm", 2)
    stream = aiter(bench.scaler.StreamIsActive(ref()))
    assert (await anext(stream)).result is True
    bench.source.windows["prod/llm"] = NoDataError("gone")
    await bench.tick()
    bench.runs("prod/llm", -1)
    await bench.tick()
    bench.runs("prod/llm", 2)
    await bench.tick()
    bench.runs("prod/llm", 0)
    await bench.tick()
    assert (await anext(stream)).result is False


async def test_a_stream_ends_itself_cleanly():
    async with serve(options=brief()) as bench:
        bench.runs("prod/llm", 2)
        call = bench.scaler.StreamIsActive(ref())
        assert [one.result async for one in call] == [True]
        assert await call.code() is grpc.StatusCode.OK


async def test_a_drain_ends_every_stream_cleanly(bench):
    bench.runs("prod/llm", 2)
    active = bench.scaler.StreamIsActive(ref())
    specs = bench.scaler.StreamMetricSpec(ref())
    await anext(aiter(active))
    await anext(aiter(specs))
    await bench.metrics(ref("train", **TRAINING))
    lent = bench.lending.Watch(kvtide.WatchRequest(namespace="prod", name="train"))
    await anext(aiter(lent))
    await bench.server.drain()
    for call in (active, specs, lent):
        assert [one async for one in call] == []
        assert await call.code() is grpc.StatusCode.OK


async def test_the_constant_spec_is_pushed_once():
    async with serve(options=brief()) as bench:
        call = bench.scaler.StreamMetricSpec(ref(nonsense="1"))
        (update,) = [one async for one in call]
        (spec,) = update.metricSpecs
        assert (spec.metricName, spec.targetSizeFloat) == (METRIC, 1.0)
        assert await call.code() is grpc.StatusCode.OK


@pytest.fixture
async def watched(bench):
    """Return the stream on what borrows from a pool of eight units, three of them in use."""
    bench.runs("prod/llm", 3)
    await bench.metrics(ref())
    await bench.metrics(ref("train", **TRAINING))
    return aiter(bench.lending.Watch(kvtide.WatchRequest(namespace="prod", name="train")))


async def test_the_current_count_comes_at_once_and_a_lower_one_as_soon_as_it_is_known(
    bench, watched
):
    first = await anext(watched)
    assert (first.workers, first.reason, first.at) == (5, "Lent", bench.clock.now_s)
    bench.runs("prod/llm", 8)
    await bench.tick()
    second = await anext(watched)
    assert (second.workers, second.reason) == (0, "Reclaimed")
    assert second.HasField("workers")
    assert second.seq > first.seq


async def test_a_heartbeat_repeats_the_word():
    async with serve(options=dataclasses.replace(OPTIONS, heartbeat_s=0.02)) as bench:
        bench.runs("prod/llm", 3)
        await bench.metrics(ref())
        await bench.metrics(ref("train", **TRAINING))
        watch = aiter(bench.lending.Watch(kvtide.WatchRequest(namespace="prod", name="train")))
        first, second = await received(watch, 2)
        assert (second.workers, second.seq) == (first.workers, first.seq)


async def test_without_an_answer_there_are_no_workers_in_the_message(bench):
    with refused(grpc.StatusCode.UNAVAILABLE, "MemberUnknown: prod/llm"):
        await bench.metrics(ref("train", **TRAINING))
    watch = aiter(bench.lending.Watch(kvtide.WatchRequest(namespace="prod", name="train")))
    word = await anext(watch)
    assert not word.HasField("workers")
    assert (word.reason, word.detail) == ("MemberUnknown", "prod/llm")


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("nobody", grpc.StatusCode.NOT_FOUND, "KEDA has not asked about prod/nobody"),
        ("llm", grpc.StatusCode.INVALID_ARGUMENT, "role: got inference; allowed: training"),
        ("wrong", grpc.StatusCode.INVALID_ARGUMENT, "nonsense: got 1"),
    ],
    ids=["never asked about", "inference", "wrong metadata"],
)
async def test_only_what_borrows_can_be_watched(bench, name, code, words):
    bench.runs("prod/llm", 1)
    await bench.metrics(ref())
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        await bench.metrics(ref("wrong", nonsense="1"))
    with refused(code, words):
        await anext(aiter(bench.lending.Watch(kvtide.WatchRequest(namespace="prod", name=name))))


FAST = {"fastPath": "true"}


def scaling(bench, name: str = "llm"):
    return aiter(bench.scaling.Watch(kvtide.WatchRequest(namespace="prod", name=name)))


async def test_what_a_surge_needs_is_told_as_soon_as_it_is_known(bench):
    bench.runs("prod/llm", 3)
    await bench.metrics(ref(**FAST))
    watch = scaling(bench)
    first = await anext(watch)
    assert (first.replicas, first.reason, first.at) == (3, "Demand", bench.clock.now_s)
    bench.runs("prod/llm", 9)
    await bench.tick()
    second = await anext(watch)
    assert second.replicas == 9
    assert second.seq > first.seq


async def test_a_heartbeat_tells_what_each_pod_has_in_flight_by_now():
    async with serve(options=dataclasses.replace(OPTIONS, heartbeat_s=0.02)) as bench:
        busy = sample_of(replica("a", running=1, waiting=1), replica("b", running=2), at_s=10_005)
        bench.source.windows["prod/llm"] = window(busy)
        await bench.metrics(ref(**FAST))
        watch = scaling(bench)
        first = await anext(watch)
        moved = sample_of(replica("a", running=3), replica("b", running=None), at_s=10_010)
        bench.source.windows["prod/llm"] = window(moved)
        await bench.tick()
        words = [first, *await received(watch, 3)]
    assert words[0].in_flight == {"a": 2, "b": 2}
    assert words[-1].in_flight == {"a": 3}
    assert words[-1].seq == words[0].seq


async def test_a_tier_tells_of_its_own_pods(bench):
    bench.runs("prod/llm", 4)
    bench.runs("prod/other", 7)
    await bench.metrics(ref("other", tierGroup="g"))
    await bench.metrics(ref(tierGroup="g", **FAST))
    assert (await anext(scaling(bench))).in_flight == {"llm-0": 4}


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"role": "training"}, "role: got training; allowed: inference"),
        ({}, "fastPath: got false; allowed: true"),
    ],
    ids=["training", "not asked for"],
)
async def test_only_what_may_be_scaled_ahead_is_told_of(bench, metadata, words):
    bench.runs("prod/llm", 1)
    await bench.metrics(ref())
    bench.runs("prod/one", 1)
    await bench.metrics(ref("one", **metadata))
    with refused(grpc.StatusCode.INVALID_ARGUMENT, words):
        await anext(scaling(bench, "one"))
