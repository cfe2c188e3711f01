"""
The scaler's word on each borrower, heard as it is said.

One stream per ScaledObject. A stream that ends (the scaler drains, or its ten to fifteen minutes
are over) is opened again at once; one that fails, after a pause that doubles up to half a minute.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable

import grpc

from scaler.keda._pb.kvtide_pb2 import Lent, WatchRequest
from scaler.keda._pb.kvtide_pb2_grpc import LendingStub

from .seen import Word

logger = logging.getLogger("kvtide.controller")

LEAST_PAUSE_S = 0.5
MOST_PAUSE_S = 30.0
SILENCE_S = 15.0
"""Three heartbeats missed: the stream is dead, however alive its connection looks."""


@dataclasses.dataclass(slots=True)
class Follower:
    """The stream of one ScaledObject."""

    task: asyncio.Task[None]
    since_s: float
    """Since when it is asked for, Unix seconds."""
    word: Word | None = None


class Following:
    """The followers of all ScaledObjects that drive a ReclaimableJob."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        clock: Callable[[], float],
        on_change: Callable[[str, str], None],
    ) -> None:
        """
        Follow over ``channel``.

        Args:
            channel: to the scaler.
            clock: Unix seconds.
            on_change: called with (namespace, ScaledObject) when a word differs from the one
                before; a heartbeat only makes the word younger.
        """
        self._stub = LendingStub(channel)  # type: ignore[no-untyped-call]
        self._clock = clock
        self._on_change = on_change
        self._followers: dict[tuple[str, str], Follower] = {}

    def follow(self, namespace: str, name: str) -> Follower:
        """Return the follower of a ScaledObject, started when it is asked for first."""
        key = (namespace, name)
        if key not in self._followers:
            task = asyncio.create_task(self._run(namespace, name))
            self._followers[key] = Follower(task=task, since_s=self._clock())
        return self._followers[key]

    def keep(self, wanted: set[tuple[str, str]]) -> None:
        """Stop following every ScaledObject but these."""
        for key in self._followers.keys() - wanted:
            self._followers.pop(key).task.cancel()

    async def close(self) -> None:
        """Stop following."""
        tasks = [follower.task for follower in self._followers.values()]
        self.keep(set())
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, namespace: str, name: str) -> None:
        pause_s = LEAST_PAUSE_S
        while True:
            heard = False
            try:
                stream = self._stub.Watch(WatchRequest(namespace=namespace, name=name))
                while True:
                    async with asyncio.timeout(SILENCE_S):
                        lent = await stream.read()
                    if not isinstance(lent, Lent):  # the end of the stream
                        break
                    heard, pause_s = True, LEAST_PAUSE_S
                    self._hear(namespace, name, lent)
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                detail = error.details() if isinstance(error, grpc.aio.AioRpcError) else "silence"
                logger.warning(
                    "lost the scaler's word",
                    extra={"fields": {"scaledobject": f"{namespace}/{name}", "why": detail}},
                )
                heard = False
            if not heard:
                await asyncio.sleep(pause_s)
                pause_s = min(MOST_PAUSE_S, 2 * pause_s)

    def _hear(self, namespace: str, name: str, lent: Lent) -> None:
        workers = lent.workers if lent.HasField("workers") else None
        word = Word(workers=workers, reason=lent.reason, heard_s=self._clock())
        follower = self._followers[namespace, name]
        before, follower.word = follower.word, word
        if before is None or (before.workers, before.reason) != (word.workers, word.reason):
            self._on_change(namespace, name)
