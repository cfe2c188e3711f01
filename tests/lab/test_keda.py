"""KEDA, the HPA and the controller, played over real gRPC against a scaler that a test steers."""

import asyncio
import contextlib

import pytest

from scaler.lab.keda import KedaStandIn, LabObject, Pace
from scaler.lab.reclaimer import Reclaimer
from scaler.simulation.hpa import wide_open
from scaler.simulation.scaled_object import Fallback, ScaledObjectConfig
from tests.fakes.fake_scaler import FakeScaler
from tests.fakes.fake_target import FakeTarget

QUICK = Pace(sync_period_s=0.05, redial_first_s=0.02, redial_longest_s=0.1)


@pytest.fixture
async def scaler():
    scaler = FakeScaler()
    yield scaler
    await scaler.stop()


@contextlib.asynccontextmanager
async def keda(scaler, target, *, push=False, **config):
    """Run the stand-in for one object until left."""
    one = LabObject(
        namespace="llm",
        name="chat",
        metadata={"stableWindow": "60s"},
        config=ScaledObjectConfig(
            **{
                "polling_interval_s": 0.05,
                "cooldown_period_s": 0.0,
                "behavior": wide_open(),
                **config,
            }
        ),
        target=target,
        push=push,
    )
    stand_in = KedaStandIn(await scaler.start(), (one,), pace=QUICK)
    running = asyncio.create_task(stand_in.run())
    try:
        yield stand_in
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await stand_in.close()


async def test_an_active_workload_goes_from_zero_to_one_by_poll_and_on_by_the_hpa(scaler):
    target = FakeTarget(0)
    scaler.value = 4.0
    async with keda(scaler, target):
        await target.reaches(1)
        await target.reaches(4)


async def test_each_round_asks_in_kedas_order_and_forwards_the_metadata(scaler):
    async with keda(scaler, FakeTarget(0)):
        scaler.active = False
        await scaler.asked("IsActive", 2)
    assert scaler.calls[:6] == ["GetMetricSpec", "GetMetrics", "IsActive"] * 2
    assert scaler.metadata == {"stableWindow": "60s"}


async def test_inactive_goes_to_zero_by_poll_whatever_the_value_says(scaler):
    target = FakeTarget(3)
    scaler.value, scaler.active = 3.0, False
    async with keda(scaler, target):
        await target.reaches(0)


async def test_a_pushed_true_scales_before_the_next_poll_and_false_does_nothing(scaler):
    target = FakeTarget(0)
    scaler.active = False
    async with keda(scaler, target, push=True, polling_interval_s=60):
        await scaler.asked("StreamIsActive", 0)
        scaler.pushes.put_nowait(False)
        scaler.pushes.put_nowait(True)
        await target.reaches(1)


async def test_a_stream_that_ends_is_dialled_again(scaler):
    target = FakeTarget(0)
    scaler.active = False
    async with keda(scaler, target, push=True, polling_interval_s=60):
        scaler.pushes.put_nowait(None)
        scaler.pushes.put_nowait(True)
        await target.reaches(1)
    assert scaler.calls.count("StreamIsActive") == 2


async def test_an_error_holds_and_its_text_is_what_a_person_sees(scaler):
    target = FakeTarget(3)
    scaler.value = None
    async with keda(scaler, target) as stand_in:
        await scaler.asked("GetMetrics", 12)
        assert target.replicas == 3
        assert stand_in.errors == {"llm/chat": "no fresh data"}
        scaler.value = 5.0
        await target.reaches(5)
    assert stand_in.errors == {}


async def test_a_failing_call_is_tried_twice_and_ends_the_round(scaler):
    scaler.value = None
    async with keda(scaler, FakeTarget(0)):
        await scaler.asked("GetMetrics", 2)
    assert scaler.calls[:3] == ["GetMetricSpec", "GetMetrics", "GetMetrics"]


async def test_the_fallback_lifts_even_from_zero_when_metrics_fail(scaler):
    target = FakeTarget(0)
    scaler.value = None
    async with keda(scaler, target, fallback=Fallback(replicas=6)):
        await target.reaches(6)


async def test_the_fallback_never_engages_while_the_spec_fails(scaler):
    target = FakeTarget(2)
    scaler.spec_fails = True
    async with keda(scaler, target, fallback=Fallback(replicas=6)):
        await scaler.asked("GetMetricSpec", 16)
    assert target.replicas == 2


@contextlib.asynccontextmanager
async def reclaimer(scaler, target):
    one = LabObject(
        namespace="llm", name="train", metadata={}, config=ScaledObjectConfig(), target=target
    )
    watcher = Reclaimer(await scaler.start(), one)
    running = asyncio.create_task(watcher.run())
    try:
        yield watcher
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await watcher.close()


async def test_fewer_workers_are_acted_on_at_once_and_more_are_left_to_keda(scaler):
    target = FakeTarget(6)
    async with reclaimer(scaler, target) as watcher:
        scaler.lent.put_nowait(9)
        scaler.lent.put_nowait(4)
        await target.reaches(4)
        scaler.lent.put_nowait(0)
        await target.reaches(0)
        assert watcher.lowered == 2


async def test_no_word_keeps_what_is_and_a_stream_that_ends_is_followed_again(scaler):
    target = FakeTarget(6)
    async with reclaimer(scaler, target):
        scaler.lent.put_nowait(-1)
        scaler.lent.put_nowait(None)
        scaler.lent.put_nowait(2)
        await target.reaches(2)
    assert scaler.calls.count("Watch") == 2
