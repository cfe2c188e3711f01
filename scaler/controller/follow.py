"""
The scaler's word on each ScaledObject, heard as it is said.

One stream per ScaledObject. A stream that ends (the scaler drains, or its ten to fifteen minutes
are over) is opened again at once; one that fails, after a pause that doubles up to three seconds.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import grpc

from scaler.keda._pb.kvtide_pb2 import Lent, WatchRequest

from .seen import Word

logger = logging.getLogger("kvtide.controller")

LEAST_PAUSE_S = 0.5
MOST_PAUSE_S = 3.0
"""What is said meanwhile is heard so much later: a reclaim must not wait for a pause."""
SILENCE_S = 15.0
"""Three heartbeats missed: the stream is dead, however alive its connection looks."""

Said = TypeVar("Said")
"""What a word says; two are equal when they say the same, whenever they were heard."""

Watch = Callable[[WatchRequest], Any]
"""A stub's Watch: opens a stream."""


@dataclasses.dataclass(slots=True)
class Follower(Generic[Said]):
    """The stream of one ScaledObject."""

    task: asyncio.Task[None]
    since_s: float
    """Since when it is asked for, Unix seconds."""
    word: Said | None = None


class Following(Generic[Said]):
    """The followers of all ScaledObjects that somebody acts for."""

    def __init__(
        self,
        watch: Watch,
        read: Callable[[Any, float], Said],
        *,
        clock: Callable[[], float],
        on_word: Callable[[str, str, bool], None],
    ) -> None:
        """
        Follow what ``watch`` streams.

        Args:
            watch: the scaler's RPC.
            read: a message, and when it was heard (Unix seconds), to a word.
            clock: Unix seconds.
            on_word: called with namespace, ScaledObject, and whether the word differs from the one
                before; a heartbeat only makes the word younger.
        """
        self._watch = watch
        self._read = read
        self._clock = clock
        self._on_word = on_word
        self._followers: dict[tuple[str, str], Follower[Said]] = {}

    def follow(self, namespace: str, name: str) -> Follower[Said]:
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
                stream = self._watch(WatchRequest(namespace=namespace, name=name))
                while True:
                    async with asyncio.timeout(SILENCE_S):
                        message = await stream.read()
                    if message is grpc.aio.EOF:  # type: ignore[attr-defined] # not in its stubs
                        break
                    heard, pause_s = True, LEAST_PAUSE_S
                    self._hear(namespace, name, message)
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

    def _hear(self, namespace: str, name: str, message: Any) -> None:  # noqa: ANN401
        word = self._read(message, self._clock())
        follower = self._followers[namespace, name]
        before, follower.word = follower.word, word
        self._on_word(namespace, name, before != word)


def lent_word(lent: Lent, heard_s: float) -> Word:
    """Read how many workers may run."""
    workers = lent.workers if lent.HasField("workers") else None
    return Word(workers=workers, reason=lent.reason, heard_s=heard_s)
