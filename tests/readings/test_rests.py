"""What is left alone: nothing is there before the next scrape, and nothing is missed by waiting."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.configuration import PrometheusServer, ScrapeIntervals
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.newest import newest_reported, next_reported_s
from scaler.readings.prometheus_source import PrometheusSource
from scaler.readings.series import Track
from scaler.source import Workload
from tests.fakes.fake_prometheus import fake_prometheus
from tests.readings.worlds import LLM, NOW_S, STEP_S, busy, row

INTERVAL_S = 15.0


@pytest.fixture
async def fake():
    async with fake_prometheus() as running:
        yield running


def source_of(fake):
    server = PrometheusServer(
        url=fake.url,
        scrape_interval=ScrapeIntervals(engine_s=STEP_S, cluster_s=STEP_S),
        ingestion_delay_s=0.0,
    )
    return PrometheusSource(server, profiles=shipped_profiles())


def scraped(fake, *ages_s, pod="llm-0", namespace="serve"):
    for age_s in ages_s:
        fake.scrape(NOW_S - age_s, busy(), namespace=namespace, pod=pod)


async def asked(fake, source, at_s, *workloads):
    """Return the queries for engines of a round."""
    fake.queries.clear()
    await source.refresh(workloads or [LLM], 60, at_s)
    return [query for query in fake.queries if "num_requests_running" in query]


def at(now_s, targets):
    """Return what there is to be known at an instant of targets that are scraped at a phase."""
    reports = []
    for own_s, phase_s, ends_s in targets:
        track, at_s = Track({}), phase_s
        while at_s <= min(now_s, ends_s):
            track.merge([(at_s, 1.0)])
            at_s += own_s
        reports.append((own_s, [track]))
    return reports


@given(
    targets=st.lists(
        st.tuples(
            st.sampled_from([INTERVAL_S, 5.0, 7.5, 30.0]),
            st.floats(0, 14.9),
            st.sampled_from([1e9, 1e9, 100.0]),
        ),
        min_size=1,
        max_size=5,
    ),
    polls=st.lists(st.floats(0.1, 20), min_size=1, max_size=10),
    delay_s=st.sampled_from([0.0, 3.0]),
)
@settings(deadline=None)
def test_while_it_rests_no_other_bucket_becomes_known(targets, polls, delay_s):
    now_s = 60.0
    for poll_s in polls:
        known = at(now_s, targets)
        times = {"interval_s": INTERVAL_S, "delay_s": delay_s}
        until_s = next_reported_s(known, now_s=now_s, **times)
        assert now_s <= until_s <= now_s + 2 * INTERVAL_S + delay_s
        newest = newest_reported(known, now_s=now_s, **times)
        while (now_s := now_s + 0.5) < until_s:
            assert newest_reported(at(now_s, targets), now_s=now_s, **times) == newest
        now_s += poll_s


async def test_between_two_scrapes_nothing_is_asked(fake):
    source = source_of(fake)
    scraped(fake, *range(61, 0, -5))
    assert await asked(fake, source, NOW_S)
    assert not await asked(fake, source, NOW_S + 2)
    scraped(fake, -4)
    assert await asked(fake, source, NOW_S + 4)
    assert source.window(LLM, 60, NOW_S + 4).latest.at_s == NOW_S + 5


async def test_the_last_to_report_is_waited_for(fake):
    source = source_of(fake)
    scraped(fake, *range(61, 0, -5), pod="llm-0")
    scraped(fake, *range(63, 0, -5), pod="llm-1")
    await asked(fake, source, NOW_S)
    scraped(fake, -2, pod="llm-1")
    assert not await asked(fake, source, NOW_S + 2)
    scraped(fake, -4, pod="llm-0")
    assert await asked(fake, source, NOW_S + 4)
    assert len(source.window(LLM, 60, NOW_S + 4).latest.replicas) == 2


async def test_who_is_overdue_is_asked_for_in_every_round(fake):
    source = source_of(fake)
    scraped(fake, *range(61, 0, -5))
    await asked(fake, source, NOW_S)
    for late_s in (4, 6, 8, 20, 40):
        assert await asked(fake, source, NOW_S + late_s)


async def test_who_is_at_zero_and_may_wake_is_asked_for_in_every_round(fake):
    source = source_of(fake)
    for at_s in (-1, 2, 4):
        assert await asked(fake, source, NOW_S + at_s)


async def test_a_replica_that_is_ready_and_has_not_reported_is_asked_for_in_every_round(fake):
    source = source_of(fake)
    scraped(fake, *range(61, 0, -5))
    for age_s in range(61, -10, -5):
        ready = row("kube_statefulset_status_replicas_ready", 2, **NAMED)
        fake.scrape(NOW_S - age_s, ready + row("kube_statefulset_replicas", 2, **NAMED))
    for at_s in (0, 1, 2):
        assert await asked(fake, source, NOW_S + at_s)
    scraped(fake, 8, 3, pod="llm-1")
    assert await asked(fake, source, NOW_S + 2)
    assert not await asked(fake, source, NOW_S + 2.5)


async def test_a_namespace_that_rests_is_left_out_of_a_query_for_others(fake):
    other = Workload(namespace="other", scaled_object="llm", kind="StatefulSet", name="llm")
    source = source_of(fake)
    scraped(fake, *range(61, 0, -5))
    scraped(fake, *range(63, 0, -5), namespace="other")
    await asked(fake, source, NOW_S, LLM, other)
    (query,) = await asked(fake, source, NOW_S + 2, LLM, other)
    assert 'namespace=~"other"' in query


async def test_kube_state_metrics_is_asked_once_in_an_interval(fake):
    source = source_of(fake)
    scraped(fake, *range(61, 0, -5))
    for age_s in range(62, 0, -5):
        fake.scrape(NOW_S - age_s, row("kube_statefulset_replicas", 1, **NAMED))
    asked_at = []
    for at_s in (0, 1, 2, 3, 4):
        await asked(fake, source, NOW_S + at_s)
        asked_at += [at_s for query in fake.queries if "kube_statefulset_replicas" in query]
        fake.scrape(NOW_S + 3, row("kube_statefulset_replicas", 1, **NAMED)) if at_s == 2 else None
    assert sorted(set(asked_at)) == [0, 3]


NAMED = {"namespace": "serve", "statefulset": "llm"}


def of(name):
    return Workload(namespace="serve", scaled_object=name, kind="StatefulSet", name=name)


async def test_of_a_namespace_of_many_those_pods_are_asked_for_that_can_have_reported(fake):
    workloads = [of(name) for name in ("a", "b", "c")]
    source = source_of(fake)
    for number, workload in enumerate(workloads):
        scraped(fake, *range(61 + number, 0, -5), pod=f"{workload.name}-0")
    await asked(fake, source, NOW_S, *workloads)
    scraped(fake, -2, pod="c-0")
    (query,) = await asked(fake, source, NOW_S + 2, *workloads)
    assert 'pod=~"c-0"' in query
    assert source.window(of("c"), 60, NOW_S + 2).latest.at_s == NOW_S + 5
    assert source.window(of("a"), 60, NOW_S + 2).latest.at_s == NOW_S


async def test_who_is_late_is_asked_for_by_name_and_after_half_an_interval_with_all(fake):
    workloads = [of(name) for name in ("a", "b", "c")]
    source = source_of(fake)
    for number, (workload, until_s) in enumerate(zip(workloads, (10, 10, 0), strict=True)):
        scraped(fake, *range(61 + number, -until_s, -5), pod=f"{workload.name}-0")
    await asked(fake, source, NOW_S, *workloads)
    for at_s, named in ((2, "c-0"), (3, "b-0|c-0"), (4, "a-0|c-0"), (5, "c-0"), (5.5, None)):
        (query,) = await asked(fake, source, NOW_S + at_s, *workloads)
        assert (f'pod=~"{named}"' in query) is (named is not None)
        assert ("pod=~" in query) is (named is not None)


async def test_a_pod_that_appears_among_others_is_read_from_its_beginning(fake):
    workloads = [of(name) for name in ("a", "b", "c")]
    source = source_of(fake)
    for number, workload in enumerate(workloads):
        scraped(fake, *range(61 + number, -30, -5), pod=f"{workload.name}-0")
    scraped(fake, *range(-2, -30, -5), pod="a-1")
    for step in range(30):
        await asked(fake, source, NOW_S + step, *workloads)
    samples = source.window(of("a"), 60, NOW_S + 29).samples
    assert next(one.at_s - NOW_S for one in samples if len(one.replicas) == 2) == 5


async def test_no_answer_waits_for_what_is_read_once_a_minute(fake):
    source = source_of(fake)
    info = row("vllm:cache_config_info", engine="0", num_gpu_blocks="100", block_size="16")
    for age_s in range(61, -80, -5):
        fake.scrape(NOW_S - age_s, busy() + info, namespace="serve", pod="llm-0")
    for step in range(4, 75, 5):
        await source.refresh([LLM], 60, NOW_S + step)
        latest = source.window(LLM, 60, NOW_S + step).latest
        assert latest.at_s == NOW_S + step + 1
        assert latest.replicas[0].kv_blocks == 100
