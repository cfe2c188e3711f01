"""
The controller's part in giving GPUs back, played for the local stack.

KEDA ignores a pushed "false" and takes a poll and a cooldown to reach zero, so whoever runs the
borrowed GPUs follows ``kvtide.v1.Lending/Watch``: fewer workers than there are is acted on at once,
more only through KEDA.
"""

import asyncio
import logging

import grpc

from scaler.keda._pb import kvtide_pb2 as pb
from scaler.keda._pb.kvtide_pb2_grpc import LendingStub

from .keda import LabObject, OnScale, scaled

logger = logging.getLogger("kvtide.lab.reclaimer")

_REDIAL_S = 0.5


class Reclaimer:
    """
    Follows what is lent to one object and lowers its count at once.

    Attributes:
        lowered: how often it did.
    """

    def __init__(self, address: str, one: LabObject, *, on_scale: OnScale = scaled) -> None:
        self._one = one
        self._on_scale = on_scale
        self._channel = grpc.aio.insecure_channel(address)
        self._stub = LendingStub(self._channel)  # type: ignore[no-untyped-call]
        self.lowered = 0

    async def run(self) -> None:
        """Follow until cancelled; a stream that ends is dialled again."""
        asked = pb.WatchRequest(namespace=self._one.namespace, name=self._one.name)
        while True:
            try:
                async for word in self._stub.Watch(asked):
                    if word.HasField("workers"):
                        self._lower(word.workers)
            except grpc.aio.AioRpcError as error:
                # NOT_FOUND until KEDA has asked about the object for the first time.
                logger.debug("watching %s: %s", self._one.name, error.details())
            await asyncio.sleep(_REDIAL_S)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close(None)

    def _lower(self, workers: int) -> None:
        before = self._one.target.spec()
        if workers < before:
            self._one.target.scale(workers)
            self.lowered += 1
            self._on_scale(self._one, before, workers, "Lending/Watch")
