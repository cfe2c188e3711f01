"""What there is to be read is looked for each minute, and what was found no oftener than needed."""

import pytest

from scaler.readings.probe import AGAIN_S
from tests.fakes.fake_prometheus import fake_prometheus
from tests.readings.test_prometheus_source import source_of
from tests.readings.worlds import LLM, NOW_S, busy

MINUTE_S = 61


@pytest.fixture
async def fake():
    async with fake_prometheus() as running:
        for age_s in range(61, -int(AGAIN_S) - 130, -5):
            running.scrape(NOW_S - age_s, busy(), namespace="serve", pod="llm-0")
        yield running


async def looked_in(fake, source, at_s):
    """Return the labels in which engines are looked for in a round."""
    fake.queries.clear()
    await source.refresh([LLM], 60, at_s)
    looks = [one for one in fake.queries if one.startswith("label_replace(count(")]
    engines = " ".join(one for one in looks if "num_requests_running" in one)
    labels = ("namespace", "exported_namespace")
    return {label for label in labels if f'"found","{label}"' in engines}


async def test_rows_that_were_found_are_looked_for_again_after_some_minutes(fake):
    source = source_of(fake)
    every = {"namespace", "exported_namespace"}
    assert await looked_in(fake, source, NOW_S) == every
    minutes = [NOW_S + MINUTE_S * number for number in range(1, 6)]
    looks = [await looked_in(fake, source, at_s) for at_s in minutes]
    assert looks == [every - {"namespace"}] * 4 + [every]
    await source.close()


async def test_rows_under_another_label_are_found_within_a_minute(fake):
    source = source_of(fake)
    await source.refresh([LLM], 60, NOW_S)
    for at_s in range(0, MINUTE_S, 5):
        page = busy().replace("{", '{namespace="serve",pod="llm-1",')
        fake.scrape(NOW_S + at_s, page, namespace="monitoring", pod="collector")
    await source.refresh([LLM], 60, NOW_S + MINUTE_S)
    fake.queries.clear()
    await source.refresh([LLM], 60, NOW_S + MINUTE_S + 10)
    raw = [one for one in fake.queries if "num_requests_running" in one and one.endswith("s]")]
    assert [one for one in raw if 'exported_namespace=~"serve"' in one]
    assert [one for one in raw if ',namespace=~"serve"' in one]
    await source.close()
