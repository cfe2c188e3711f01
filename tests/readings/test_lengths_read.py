"""When token lengths are read: at the same marks by everybody, and sooner where there are none."""

from scaler.readings.lengths_read import MARK_S
from scaler.source import Workload
from tests.fakes.fake_prometheus import fake_prometheus
from tests.readings.test_prometheus_source import source_of
from tests.readings.worlds import busy, row

MARK = 3_000_000 * MARK_S
LLM = Workload(namespace="serve", scaled_object="llm", kind="StatefulSet", name="llm")


def served(fake, at_s, count):
    """Scrape a pod that has served so many requests of at most a hundred tokens."""
    bucket = row("vllm:request_prompt_tokens_bucket", count, engine="0", le="100.0")
    total = row("vllm:request_prompt_tokens_bucket", count, engine="0", le="+Inf")
    fake.scrape(at_s, busy() + bucket + total, namespace="serve", pod="llm-0")


async def counted(source, at_s):
    await source.refresh([LLM], 60, at_s)
    found = source.window(LLM, 60, at_s).lengths.prompt_tokens
    return None if found is None else found.total


async def test_they_are_read_as_of_a_mark_whoever_reads_them_and_when():
    async with fake_prometheus() as fake:
        for at_s in range(-600, 200, 5):
            served(fake, MARK + at_s, at_s + 600)
        early, late = source_of(fake), source_of(fake)
        first = await counted(early, MARK + 10)
        assert first == await counted(late, MARK + 190)
        fake.queries.clear()
        assert await counted(early, MARK + 190) == first
        assert not [query for query in fake.queries if "_bucket" in query]


async def test_where_there_were_none_yet_they_are_looked_for_each_minute():
    async with fake_prometheus() as fake:
        source = source_of(fake)
        fake.scrape(MARK + 10, busy(), namespace="serve", pod="llm-0")
        assert await counted(source, MARK + 10) is None
        for at_s in range(15, 80, 5):
            served(fake, MARK + at_s, at_s)
        assert await counted(source, MARK + 60) is None
        assert await counted(source, MARK + 75)


async def test_a_new_mark_is_a_new_reading():
    async with fake_prometheus() as fake:
        for at_s in range(-600, 400, 5):
            served(fake, MARK + at_s, at_s + 600)
        source = source_of(fake)
        first = await counted(source, MARK + 10)
        assert await counted(source, MARK + MARK_S + 10) > first
