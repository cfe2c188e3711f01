"""Many workloads read off one Prometheus: how many queries, what of an outage, what of a shard."""

import itertools
import re

import pytest
from aiohttp import web

from scaler.configuration import PrometheusServer, ScrapeIntervals
from scaler.errors import NoDataError, SourceError
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.prometheus_source import BESIDE_S, SLOW_S, PrometheusSource
from scaler.source import Workload
from tests.fakes.fake_prometheus import fake_prometheus
from tests.readings.worlds import LLM, NOW_S, STEP_S, busy, row


@pytest.fixture
async def fake():
    async with fake_prometheus() as running:
        yield running


def source_of(fake, clock=None, queries=None, **more):
    server = PrometheusServer(
        url=fake.url,
        scrape_interval=ScrapeIntervals(engine_s=STEP_S),
        **{"ingestion_delay_s": 0.0, "timeout_s": 5.0, **more},
    )
    return PrometheusSource(server, profiles=shipped_profiles(), clock=clock, queries=queries)


def workload(name, namespace="serve"):
    return Workload(namespace=namespace, scaled_object=name, kind="StatefulSet", name=name)


def history(fake, seconds, load, pod="llm-0", until_s=NOW_S, **target):
    """Scrape a pod every interval; ``load`` is the requests running at an age in seconds."""
    for age_s in range(int(seconds), -1, -int(STEP_S)):
        page = busy(running=load(age_s), generation_tokens_total=1e6 - age_s)
        fake.scrape(until_s - age_s, page, namespace="serve", pod=pod, **target)


def running(window):
    return [sum(r.requests_running or 0 for r in s.replicas) for s in window.samples]


async def test_the_first_read_takes_the_whole_lookback_and_the_next_what_is_new(fake):
    source = source_of(fake)
    history(fake, 300, lambda age_s: age_s)
    await source.refresh([LLM], 300, NOW_S)
    window = source.window(LLM, 300, NOW_S)
    assert window.samples[0].at_s == NOW_S - 295
    assert running(window)[-3:] == [10, 5, 0]
    fake.queries.clear()
    fake.scrape(NOW_S + 5, busy(running=7), namespace="serve", pod="llm-0")
    await source.refresh([LLM], 300, NOW_S + 5)
    assert running(source.window(LLM, 300, NOW_S + 5))[-3:] == [5, 0, 7]
    spans = {query.rpartition("[")[2] for query in fake.queries}
    assert spans == {"28s]"}  # stale after 12.5 s, two buckets, and one since the last read


async def test_a_late_sample_gets_in(fake):
    source = source_of(fake)
    history(fake, 60, lambda age_s: 1)
    await source.refresh([LLM], 60, NOW_S + 10)
    assert running(source.window(LLM, 60, NOW_S + 10))[-3:] == [1, 1, 1]
    fake.scrape(NOW_S + 10, busy(running=9), namespace="serve", pod="llm-0")
    fake.scrape(NOW_S + 5, busy(running=5), namespace="serve", pod="llm-0")
    await source.refresh([LLM], 60, NOW_S + 11)
    assert running(source.window(LLM, 60, NOW_S + 10))[-3:] == [1, 5, 9]


async def test_asking_twice_changes_nothing(fake):
    source = source_of(fake)
    history(fake, 120, lambda age_s: age_s)
    await source.refresh([LLM], 120, NOW_S)
    before = source.window(LLM, 120, NOW_S)
    await source.refresh([LLM], 120, NOW_S)
    assert source.window(LLM, 120, NOW_S) == before


async def test_two_sources_that_began_at_different_times_agree(fake):
    history(fake, 900, lambda age_s: age_s % 70)
    old, new = source_of(fake), source_of(fake)
    for age_s in range(300, -1, -10):
        await old.refresh([LLM], 300, NOW_S - age_s, history_s=900)
        old.window(LLM, 300, NOW_S - age_s)
    for _ in range(2):
        await new.refresh([LLM], 300, NOW_S, history_s=900)
    assert new.is_complete
    assert old.window(LLM, 300, NOW_S) == new.window(LLM, 300, NOW_S)


async def test_a_server_that_runs_reads_history_an_hour_a_round_thinned(fake):
    fake.tells_time = False
    source = source_of(fake, clock=lambda: NOW_S)
    history(fake, 9000, lambda age_s: age_s)

    async def an_hour_more():
        await source.refresh([LLM], 300, NOW_S, history_s=7200)
        if source._beside is not None:  # where that took longer than a round waits for it
            await source._beside

    await an_hour_more()
    assert not source.is_complete
    first = source.window(LLM, 300, NOW_S).history
    assert NOW_S - first[0].at_s == 3895
    await an_hour_more()
    assert not source.is_complete
    await an_hour_more()
    assert source.is_complete
    whole = source.window(LLM, 300, NOW_S).history
    assert NOW_S - whole[0].at_s == pytest.approx(7200, abs=10)
    assert len(whole) == pytest.approx(2 * 115, abs=3)


async def test_of_a_past_all_the_history_is_read_before_a_refresh_ends(fake):
    source = source_of(fake)
    history(fake, 9000, lambda age_s: age_s)
    await source.refresh([LLM], 300, NOW_S, history_s=96 * 3600)
    assert source.is_complete
    whole = source.window(LLM, 300, NOW_S).history
    assert NOW_S - whole[0].at_s == pytest.approx(9000, abs=10)
    assert len(fake.queries) < 300  # four days, of which most hold nothing


async def test_a_past_that_cannot_be_read_is_given_up_after_a_few_tries(fake):
    source = source_of(fake)
    history(fake, 4000, lambda age_s: age_s)
    fake.longest_s = 500.0  # of the newest readings nothing is longer, of what is older all is
    await source.refresh([LLM], 300, NOW_S, history_s=7200)
    assert not source.is_complete
    assert source.window(LLM, 300, NOW_S).history == ()


async def test_an_outage_is_filled_from_what_the_server_kept(fake):
    source = source_of(fake)
    history(fake, 120, lambda age_s: 1)
    await source.refresh([LLM], 300, NOW_S)
    fake.answer = web.Response(status=503)
    with pytest.raises(SourceError, match="http: .*answered 503"):
        await source.refresh([LLM], 300, NOW_S + 60)
    with pytest.raises(NoDataError, match="no fresh readings.*50 s ago.*; http: .*answered 503"):
        source.window(LLM, 300, NOW_S + 60)
    fake.answer = None
    history(fake, 115, lambda age_s: 3, until_s=NOW_S + 120)
    await source.refresh([LLM], 300, NOW_S + 120)
    assert running(source.window(LLM, 300, NOW_S + 120))[-25:] == [1] + [3] * 24


@pytest.mark.parametrize(
    ("ill", "says"),
    [
        pytest.param({"delay_s": 10.0}, "timeout: .* took more than 5 s", id="slow"),
        pytest.param({"answer": web.Response(text="<html>")}, "format: ", id="HTML"),
        pytest.param({"warnings": ["a store is down"]}, "partial: .*store is down", id="partial"),
    ],
)
async def test_a_server_that_is_ill_is_told_and_comes_back(fake, ill, says):
    source = source_of(fake)
    history(fake, 60, lambda age_s: 1)
    await source.refresh([LLM], 60, NOW_S)
    well = {name: getattr(fake, name) for name in ill}
    for name, value in ill.items():
        setattr(fake, name, value)
    with pytest.raises(SourceError, match=says):
        await source.refresh([LLM], 60, NOW_S + 61)
    assert source.window(LLM, 60, NOW_S).latest.replicas
    for name, value in well.items():
        setattr(fake, name, value)
    fake.scrape(NOW_S + 65, busy(running=8), namespace="serve", pod="llm-0")
    await source.refresh([LLM], 60, NOW_S + 65)
    assert running(source.window(LLM, 60, NOW_S + 65))[-1] == 8


async def test_a_server_that_is_stopped_is_told_and_what_it_has_is_read_when_it_is_back():
    async with fake_prometheus() as fake:
        source = source_of(fake)
        history(fake, 60, lambda age_s: 1)
        await source.refresh([LLM], 120, NOW_S)
    with pytest.raises(SourceError, match="refused: http://127.0.0.1"):
        await source.refresh([LLM], 120, NOW_S + 5)
    assert running(source.window(LLM, 120, NOW_S + 5))[-1] == 1
    with pytest.raises(NoDataError, match="the newest ended 20 s ago.*; refused: "):
        source.window(LLM, 120, NOW_S + 30)
    async with fake_prometheus(fake, int(fake.url.rpartition(":")[2])):
        history(fake, 55, lambda age_s: 2, until_s=NOW_S + 60)
        await source.refresh([LLM], 120, NOW_S + 60)
    assert running(source.window(LLM, 120, NOW_S + 60))[-13:] == [1] + [2] * 12
    await source.close()


async def test_an_empty_server_answers_and_holds_nothing(fake):
    source = source_of(fake)
    await source.refresh([LLM], 60, NOW_S)
    with pytest.raises(NoDataError, match="no fresh readings of StatefulSet/llm, and none before"):
        source.window(LLM, 60, NOW_S)


@pytest.mark.parametrize("count", [1, 40])
async def test_the_number_of_queries_does_not_depend_on_the_number_of_workloads(fake, count):
    workloads = [workload(f"llm{number}") for number in range(count)]
    source = source_of(fake)
    for number in range(count):
        fake.scrape(NOW_S, busy(), namespace="serve", pod=f"llm{number}-0")
    await source.refresh(workloads, 60, NOW_S)
    fake.queries.clear()
    await source.refresh(workloads, 60, NOW_S + 5)
    # Of an engine by so many names, and where it picks its rows; no GPUs, no cluster.
    assert len(fake.queries) == 2


async def test_exporters_that_are_there_are_read_by_the_label_that_names_the_pod(fake):
    source = source_of(fake)
    fake.scrape(NOW_S, busy(), namespace="serve", pod="llm-0")
    used = row("DCGM_FI_DEV_FB_USED", 9, UUID="a", namespace="serve", pod="llm-0")
    fake.scrape(NOW_S, used, namespace="gpu", pod="exporter")
    fake.scrape(NOW_S, row("kube_statefulset_replicas", 2, namespace="serve", statefulset="llm"))
    await source.refresh([LLM], 60, NOW_S)
    latest = source.window(LLM, 60, NOW_S).latest
    assert (latest.replicas[0].gpu_memory_used_mib, latest.spec_replicas) == (9, 2)
    asked = [query for query in fake.queries if query.startswith("DCGM_FI_DEV_FB_USED")]
    assert asked == ['DCGM_FI_DEV_FB_USED{exported_namespace=~"serve",pod_namespace=""}[83s]']


async def test_matchers_of_the_server_are_in_every_query(fake):
    source = source_of(fake, matchers=(("cluster", "eu1"),))
    for cluster in ("eu1", "us1"):
        load = 3 if cluster == "eu1" else 50
        fake.scrape(NOW_S, busy(running=load), namespace="serve", pod="llm-0", cluster=cluster)
    await source.refresh([LLM], 60, NOW_S)
    assert running(source.window(LLM, 60, NOW_S))[-1] == 3
    assert all('cluster="eu1"' in query for query in fake.queries)


async def test_copies_of_a_series_count_once(fake):
    source = source_of(fake, replica_labels=("replica",))
    for replica, load in (("a", 3), ("b", 4)):
        fake.scrape(NOW_S, busy(running=load), namespace="serve", pod="llm-0", replica=replica)
    await source.refresh([LLM], 60, NOW_S)
    assert running(source.window(LLM, 60, NOW_S))[-1] == 4


async def test_a_shard_that_fails_blinds_its_own_namespaces_only(fake):
    one, other = workload("llm"), workload("llm", "other")
    source = source_of(fake, max_series=4)
    fake.scrape(NOW_S, busy(running=1), namespace="serve", pod="llm-0")
    for number in range(5):
        fake.scrape(NOW_S, busy(running=1), namespace="other", pod=f"llm-{number}")
    await source.refresh([one, other], 60, NOW_S)
    assert running(source.window(one, 60, NOW_S)) == [1]
    with pytest.raises(NoDataError, match="other/llm: .*; limit: 5 series, more than maxSeries"):
        source.window(other, 60, NOW_S)


async def test_a_reply_that_is_too_large_is_asked_for_in_parts(fake):
    workloads = [workload("llm", f"ns-{number}") for number in range(6)]
    source = source_of(fake, max_series=2)
    for one in workloads:
        fake.scrape(NOW_S, busy(running=1), namespace=one.namespace, pod="llm-0")
    await source.refresh(workloads, 60, NOW_S)
    assert [running(source.window(one, 60, NOW_S)) for one in workloads] == [[1]] * 6
    fake.queries.clear()
    await source.refresh(workloads, 60, NOW_S + 5)
    running_queries = [query for query in fake.queries if "num_requests_running" in query]
    assert len(running_queries) == 6  # the first try taught how much is too much


async def test_token_lengths_are_added_up_over_the_pods_of_a_workload(fake):
    source = source_of(fake)
    chat = workload("chat")
    for at_s, factor in ((NOW_S - 600, 0), (NOW_S, 1)):
        for pod, short, long in (("llm-0", 10, 5), ("llm-1", 20, 5), ("chat-0", 1, 0)):
            buckets = "".join(
                row("vllm:request_prompt_tokens_bucket", factor * count, engine="0", le=le)
                for le, count in (
                    ("100.0", short),
                    ("1000.0", short + long),
                    ("+Inf", short + long),
                )
            )
            fake.scrape(at_s, busy() + buckets, namespace="serve", pod=pod)
    await source.refresh([LLM, chat], 60, NOW_S)
    lengths = source.window(LLM, 60, NOW_S).lengths
    assert lengths.prompt_tokens.counts == (30, 10, 0)
    assert lengths.prompt_tokens.upper[:2] == (100, 1000)
    assert lengths.output_tokens is None
    assert source.window(chat, 60, NOW_S).lengths.prompt_tokens.total == 1


async def test_what_changes_with_a_pod_is_read_when_one_appears(fake):
    source = source_of(fake)
    info = row("vllm:cache_config_info", engine="0", num_gpu_blocks="100", block_size="16")
    fake.scrape(NOW_S, busy() + info, namespace="serve", pod="llm-0")
    await source.refresh([LLM], 60, NOW_S)
    fake.scrape(NOW_S + 5, busy() + info, namespace="serve", pod="llm-1")
    await source.refresh([LLM], 60, NOW_S + 5)
    replicas = source.window(LLM, 60, NOW_S + 5).latest.replicas
    assert [replica.kv_blocks for replica in replicas] == [100, 100]


async def test_a_workload_that_registers_later_has_its_whole_lookback(fake):
    chat = workload("chat")
    source = source_of(fake)
    for pod in ("llm-0", "chat-0"):
        history(fake, 300, lambda age_s: 2, pod=pod)
    await source.refresh([LLM], 300, NOW_S - 60)
    await source.refresh([LLM, chat], 300, NOW_S)
    assert len(source.window(chat, 300, NOW_S).samples) == len(
        source.window(LLM, 300, NOW_S).samples
    )


def counted(name):
    return Workload(
        namespace="serve",
        scaled_object=name,
        kind="StatefulSet",
        name=name,
        arrival_query="came",
    )


async def arrivals_of(fake, query, *names):
    workloads = [counted(name) for name in names]
    server = PrometheusServer(url=fake.url, ingestion_delay_s=0.0)
    source = PrometheusSource(server, profiles=shipped_profiles(), queries={"came": query})
    await source.refresh(workloads, 60, NOW_S)
    return [source.window(one, 60, NOW_S).latest.arrivals_total for one in workloads]


async def test_one_query_counts_the_arrivals_of_all_workloads_that_name_it(fake):
    query = 'last_over_time(came{namespace=~"$namespace",workload=~"$workload"}[60s])'
    for name, count in (("llm", 5), ("chat", 7), ("other", 9)):
        fake.scrape(NOW_S, busy(), namespace="serve", pod=f"{name}-0")
        fake.scrape(NOW_S, row("came", count, namespace="serve", workload=name), job=name)
    assert await arrivals_of(fake, query, "llm", "chat") == [5, 7]
    filled = 'last_over_time(came{namespace=~"serve",workload=~"chat|llm"}[60s])'
    assert [query for query in fake.queries if "came" in query] == [
        f"({filled}\n)[60s:15s]",
        filled,
    ]


def tally(fake, seconds):
    """Scrape every 5 s a busy pod, and a counter that rises by one each second."""
    for age_s in range(seconds, -1, -5):
        fake.scrape(NOW_S - age_s, busy(), namespace="serve", pod="llm-0")
        fake.scrape(NOW_S - age_s, row("came", 1e4 - age_s), job="door")


def counting(fake):
    server = PrometheusServer(url=fake.url, ingestion_delay_s=0.0)
    queries = {"came": "last_over_time(came{}[60s])"}
    return PrometheusSource(server, profiles=shipped_profiles(), queries=queries)


def rises(samples):
    counts = [one.arrivals_total for one in samples]
    return [after - before for before, after in itertools.pairwise(counts)]


async def test_arrivals_between_two_reads_far_apart_are_counted_bucket_by_bucket(fake):
    tally(fake, 900)
    source, llm = counting(fake), counted("llm")
    for at_s in (NOW_S - 300, NOW_S):
        await source.refresh([llm], 600, at_s)
    samples = source.window(llm, 590, NOW_S).samples
    assert len(samples) >= 118
    assert rises(samples) == [5] * (len(samples) - 1)


async def test_a_read_soon_after_another_asks_for_the_count_of_now_alone(fake):
    tally(fake, 300)
    source, llm = counting(fake), counted("llm")
    for at_s in (NOW_S - 10, NOW_S - 5, NOW_S):
        await source.refresh([llm], 100, at_s)
    asked = [query for query in fake.queries if "came" in query]
    assert [query.startswith("(") for query in asked] == [True, False, False, False]


async def test_history_and_recordings_count_arrivals_too(fake):
    tally(fake, 5000)
    source, llm = counting(fake), counted("llm")
    for _ in range(3):
        await source.refresh([llm], 300, NOW_S, history_s=4000)
    history = source.window(llm, 300, NOW_S).history
    recorded = (await source.recording(llm, since_s=NOW_S - 900, until_s=NOW_S)).samples
    assert all(one.arrivals_total == 1e4 - (NOW_S - one.at_s) for one in history)
    assert rises(recorded) == [5] * 179


async def test_a_query_of_one_workload_needs_no_labels(fake):
    fake.scrape(NOW_S, busy() + row("came", 5, at="door"), namespace="serve", pod="llm-0")
    assert await arrivals_of(fake, 'last_over_time(came{at="door"}[60s])', "llm") == [5]


async def test_rows_that_cannot_be_told_apart_are_nobody_s(fake, caplog):
    for name in ("llm", "chat"):
        fake.scrape(NOW_S, busy() + row("came", 5, at="door"), namespace="serve", pod=f"{name}-0")
    assert await arrivals_of(fake, 'last_over_time(came{at="door"}[60s])', "llm", "chat") == [
        None,
        None,
    ]
    assert "query came: several workloads share it" in caplog.text


async def test_a_recording_is_the_whole_past_in_fine_samples(fake):
    history(fake, 9000, lambda age_s: age_s % 50)
    source = source_of(fake)
    window = await source.recording(LLM, since_s=NOW_S - 8000, until_s=NOW_S)
    assert len(window.samples) == 1600
    assert running(window) == [age_s % 50 for age_s in range(7995, -1, -5)]
    await source.refresh([LLM], 300, NOW_S)
    recent = source.window(LLM, 300, NOW_S).samples
    assert window.samples[-len(recent) :] == recent


async def test_a_recording_of_nothing_is_no_data(fake):
    with pytest.raises(NoDataError, match="StatefulSet/llm in serve has no readings"):
        await source_of(fake).recording(LLM, since_s=NOW_S - 100, until_s=NOW_S)


async def test_an_engine_left_to_be_found_out_is_recorded_in_full(fake):
    history(fake, 100, lambda age_s: 1)
    found = Workload(
        namespace="serve", scaled_object="llm", kind="StatefulSet", name="llm", engine="auto"
    )
    window = await source_of(fake).recording(found, since_s=NOW_S - 100, until_s=NOW_S)
    assert window.latest.replicas[0].generation_tokens_total == 1e6


async def test_a_range_of_too_many_samples_is_read_in_halves(fake):
    history(fake, 2400, lambda age_s: age_s % 90)
    fake.longest_s = 700
    source = source_of(fake)
    await source.refresh([LLM], 2400, NOW_S)
    window = source.window(LLM, 2400, NOW_S)
    assert running(window) == [age_s % 90 for age_s in range(2395, -1, -5)]


async def test_history_that_could_not_be_read_is_tried_again(fake):
    history(fake, 5000, lambda age_s: 1)
    source = source_of(fake)
    await source.refresh([LLM], 300, NOW_S)
    assert source.is_complete
    fake.longest_s = 200
    for _ in range(2):
        await source.refresh([LLM], 300, NOW_S, history_s=3900)
        assert not source.is_complete
    fake.longest_s = 10_000
    for _ in range(2):
        await source.refresh([LLM], 300, NOW_S, history_s=3900)
    assert source.is_complete
    assert NOW_S - source.window(LLM, 300, NOW_S).history[0].at_s == pytest.approx(3900, abs=60)


async def test_a_recording_that_could_not_be_read_says_why(fake):
    history(fake, 100, lambda age_s: 1)
    fake.longest_s = 10
    with pytest.raises(SourceError, match="limit: .*too many samples"):
        await source_of(fake).recording(LLM, since_s=NOW_S - 100, until_s=NOW_S)


async def test_a_server_that_refuses_several_names_is_asked_by_exact_ones_from_then_on(fake):
    fake.exact_names = True
    source = source_of(fake)
    history(fake, 60, lambda age_s: age_s)
    await source.refresh([LLM], 60, NOW_S)
    assert running(source.window(LLM, 60, NOW_S))[-3:] == [10, 5, 0]
    assert sum("__name__=~" in query for query in fake.queries) == 1
    fake.queries.clear()
    fake.scrape(NOW_S + 5, busy(running=7), namespace="serve", pod="llm-0")
    await source.refresh([LLM], 60, NOW_S + 5)
    assert running(source.window(LLM, 60, NOW_S + 5))[-1] == 7
    assert not any("__name__=~" in query for query in fake.queries)


async def test_exact_names_and_several_at_once_read_the_same(fake):
    history(fake, 120, lambda age_s: age_s)
    windows = []
    for fake.exact_names in (False, True):
        source = source_of(fake)
        await source.refresh([LLM], 120, NOW_S)
        windows.append(source.window(LLM, 120, NOW_S))
        await source.close()
    assert windows[0] == windows[1]


async def test_a_server_that_refuses_everything_is_not_taken_for_one_of_exact_names(fake):
    source = source_of(fake)
    fake.answer = web.Response(status=503, text="no")
    with pytest.raises(SourceError, match="answered 503"):
        await source.refresh([LLM], 60, NOW_S)
    fake.answer = None
    history(fake, 60, lambda age_s: age_s)
    fake.queries.clear()
    await source.refresh([LLM], 60, NOW_S)
    assert any("__name__=~" in query for query in fake.queries)


def sent_later(fake, from_s, until_s, pods=("llm-0",)):
    """Let a server have what was scraped in a span: it came only now."""
    for age in range(int(until_s - from_s), -1, -int(STEP_S)):
        at_s = until_s - age
        for pod in pods:
            page = busy(running=4, generation_tokens_total=at_s - NOW_S + 1e6)
            fake.scrape(at_s, page, namespace="serve", pod=pod)


@pytest.mark.parametrize("shard", [("llm-0", "llm-1"), ("llm-1",)])
async def test_a_backlog_is_filled_in_when_it_comes(fake, shard):
    source = source_of(fake)
    sent_later(fake, NOW_S - 600, NOW_S, ("llm-0", "llm-1"))
    for age_s in range(0, 51, 2):  # what is sent to the server waits for fifty seconds
        if age_s % 10 == 4 and len(shard) == 1:  # the other one's comes as ever
            sent_later(fake, NOW_S + age_s - 3, NOW_S + age_s - 3, ("llm-0",))
        await source.refresh([LLM], 300, NOW_S + age_s)
    sent_later(fake, NOW_S + 5, NOW_S + 55, shard)
    if len(shard) == 1:
        sent_later(fake, NOW_S + 55, NOW_S + 55, ("llm-0",))
    await source.refresh([LLM], 300, NOW_S + 56)
    fresh = source_of(fake)
    await fresh.refresh([LLM], 300, NOW_S + 56)
    assert source.window(LLM, 120, NOW_S + 56) == fresh.window(LLM, 120, NOW_S + 56)


async def test_a_backlog_that_comes_newest_first_is_asked_for_again_a_minute_later(fake):
    source = source_of(fake)
    sent_later(fake, NOW_S - 600, NOW_S)
    for age_s in range(0, 51, 5):
        await source.refresh([LLM], 300, NOW_S + age_s)
    sent_later(fake, NOW_S + 55, NOW_S + 55)
    await source.refresh([LLM], 300, NOW_S + 56)
    sent_later(fake, NOW_S + 5, NOW_S + 50)
    for at_s in range(60, 131, 5):
        sent_later(fake, NOW_S + at_s, NOW_S + at_s)
        await source.refresh([LLM], 300, NOW_S + at_s)
    fresh = source_of(fake)
    await fresh.refresh([LLM], 300, NOW_S + 130)
    assert source.window(LLM, 120, NOW_S + 130) == fresh.window(LLM, 120, NOW_S + 130)


async def test_how_late_samples_become_visible_is_learned(fake):
    source = source_of(fake)
    sent_later(fake, NOW_S - 60, NOW_S, ("llm-0", "llm-1"))
    for at_s in range(41):
        if at_s % 5 == 4:  # a scrape of four seconds ago
            sent_later(fake, NOW_S + at_s - 4, NOW_S + at_s - 4, ("llm-0", "llm-1"))
        await source.refresh([LLM], 60, NOW_S + at_s)
        newest = source.window(LLM, 60, NOW_S + at_s).now_s - NOW_S
        assert at_s < 15 or newest == (at_s - 4) // 5 * 5


async def test_a_slow_server_is_asked_many_things_at_once_and_named_as_slow(fake):
    source = source_of(fake)
    history(fake, 60, lambda age_s: 1)
    await source.refresh([LLM], 60, NOW_S)
    assert source.window(LLM, 60, NOW_S).instead is None
    fake.delay_s = SLOW_S + 0.1
    await source.refresh([LLM], 60, NOW_S + 5)
    await source_of(fake).refresh([LLM], 60, NOW_S + 5)  # which asks for one reading at a time
    assert fake.most_at_once > 4
    held = source.window(LLM, 60, NOW_S + 40, silent_s=60)
    assert held.silent_s > 0
    assert re.fullmatch(
        r"http://\S+ is slow: the last queries took up to [1-9]\.\d s", held.instead
    )
    with pytest.raises(NoDataError, match="no fresh readings .*; http://.* is slow"):
        source.window(LLM, 60, NOW_S + 100)


async def test_the_next_readings_do_not_wait_for_a_slow_history(fake):
    fake.tells_time = False
    source = source_of(fake, clock=lambda: NOW_S, timeout_s=30.0)
    fake.delay_s = BESIDE_S / 2 + 0.2  # two queries, one after the other, are past the budget
    history(fake, 60, lambda age_s: 1)
    await source.refresh([LLM], 60, NOW_S, history_s=86_400)
    assert running(source.window(LLM, 60, NOW_S))[-1] == 1
    history(fake, 0, lambda _: 7, until_s=NOW_S + 5)
    await source.refresh([LLM], 60, NOW_S + 5, history_s=86_400)
    assert running(source.window(LLM, 60, NOW_S + 5))[-1] == 7
    assert not source.is_complete
