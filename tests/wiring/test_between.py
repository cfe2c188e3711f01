"""A source with the pods' own pages behind it: who is read, and who is told that nobody is."""

import asyncio

import pytest

from scaler.decision.facts.record import Record
from scaler.readings.direct import Tail
from scaler.said import Said
from scaler.source import Workload
from scaler.wiring.between import Between
from tests.builders import sample, window
from tests.fakes.fake_source import FakeSource

ASKS = Workload(namespace="llm", scaled_object="chat", name="chat", direct_scrape_port=8000)
DOES_NOT = Workload(namespace="llm", scaled_object="code", name="code")
NOTE = Said("Pods are read each second, between scrapes.")


class Reader:
    """Stands in for the reader of pages: a tail of one second."""

    def __init__(self):
        self.asked: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

    async def run(self, workloads):
        self.asked.set_result([one.key for one in workloads()])
        await asyncio.Event().wait()

    def tail(self, workload):
        recorded = Record([sample(91.0, running=9.0)]).until(float("inf"))
        return Tail(recorded, 91.0, NOTE)


@pytest.fixture
def source():
    fake = FakeSource()
    for workload in (ASKS, DOES_NOT):
        scrapes = (sample(60.0, running=1.0), sample(90.0, running=1.0))
        fake.windows[workload.key] = window(*scrapes, interval_s=30.0)
    return fake


async def test_only_those_that_ask_are_read_and_have_a_tail(source):
    reader = Reader()
    between = Between(source, reader)
    await between.refresh([ASKS, DOES_NOT], 60.0, 91.0)

    assert await reader.asked == ["llm/chat"]
    read = between.window(ASKS, 60.0, 91.0)
    assert [one.at_s for one in read.samples] == [60.0, 90.0, 91.0]
    assert read.now.running == 9.0
    assert (read.interval_s, read.bucket_s) == (30.0, 1.0)
    assert read.between == NOTE
    other = between.window(DOES_NOT, 60.0, 91.0)
    assert other == source.windows["llm/code"]


async def test_a_server_that_does_not_allow_it_says_so_to_those_that_ask(source):
    between = Between(source, None)
    await between.refresh([ASKS, DOES_NOT], 60.0, 91.0)

    said = between.window(ASKS, 60.0, 91.0)
    assert said.samples == source.windows["llm/chat"].samples
    assert "directScrape is off" in (said.between or "")
    assert between.window(DOES_NOT, 60.0, 91.0).between is None


async def test_what_the_source_says_of_itself_is_passed_on(source):
    source.refused, source.is_complete = 3, False
    between = Between(source, None)

    assert (between.refused, between.is_complete) == (3, False)
    assert between.nodes("nvidia.com/gpu", [ASKS], 91.0) == ()
