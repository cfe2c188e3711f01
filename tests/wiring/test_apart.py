"""A source on a thread of its own: what it is told, what it raises, and how it ends."""

import asyncio
import threading

import pytest

from scaler.errors import SourceError
from scaler.wiring.apart import Apart
from tests.fakes.fake_source import FakeSource


class Threads(FakeSource):
    """Notes on which thread it is read, and waits for ever where it is told to."""

    def __init__(self):
        super().__init__()
        self.threads = []
        self.waits = False
        self.given_up = threading.Event()

    async def refresh(self, *what, **more):
        self.threads.append(threading.current_thread())
        if self.waits:
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up.set()
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def source():
    return Threads()


@pytest.fixture
def apart(source):
    made = Apart(source)
    yield made
    made.close()


async def test_it_is_read_on_another_thread_and_fails_on_this_one(source, apart):
    await apart.refresh([], 60.0, 0.0)
    source.failure = SourceError("refused", "no")
    with pytest.raises(SourceError, match="refused: no"):
        await apart.refresh([], 60.0, 0.0)
    assert threading.current_thread() not in source.threads
    assert len(set(source.threads)) == 1


async def test_a_read_that_nobody_waits_for_any_more_is_given_up(source, apart):
    source.waits = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await apart.refresh([], 60.0, 0.0)
    assert await asyncio.to_thread(source.given_up.wait, 10)


async def test_its_thread_ends_when_it_is_closed(source):
    apart = Apart(source)
    await apart.refresh([], 60.0, 0.0)
    (thread,) = source.threads
    apart.close()
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()
