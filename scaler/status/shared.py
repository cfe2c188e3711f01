"""What is made once for all who ask for it at the same time."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Shared(Generic[Made]):
    """
    Makes something in a thread, one at a time, however many ask.

    Whoever asks gets what was begun after he asked: who comes while one is made shares the next.
    Threads that work side by side keep the loop waiting for each of them.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._under_way: asyncio.Task[Made] | None = None
        self._next: asyncio.Task[Made] | None = None

    async def get(self) -> Made:
        """Return what is made next; what making it raises is raised here."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._under_way))
        return await asyncio.shield(self._next)

    async def _after(self, before: asyncio.Task[Made] | None) -> Made:
        if before is not None:
            await asyncio.wait({before})
        self._under_way, self._next = self._next, None
        return await asyncio.to_thread(self._make)
