"""A namespace for which a server is slow, and all others: who waits for whom, and the cost."""

import asyncio
import contextlib
import dataclasses

import pytest

from scaler.errors import NoDataError, SourceError
from scaler.readings.prometheus_source import PrometheusSource
from scaler.source import Workload
from tests.fakes.fake_prometheus import fake_prometheus
from tests.readings.test_prometheus_source import source_of, workload
from tests.readings.worlds import NOW_S, busy, row

TIMEOUT_S = 3.0
OTHERS = [workload("llm", f"tenant-{number}") for number in range(5)]
HEAVY = workload("llm", "heavy")


class World:
    """A server that is slow for one namespace, and who reads it."""

    def __init__(self, fake, source: PrometheusSource):
        self.fake, self.source = fake, source
        self.now_s = NOW_S
        self.asked = list[str]()

    async def read(self):
        """Scrape everybody's pod, and read."""
        self.now_s += 5
        for one in (HEAVY, *OTHERS):
            page = busy(running=self.now_s - NOW_S)
            self.fake.scrape(self.now_s, page, namespace=one.namespace, pod="llm-0")
        self.fake.queries.clear()
        with contextlib.suppress(SourceError):
            await self.source.refresh([*OTHERS, HEAVY], 60, self.now_s)
        self.asked = [query for query in self.fake.queries if "num_requests_running" in query]

    def age_s(self, of: Workload) -> float:
        return float(self.now_s - self.source.window(of, 60, self.now_s).now_s)

    async def until_apart(self, count):
        """Read on until so many are asked apart, however slow this machine is."""
        async with asyncio.timeout(90):
            while self.source.asked_apart != count:
                await self.read()
                await asyncio.sleep(0.1)


@pytest.fixture
async def world():
    async with fake_prometheus() as fake:
        fake.tells_time = False
        source: PrometheusSource = source_of(fake, clock=lambda: NOW_S, timeout_s=TIMEOUT_S)
        made = World(fake, source)
        await made.read()
        yield made


def of_all(query):
    return all(one.namespace in query for one in OTHERS)


async def test_after_one_late_query_the_others_are_read_as_before_and_the_slow_one_apart(
    world, caplog
):
    world.fake.slow = {("heavy",): 10.0}
    await world.until_apart(1)
    assert "is slow for namespace heavy, or has too much of it" in caplog.text
    for _ in range(3):
        await world.read()
        assert [world.age_s(one) for one in OTHERS] == [0] * len(OTHERS)
    shared = [query for query in world.asked if "tenant-0" in query]
    assert all(of_all(query) and "heavy" not in query for query in shared)
    world.now_s += 60
    with pytest.raises(NoDataError, match="took more than 3 s; namespace heavy is asked apart"):
        world.source.window(HEAVY, 60, world.now_s)


async def test_what_is_slow_is_read_apart_and_with_the_others_once_it_is_quick_again(world):
    world.fake.slow = {("heavy",): 10.0}
    await world.until_apart(1)
    world.fake.slow = {}
    seen = set()
    async with asyncio.timeout(60):
        while world.source.asked_apart:
            await world.read()
            await asyncio.sleep(0.1)
            with contextlib.suppress(NoDataError):  # not read yet since it was slow
                seen.add(world.age_s(HEAVY))
    assert seen  # it was read while it was asked apart
    await world.read()
    assert any(of_all(query) and "heavy" in query for query in world.asked)
    assert world.age_s(HEAVY) == 0


async def test_a_server_that_is_slow_for_all_is_asked_two_queries_more_and_blames_nobody(world):
    world.fake.slow = {("namespace",): 10.0}
    await world.read()
    await asyncio.sleep(2 * TIMEOUT_S + 0.3)  # until a search would have come to its end
    first = 2  # rows that a reading leaves out are left out in a query of their own
    assert len([query for query in world.fake.queries if "tenant-" in query]) <= first + 2
    await world.read()
    await asyncio.sleep(0.3)
    several = [query for query in world.fake.queries if "tenant-" in query]
    assert all(of_all(query) for query in several)  # nobody is looked for again so soon
    assert world.source.asked_apart == 0
    world.fake.slow = {}
    await world.read()
    assert world.age_s(HEAVY) == world.age_s(OTHERS[3]) == 0


async def test_a_healthy_server_is_asked_nothing_more(world):
    for _ in range(3):
        await world.read()
        several = [query for query in world.fake.queries if "tenant-" in query]
        assert several
        assert all(of_all(query) and "heavy" in query for query in several)


async def test_a_namespace_of_more_than_a_reply_may_hold_makes_nobodys_queries_smaller():
    async with fake_prometheus() as fake:
        fake.tells_time = False
        world = World(fake, source_of(fake, clock=lambda: NOW_S, max_series=40))
        await world.read()
        for number in range(50):
            fake.scrape(NOW_S + 6, busy(running=1), namespace="heavy", pod=f"more-{number}")
        await world.read()
        await world.until_apart(1)
        await world.read()
        shared = [query for query in world.asked if "tenant-" in query]
        assert len(shared) == 1
        assert of_all(shared[0])
        assert world.age_s(OTHERS[0]) == 0


async def test_a_scaler_that_begins_meanwhile_reads_the_others():
    async with fake_prometheus() as fake:
        fake.tells_time = False
        fake.slow = {("heavy",): 10.0}
        world = World(fake, source_of(fake, clock=lambda: NOW_S, timeout_s=TIMEOUT_S))
        async with asyncio.timeout(60):
            while not world.source.asked_apart:
                await world.read()
                await asyncio.sleep(0.05)
        await world.read()
        await world.read()
        assert [world.age_s(one) for one in OTHERS] == [0] * len(OTHERS)
        assert world.source.is_complete


@pytest.mark.parametrize("what", ["came{", "_bucket"])
async def test_who_is_slow_for_arrivals_or_lengths_alone_is_asked_apart_as_well(what):
    counted = [dataclasses.replace(one, arrival_query="came") for one in (HEAVY, *OTHERS)]
    query = 'last_over_time(came{namespace=~"$namespace",workload=~"$workload"}[60s])'
    async with fake_prometheus() as fake:
        fake.tells_time = False
        fake.slow = {("heavy", what): 10.0}
        source = source_of(fake, clock=lambda: NOW_S, timeout_s=TIMEOUT_S, queries={"came": query})
        for one in counted:
            fake.scrape(NOW_S, busy(running=1), namespace=one.namespace, pod="llm-0")
            came = row("came", 7, namespace=one.namespace, workload="llm")
            fake.scrape(NOW_S, came, job=one.namespace)
        await source.refresh(counted, 60, NOW_S)
        now_s = NOW_S
        async with asyncio.timeout(90):
            while source.asked_apart != 1:
                now_s += 61
                with contextlib.suppress(SourceError):
                    await source.refresh(counted, 60, now_s)
                await asyncio.sleep(0.1)
        fake.queries.clear()
        await source.refresh(counted, 60, now_s + 301)
        asked = [query for query in fake.queries if what in query and "tenant-3" in query]
        assert asked or what == "_bucket"  # lengths are asked for beside, maybe later
        assert not any("heavy" in query for query in asked)
