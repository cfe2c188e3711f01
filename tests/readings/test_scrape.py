"""Scraping real HTTP servers: what is read, and what happens when they do not answer."""

import pytest

from scaler.errors import NoDataError, SourceError
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.scrape import ScrapeSource, Target
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from tests.fakes.exposition import exporter
from tests.readings.worlds import LLM, NOW_S, busy, row


def source_of(*targets):
    return ScrapeSource(
        lambda: targets,
        profiles=shipped_profiles(),
        timing=Timing(interval_s={Exporter.ENGINE: 5.0}),
        timeout_s=1.0,
    )


@pytest.fixture
async def world():
    pages = {
        "/pod-0": busy(running=3),
        "/pod-1": busy(running=4),
        "/gpu": row("DCGM_FI_DEV_FB_USED", 9, UUID="GPU-1", namespace="serve", pod="llm-0"),
        "/cluster": row("kube_statefulset_replicas", 3, namespace="serve", statefulset="llm"),
    }
    async with exporter(pages) as fake:
        targets = (
            Target(url=f"{fake.url}/pod-0", namespace="serve", pod="llm-0"),
            Target(url=f"{fake.url}/pod-1", namespace="serve", pod="llm-1"),
            Target(url=f"{fake.url}/gpu"),
            Target(url=f"{fake.url}/cluster"),
        )
        source = source_of(*targets)
        yield fake, source
        await source.close()


async def test_pods_gpus_and_cluster_come_together(world):
    _, source = world
    await source.refresh([LLM], 60, NOW_S)
    sample = source.window(LLM, 60, NOW_S).latest
    assert [(r.name, r.requests_running) for r in sample.replicas] == [("llm-0", 3), ("llm-1", 4)]
    assert sample.replicas[0].gpu_memory_used_mib == 9
    assert (sample.spec_replicas, sample.targets_up) == (3, 2)


async def test_a_pod_that_stops_answering_is_down_at_once_and_missing_when_stale(world):
    fake, source = world
    await source.refresh([LLM], 60, NOW_S)
    fake.pages["/pod-1"] = None
    for age_s in (5, 10, 15):
        await source.refresh([LLM], 60, NOW_S + age_s)
    samples = source.window(LLM, 60, NOW_S + 15).samples
    assert [len(sample.replicas) for sample in samples] == [2, 2, 2, 1]
    assert [sample.targets_up for sample in samples] == [2, 1, 1, 1]


async def test_a_world_that_answers_nothing_is_an_error_and_its_readings_grow_old(world):
    fake, source = world
    await source.refresh([LLM], 60, NOW_S)
    fake.pages.clear()
    with pytest.raises(SourceError, match="http: .*answered 500"):
        await source.refresh([LLM], 60, NOW_S + 5)
    assert source.window(LLM, 60, NOW_S + 5).latest.replicas
    with pytest.raises(NoDataError, match="serve/llm: no fresh readings of StatefulSet/llm"):
        source.window(LLM, 60, NOW_S + 60)


async def test_token_lengths_are_counted_from_the_pods_own_buckets(world):
    fake, source = world

    async def lengths_after(at_s, first, second):
        for pod, (short, both) in (("0", first), ("1", second)):
            fake.pages[f"/pod-{pod}"] = busy() + "".join(
                row("vllm:request_prompt_tokens_bucket", count, engine="0", le=le)
                for le, count in (("100.0", short), ("+Inf", both))
            )
        await source.refresh([LLM], 60, at_s)
        return source.window(LLM, 60, at_s).lengths.prompt_tokens

    await source.refresh([LLM], 60, NOW_S)  # finds out which engine there is
    first = await lengths_after(NOW_S + 5, (1, 3), (2, 2))
    assert first.counts == (3, 2)
    later = await lengths_after(NOW_S + 3700, (5, 9), (1, 1))
    assert later.counts == (5, 2)  # one pod in the last hour; the other began anew


async def test_a_server_that_is_not_there_is_refused():
    source = source_of(Target(url="http://127.0.0.1:9/metrics", namespace="serve", pod="llm-0"))
    with pytest.raises(SourceError, match="refused: "):
        await source.refresh([LLM], 60, NOW_S)
    with pytest.raises(NoDataError, match="no fresh readings of StatefulSet/llm, and none before"):
        source.window(LLM, 60, NOW_S)
    await source.close()


async def test_a_page_of_html_is_no_reading(world):
    fake, source = world
    fake.pages["/pod-0"] = "<html>not here</html>"
    await source.refresh([LLM], 60, NOW_S)
    sample = source.window(LLM, 60, NOW_S).latest
    assert [replica.name for replica in sample.replicas] == ["llm-1"]
    assert sample.targets_up == 1
