"""What is made once for all who ask at the same time."""

import asyncio
import threading

import pytest

from scaler.status.shared import Shared


async def test_who_comes_while_one_is_made_shares_the_next_and_nobody_gets_what_was_begun_before():
    begun, go_on, made = threading.Semaphore(0), threading.Semaphore(0), list[int]()

    def make() -> int:
        made.append(len(made) + 1)
        number = made[-1]
        begun.release()
        assert go_on.acquire(timeout=30)
        return number

    shared = Shared(make)
    first = asyncio.create_task(shared.get())
    await asyncio.to_thread(begun.acquire)
    later = [asyncio.create_task(shared.get()) for _ in range(50)]
    await asyncio.sleep(0)
    go_on.release()
    assert await first == 1
    await asyncio.to_thread(begun.acquire)
    later[0].cancel()  # whoever goes takes nothing from the others
    go_on.release()
    assert await asyncio.gather(*later[1:]) == [2] * 49
    assert made == [1, 2]
    go_on.release()
    assert await shared.get() == 3


async def test_a_fault_is_of_those_who_asked_and_the_next_is_made():
    faults = [ValueError("broken")]

    def make() -> str:
        if faults:
            raise faults.pop()
        return "made"

    shared = Shared(make)
    asked = [asyncio.create_task(shared.get()) for _ in range(3)]
    for one in asked:
        with pytest.raises(ValueError, match="broken"):
            await one
    assert await shared.get() == "made"
