"""How late the event loop is: what a call of KEDA waits for before anybody looks at it."""

import asyncio
from collections.abc import Callable

EVERY_S = 0.05


async def watch(observe: Callable[[float], None]) -> None:
    """Tell, again and again, how many seconds after its time a timer came; until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + EVERY_S
        await asyncio.sleep(EVERY_S)
        observe(max(0.0, loop.time() - due_s))
