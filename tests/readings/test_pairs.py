"""A pair of Prometheus, alone or behind one that merges them: counted once, and one may be lost."""

import itertools

import pytest

from scaler.configuration import PrometheusServer
from scaler.errors import SourceError
from scaler.readings.copies import copying_labels
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.prometheus_source import PrometheusSource
from scaler.readings.series import SeriesStore
from scaler.readings.timing import Intervals, Timing
from scaler.readings.wanted import Exporter, Wanted
from tests.fakes.fake_prometheus import fake_prometheus
from tests.readings.worlds import LLM, NOW_S, busy, row

RUNNING = Wanted(metrics=("vllm:num_requests_running",), exporter=Exporter.ENGINE)
SERVED = "vllm:request_generation_tokens_bucket"


@pytest.fixture
async def fake():
    async with fake_prometheus() as running:
        yield running


def source_of(fake):
    server = PrometheusServer(url=fake.url, ingestion_delay_s=0.0)
    return PrometheusSource(server, profiles=shipped_profiles())


def scraped(fake, since_s, until_s, every_s=5, served=0.0, **target):
    for at_s in range(int(since_s), int(until_s) + 1, every_s):
        lengths = "".join(row(SERVED, served * (at_s - since_s), le=le) for le in ("100", "+Inf"))
        fake.scrape(at_s, busy() + lengths, namespace="serve", instance="a:1", **target)


def ups(**rows):
    store = SeriesStore()
    for labels, at_s in rows.values():
        store.merge("up", ("serve", "llm-0"), labels, [(at_s, 1.0)])
    return copying_labels(store, [("serve", "llm-0")], 12.5)


def test_what_tells_two_rows_of_one_target_apart_tells_copies_apart():
    one, other = {"instance": "a:1", "replica": "0"}, {"instance": "a:1", "replica": "1"}
    assert ups(a=(one, 100.0), b=(other, 103.0)) == {"replica"}
    assert ups(a=(one, 100.0), b=(other, 130.0)) == set()  # the one before is gone
    assert ups(a=(one, 100.0), b=({"instance": "a:2", "replica": "0"}, 100.0)) == set()


async def test_lengths_of_a_pair_that_nobody_told_of_are_counted_once(fake, caplog):
    for replica in ("a", "b"):
        scraped(fake, NOW_S - 100, NOW_S, served=2.0, pod="llm-0", prometheus_replica=replica)
    source = source_of(fake)
    with caplog.at_level("INFO"):
        await source.refresh([LLM], 60, NOW_S)
    lengths = source.window(LLM, 60, NOW_S).lengths.output_tokens
    assert lengths is not None
    assert lengths.total == pytest.approx(200)
    assert "apart in prometheus_replica" in caplog.text
    await source.close()


def test_the_interval_is_one_replica_s_own_where_a_server_answers_from_either():
    intervals = Intervals(Timing())
    store = SeriesStore()
    for number in range(12):  # one reply is one replica's, five seconds apart; the other's is +3 s
        begin_s = 1000 + 5 * number + 3 * (number % 2)
        points = [(begin_s + 5 * n, 1.0) for n in range(5)]
        store.merge("vllm:num_requests_running", ("serve", "llm-0"), {}, points)
        intervals.hear(RUNNING, points)
        intervals.measure(store, [RUNNING])
        assert intervals.interval_s(Exporter.ENGINE) == 5


async def test_answers_from_either_of_two_make_the_window_that_one_does(fake):
    """Thanos switches from read to read; what is counted in a second stays the same."""
    async with fake_prometheus() as other:
        for server, phase_s in ((fake, 0), (other, 3)):
            for at_s in range(int(NOW_S) - 300 + phase_s, int(NOW_S) + 1, 5):
                page = busy(generation_tokens_total=100 * (at_s - NOW_S + 1000))
                server.scrape(at_s, page, namespace="serve", pod="llm-0")
        source, mine = source_of(fake), fake.evaluate
        for number, at_s in enumerate(range(int(NOW_S) - 100, int(NOW_S) + 1, 5)):
            fake.evaluate = (mine, other.evaluate)[number % 2]
            await source.refresh([LLM], 60, at_s)
        window = source.window(LLM, 60, NOW_S)
        assert window.interval_s == 5
        rises = [
            (after.replicas[0].generation_tokens_total - before.replicas[0].generation_tokens_total)
            / (after.at_s - before.at_s)
            for before, after in itertools.pairwise(window.samples)
        ]
        assert sum(rises) / len(rises) == pytest.approx(100, rel=0.1)
        await source.close()


async def test_one_of_two_replicas_may_be_lost(fake):
    scraped(fake, NOW_S - 100, NOW_S, pod="llm-0")
    source = source_of(fake)
    await source.refresh([LLM], 60, NOW_S)
    fake.warnings = ["receive series from sidecar: connection refused"]
    for at_s in range(int(NOW_S) + 5, int(NOW_S) + 31, 5):
        scraped(fake, at_s, at_s, pod="llm-0")
        await source.refresh([LLM], 60, at_s)
        assert source.window(LLM, 60, at_s).now_s == at_s
    await source.close()


async def test_a_lost_store_that_alone_has_a_series_is_an_error(fake):
    scraped(fake, NOW_S - 100, NOW_S, pod="llm-0")
    scraped(fake, NOW_S - 100, NOW_S, pod="llm-1")
    source = source_of(fake)
    await source.refresh([LLM], 60, NOW_S)
    fake.warnings = ["store is gone"]
    fake._series = {
        key: found for key, found in fake._series.items() if ("pod", "llm-1") not in key
    }
    scraped(fake, NOW_S + 5, NOW_S + 5, pod="llm-0")
    with pytest.raises(SourceError, match="partial: .*store is gone"):
        await source.refresh([LLM], 60, NOW_S + 5)
    await source.close()
