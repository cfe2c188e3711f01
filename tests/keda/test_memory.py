"""What an object leaves in memory: what it asks for, and not what was written."""

import functools
import gc
import tracemalloc

import grpc
import pytest

from scaler.configuration import Configuration
from scaler.documents.trigger import parse_trigger
from tests.keda.conftest import ref, serve

OBJECTS, CHARACTERS = 100, 200_000


PARSE = functools.partial(parse_trigger, configuration=Configuration())


async def test_the_texts_of_metadata_are_not_kept():
    async with serve(parse=PARSE) as bench:
        await refused(bench, "first")  # what is made once
        gc.collect()
        tracemalloc.start()
        try:
            for number in range(OBJECTS):
                for _ in range(2):  # it is parsed once, and known again by what stands for it
                    await refused(bench, f"wrong-{number}")
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert kept < OBJECTS * CHARACTERS / 10


async def refused(bench, name: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="got 200005 characters"):
        await bench.metrics(ref(name, wrong="x" * CHARACTERS))
