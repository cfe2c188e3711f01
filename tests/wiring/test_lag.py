"""The watch on the event loop."""

import asyncio
import time

from scaler.wiring import lag


async def test_a_loop_that_was_blocked_is_seen_to_have_been_late():
    seen: asyncio.Queue[float] = asyncio.Queue()
    task = asyncio.create_task(lag.watch(seen.put_nowait))
    async with asyncio.timeout(10):
        assert await seen.get() >= 0
        time.sleep(0.2)  # noqa: ASYNC251 -- it is what the watch is there for
        while await seen.get() < 0.1:
            pass
    task.cancel()
