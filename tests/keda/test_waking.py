"""
From zero: how many ticks pass between the first reading of an arrival and the push to KEDA.

Counted in reads of the source, not in seconds, with the real decision behind a real gRPC stream.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scaler.decision.decide import decide
from scaler.decision.sample import Sample
from scaler.decision.window import Window
from tests.builders import window
from tests.keda.conftest import Bench, ref, serve

QUIET: dict[str, Any] = {"gateway_in_flight": 0.0, "arrivals_total": 40.0}
FOREVER_S = 20.0
"""A push that has not come by then does not come; how fast it comes is counted in ticks."""


def at_zero(bench: Bench, key: str = "prod/llm", **gateway: Any) -> None:
    """Let a workload be at zero, one bucket later, with what its gateway says by then."""
    bench.clock.now_s += 5
    now = Sample(at_s=bench.clock.now_s, spec_replicas=0, ready_replicas=0, **(QUIET | gateway))
    before = bench.source.windows.get(key)
    samples = before.samples if isinstance(before, Window) else ()
    bench.source.windows[key] = window(*samples, now)


async def told(stream) -> bool:
    async with asyncio.timeout(FOREVER_S):
        return bool((await anext(stream)).result)


@pytest.fixture
async def asleep() -> AsyncIterator[Bench]:
    """Return a bench that decides as the server does, about a workload at zero."""
    async with serve(decide=decide) as made:
        at_zero(made)
        yield made


@pytest.mark.parametrize("quiet_ticks", [0, 1, 7])
@pytest.mark.parametrize(
    "arrival",
    [
        pytest.param({"gateway_in_flight": 1.0}, id="one request in flight at the gateway"),
        pytest.param({"gateway_waiting": 3.0}, id="requests that wait at the gateway"),
        pytest.param({"arrivals_total": 41.0}, id="one that came and went between two scrapes"),
    ],
)
async def test_the_first_tick_that_sees_an_arrival_pushes_it(asleep, arrival, quiet_ticks):
    stream = aiter(asleep.scaler.StreamIsActive(ref()))
    assert await told(stream) is False
    for _ in range(quiet_ticks):
        at_zero(asleep)
        await asleep.tick()
    before = len(asleep.source.reads)

    at_zero(asleep, **arrival)
    await asleep.tick()

    # Edges only: had a quiet tick pushed anything, that would come first.
    assert await told(stream) is True
    assert len(asleep.source.reads) - before == 1


async def test_an_arrival_in_the_middle_of_a_slow_read_waits_for_no_other(asleep):
    stream = aiter(asleep.scaler.StreamIsActive(ref()))
    assert await told(stream) is False
    before = len(asleep.source.reads)

    asleep.source.gate.clear()
    tick = asyncio.create_task(asleep.tick())
    await asleep.source.until_reads(before + 1)
    at_zero(asleep, gateway_in_flight=1.0)
    asleep.source.gate.set()
    await tick

    assert await told(stream) is True
    assert len(asleep.source.reads) - before == 1


async def test_one_tick_wakes_all_that_sleep(asleep):
    names = [f"llm-{number}" for number in range(50)]
    for name in names:
        at_zero(asleep, f"prod/{name}")
    streams = [aiter(asleep.scaler.StreamIsActive(ref(name))) for name in names]
    assert not any([await told(stream) for stream in streams])
    before = len(asleep.source.reads)

    for name in names:
        at_zero(asleep, f"prod/{name}", gateway_in_flight=1.0)
    await asleep.tick()

    assert all([await told(stream) for stream in streams])
    assert len(asleep.source.reads) - before == 1
