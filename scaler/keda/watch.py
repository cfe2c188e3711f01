"""
Our own streams: what KEDA's contract cannot carry, told as it becomes known.

Lending/Watch tells whoever runs borrowed GPUs how many workers may run; Scaling/Watch tells whoever
scales out ahead of the HPA how many replicas a surge needs. Both send the current word at once,
then what changes, and a heartbeat in between, so that silence means that nobody speaks.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

from scaler.decision.policy import InferencePolicy
from scaler.errors import ConfigurationError, KvtideError, Problem
from scaler.serving.board import Board
from scaler.serving.evaluation import Evaluation
from scaler.source import Role, Trigger

from ._pb import kvtide_pb2 as kvtide
from ._pb.kvtide_pb2_grpc import LendingServicer, ScalingServicer
from .servicer import Context, StreamLife, end_with, status
from .streams import OpenStreams

HEARTBEAT_S = 5.0

Word = TypeVar("Word")


class Streams:
    """The words on one object after another, for as long as a stream lives."""

    def __init__(
        self,
        board: Board,
        streams: OpenStreams,
        *,
        rng: random.Random,
        life: StreamLife,
        heartbeat_s: float,
    ) -> None:
        self._board, self._open = board, streams
        self._rng = rng
        self._life = life
        self._heartbeat_s = heartbeat_s

    async def words(
        self,
        request: kvtide.WatchRequest,
        context: Context,
        refuse: Callable[[Trigger], Problem | None],
        say: Callable[[Evaluation | None], Word],
    ) -> AsyncGenerator[Word, None]:
        """
        Yield what ``say`` makes of the newest answer: at once, as it changes, at each heartbeat.

        Objects with wrong metadata, and those that ``refuse`` finds something in, are refused.
        """
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + self._rng.uniform(self._life.shortest_s, self._life.longest_s)
        try:
            with (
                self._open.one(request.namespace, request.name),
                self._board.follow(request.namespace, request.name) as follower,
            ):
                _refuse(follower.latest, refuse)
                over = False
                while not over:
                    yield say(follower.latest)
                    await follower.next(min(self._heartbeat_s, ends_s - loop.time()))
                    over = self._board.draining or loop.time() >= ends_s
        except KvtideError as error:
            end_with(context, *status(error))


class Lending(LendingServicer):
    """How many training workers may run, as it changes."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def Watch(
        self, request: kvtide.WatchRequest, context: Context
    ) -> AsyncIterator[kvtide.Lent]:
        """Send how many workers may run."""
        words = self._streams.words(request, context, not_training, lent)
        async with contextlib.aclosing(words):
            async for word in words:
                yield word


class Scaling(ScalingServicer):
    """How many replicas a surge needs, as it changes."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def Watch(
        self, request: kvtide.WatchRequest, context: Context
    ) -> AsyncIterator[kvtide.Scale]:
        """Send how many replicas are wanted, and what each pod has in flight."""
        words = self._streams.words(request, context, not_fast, scale)
        async with contextlib.aclosing(words):
            async for word in words:
                yield word


def not_training(trigger: Trigger) -> Problem | None:
    """Return what is wrong with asking what an object borrows."""
    if trigger.role is Role.TRAINING:
        return None
    return Problem(field="role", got=trigger.role.value, allowed="training")


def not_fast(trigger: Trigger) -> Problem | None:
    """Return what is wrong with scaling an object ahead of the HPA."""
    if not isinstance(trigger.policy, InferencePolicy):
        return Problem(field="role", got=trigger.role.value, allowed="inference")
    if not trigger.policy.fast_path:
        return Problem(field="fastPath", got="false", allowed="true, to scale ahead of the HPA")
    return None


def _refuse(evaluation: Evaluation | None, refuse: Callable[[Trigger], Problem | None]) -> None:
    if evaluation is None:
        return
    if isinstance(evaluation.error, ConfigurationError):
        raise evaluation.error.again()
    problem = None if evaluation.trigger is None else refuse(evaluation.trigger)
    if problem is not None:
        raise ConfigurationError(problem)


def lent(evaluation: Evaluation | None) -> kvtide.Lent:
    """Return the message for an answer; without workers where there is none."""
    if evaluation is None:
        return kvtide.Lent(reason="NoData", detail="nothing was evaluated yet")
    seen = evaluation.observation
    workers = seen.decision.replicas if seen.decision else None
    return kvtide.Lent(
        workers=workers,
        reason=seen.reason,
        at=seen.newest_s or 0.0,
        seq=evaluation.seq,
        detail=seen.detail,
    )


def scale(evaluation: Evaluation | None) -> kvtide.Scale:
    """Return the message for an answer; without replicas where there is none."""
    if evaluation is None:
        return kvtide.Scale(reason="NoData", detail="nothing was evaluated yet")
    seen = evaluation.observation
    decision = seen.decision
    return kvtide.Scale(
        replicas=decision.replicas if decision else None,
        reason=seen.reason,
        panic=decision is not None and decision.panic,
        woken=decision is not None and decision.woken,
        at=seen.newest_s or 0.0,
        seq=evaluation.seq,
        detail=seen.detail,
        in_flight=evaluation.in_flight,
    )
