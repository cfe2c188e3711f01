"""What a process holds is set aside, and looked through for garbage when it has grown by half."""

import asyncio
import contextlib
import gc
import subprocess
import sys
import weakref

import pytest

from scaler.wiring.garbage import COUNTED_AFTER, GROWTH, keep_out, looked_through


class Ring:
    """An object that holds itself, so that only a look for cycles gives it back."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def _nothing_set_aside():
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def garbage_set_aside():
    """Return what tells whether an object is gone that became garbage after it was set aside."""
    ring = Ring()
    gc.freeze()
    return weakref.ref(ring)


def test_garbage_that_was_set_aside_is_given_back_once_there_is_half_as_much_again():
    gone = garbage_set_aside()
    gc.collect()
    assert gone() is not None

    least = looked_through(0)

    assert gone() is None
    assert 0 < gc.get_freeze_count() <= least  # what other threads let go of goes at once


def test_a_little_more_is_not_looked_through():
    gone = garbage_set_aside()
    least = gc.get_freeze_count()

    assert looked_through(least) == least
    assert gone() is not None


def test_half_as_much_again_is():
    gone = garbage_set_aside()

    # A few hundred less: threads of earlier tests may let go of some meanwhile.
    least = looked_through(int(gc.get_freeze_count() / GROWTH) - 300)

    assert gone() is None
    assert gc.get_freeze_count() <= least


async def test_it_sets_aside_at_every_turn_and_looks_through_all_after_a_minute():
    ring = Ring()
    counts: list[int] = []
    gone = weakref.ref(ring)

    async def pause(_):
        counts.append(gc.get_freeze_count())
        if len(counts) > COUNTED_AFTER:
            raise asyncio.CancelledError

    del ring
    with contextlib.suppress(asyncio.CancelledError):
        await keep_out(pause=pause)

    assert counts[0] == 0
    assert all(counts[1:])
    assert gone() is None


RETURNED = """
import pathlib
from scaler.wiring.garbage import give_back

def resident_pages():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1])

kept = [[str(number)] for number in range(400_000)]
full = resident_pages()
del kept
give_back()
print(full - resident_pages())
"""


def test_what_came_free_goes_back_to_the_system():
    # In a process of its own: what other tests hold may lie between what came free.
    done = subprocess.run(
        [sys.executable, "-c", RETURNED], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) > 5_000


HOLDS = """
import pathlib, resource, sys, threading
from scaler.wiring.garbage import keep_large_apart

if sys.argv[1] == "apart":
    keep_large_apart()

def read():
    for _ in range(3):
        together.wait()
        body = bytearray()
        for _ in range(7_000_000 // 65_536):
            body += bytes(65_536)
        together.wait()
        del body

together = threading.Barrier(8)
threads = [threading.Thread(target=read) for _ in range(8)]
for one in threads:
    one.start()
for one in threads:
    one.join()
pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
print(pages * resource.getpagesize() / 2**20)
"""
"""Threads that read replies of 7 MB side by side, three times, and drop them."""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_large_replies_leave_no_memory_in_the_threads_that_read_them():
    def held_mib(how: str) -> float:
        said = subprocess.run(
            [sys.executable, "-c", HOLDS, how], capture_output=True, text=True, check=True
        )
        return float(said.stdout)

    assert held_mib("apart") < held_mib("as ever") - 20
