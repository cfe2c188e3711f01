"""
Garbage, in a process that holds the samples of a thousand workloads: looked for among what is new.

Python looks for cycles among all objects whenever a quarter more has come to be, and nothing else
runs meanwhile: more than a second where there are millions. Samples have no cycles. So what is
there is set aside again and again, which takes no time, and looked through when it has grown by
half: what was set aside and then became garbage with cycles counts there, and is bounded by it.
What is garbage before that goes first: a failed call holds its request, which may have 200 KB.

What came free goes back to the system once a minute: else a process stays as large as the most it
ever served. Large blocks, such as replies of megabytes, go back at once.
"""

import asyncio
import ctypes
import gc
from collections.abc import Awaitable, Callable

EVERY_S = 1.0
"""Between two times of setting aside; within one, what comes and goes is looked at as ever."""
COUNTED_AFTER = 60
"""So many times of setting aside lie between two counts of it, which go through all of it."""
GROWTH = 1.5
"""Times as many objects as after the last look, at which all are looked through again."""


_M_MMAP_THRESHOLD = -3
"""A parameter of glibc's mallopt (malloc.h)."""
_LARGE_BYTES = 1_048_576


def keep_large_apart() -> None:
    """
    Take large blocks from the system, each for itself, and give them back when they are free.

    glibc begins so, and stops once a large one was freed: from then on each thread that reads
    replies keeps room for the largest.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


async def keep_out(*, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Set aside again and again, until cancelled."""
    least = 0
    while True:
        for _ in range(COUNTED_AFTER):
            await pause(EVERY_S)
            gc.collect()  # of the last second alone: what is garbage by now is not set aside
            gc.freeze()
        least = looked_through(least)
        await asyncio.to_thread(give_back)


def looked_through(least: int) -> int:
    """Look through all that was set aside, if it is much more than ``least``; return the least."""
    if gc.get_freeze_count() <= GROWTH * least:
        return least
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    return gc.get_freeze_count()


def give_back() -> None:
    """
    Give free memory back to the system.

    Python keeps some freed objects for reuse, here and there in memory that is free otherwise; a
    look for garbage lets them go, and takes no time among what was set aside. glibc keeps the rest.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
    if trim is not None:
        trim(0)
