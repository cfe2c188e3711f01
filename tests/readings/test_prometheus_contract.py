"""The same story told to a fake Prometheus and to real servers: the source reads it alike."""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import math
import time

import aiohttp
import pytest
import pytest_asyncio

from scaler.capacity.histogram import Histogram
from scaler.configuration import PrometheusServer, ScrapeIntervals
from scaler.errors import NoDataError
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.prometheus_source import PrometheusSource
from tests.fakes.exposition import exporter
from tests.fakes.fake_prometheus import fake_prometheus
from tests.fakes.real_prometheus import real_prometheus
from tests.fakes.real_victoria_metrics import real_victoria_metrics
from tests.readings.worlds import LLM, NOW_S, busy, row

pytestmark = pytest.mark.asyncio(loop_scope="module")

INTERVAL_S = 1.0
LOOKBACK_S = 30.0


class FakeWorld:
    """A scrape is a call, and time passes by the second."""

    def __init__(self, fake):
        self.fake, self.url, self.now_s = fake, fake.url, NOW_S
        self.namespace = ""

    async def scraped(self, pods, cluster="", gpus=""):
        self.now_s += INTERVAL_S
        for pod, page in pods.items():
            labels = {"namespace": self.namespace, "pod": pod, "job": "engines"}
            self.fake.scrape(self.now_s, page, **labels)
        self.fake.scrape(self.now_s, cluster, job="kube-state-metrics")
        self.fake.scrape(self.now_s, gpus, job="dcgm", namespace="gpu", pod="exporter")


class RealWorld:
    """The server scrapes on its own; a story goes on once it has seen everything as it is now."""

    def __init__(self, exporters, url):
        self.exporters, self.url = exporters, url
        self.namespace = ""

    @property
    def now_s(self):
        return time.time()  # noqa: TID251

    async def scraped(self, pods, cluster="", gpus=""):
        engines = {(self.namespace, name): page for name, page in pods.items()}
        self._list("engines", engines)
        self._list("dcgm", {("gpu", "exporter"): gpus})
        self._list("kube-state-metrics", {(None, None): cluster})
        told = {*engines, ("gpu", "exporter"), (None, None)}
        began_s = self.now_s
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while await self._seen(session, began_s) != told:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def _list(self, job, pages):
        """Have a job scrape the page of each pod, a pair of namespace and name."""
        address = self.exporters.url.removeprefix("http://")
        listed = []
        for (namespace, pod), page in pages.items():
            path = f"/{job}/{namespace}/{pod}"
            self.exporters.pages[path] = page
            labels = {"namespace": namespace, "pod": pod} if pod else {}
            listed.append({"targets": [address], "labels": {"__metrics_path__": path, **labels}})
        self.exporters.pages[f"/sd/{job}"] = json.dumps(listed)

    async def _seen(self, session, since_s):
        """Return the pods that are up and were scraped since."""
        # A target that left was scraped last just after, maybe: only what is up counts.
        # VictoriaMetrics answers as of 30 s ago without nocache.
        query = {"query": "timestamp(up) and up", "nocache": "1"}
        async with session.get(f"{self.url}/api/v1/query", params=query) as response:
            rows = (await response.json())["data"]["result"]
        fresh = [one["metric"] for one in rows if float(one["value"][1]) > since_s]
        return {(labels.get("namespace"), labels.get("pod")) for labels in fresh}


REAL = {"real": real_prometheus, "victoria-metrics": real_victoria_metrics}


_STORIES = itertools.count()
WORLDS = ["fake", *(pytest.param(name, marks=pytest.mark.prometheus) for name in REAL)]


@pytest_asyncio.fixture(params=WORLDS, scope="module", loop_scope="module")
async def server(request):
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "fake":
            yield FakeWorld(await stack.enter_async_context(fake_prometheus()))
            return
        nobody: dict[str, str | None] = {
            f"/sd/{job}": "[]" for job in ("engines", "dcgm", "kube-state-metrics")
        }
        exporters = await stack.enter_async_context(exporter(nobody))
        started = REAL[request.param](exporters.url, interval_s=INTERVAL_S)
        real = RealWorld(exporters, await stack.enter_async_context(started))
        real.namespace = "before"
        await real.scraped({"other-0": ""})  # until each job's targets were found out once
        yield real


@pytest.fixture
def world(server):
    """A namespace of a story's own, since they share a server: one needs seconds to begin."""
    server.namespace = f"serve-{next(_STORIES)}"
    return server


@pytest_asyncio.fixture(loop_scope="module")
async def source(world):
    asked = PrometheusServer(
        url=world.url,
        ingestion_delay_s=0.0,
        scrape_interval=ScrapeIntervals(engine_s=INTERVAL_S),
    )
    made = PrometheusSource(asked, profiles=shipped_profiles())
    yield made
    await made.close()


async def read(world, source, workload=LLM):
    now_s = world.now_s
    workload = dataclasses.replace(workload, namespace=world.namespace)
    await source.refresh([workload], LOOKBACK_S, now_s)
    return source.window(workload, LOOKBACK_S, now_s)


async def shown(world, source, told=lambda window: None, workload=LLM):
    """Read until the window is as `told` asserts: a busy server shows new series seconds late.

    At one scrape a second, a machine that stalls for three leaves a pod out until its next one.
    """
    until_s = asyncio.get_running_loop().time() + 60
    while True:
        try:
            window = await read(world, source, workload)
            told(window)
        except (NoDataError, AssertionError):
            if asyncio.get_running_loop().time() > until_s or isinstance(world, FakeWorld):
                raise
            await asyncio.sleep(0.2)
        else:
            return window


async def test_pods_gpus_and_the_cluster_are_read(world, source):
    info = row("vllm:cache_config_info", engine="0", num_gpu_blocks="100", block_size="16")
    labels = {"UUID": "GPU-1", "gpu": "0", "namespace": world.namespace, "pod": "llm-0"}
    replicas = {"namespace": world.namespace, "statefulset": "llm"}
    story = {
        "pods": {"llm-0": busy(running=3) + info, "llm-1": busy(running=4) + info},
        "gpus": row("DCGM_FI_DEV_FB_USED", 70000, **labels)
        + row("DCGM_FI_DEV_GPU_UTIL", 50, **labels),
        "cluster": row("kube_statefulset_replicas", 3, **replicas),
    }

    def told(window):
        latest = window.latest
        running = [(one.name, one.requests_running) for one in latest.replicas]
        assert running == [("llm-0", 3), ("llm-1", 4)]
        assert [replica.kv_blocks for replica in latest.replicas] == [100, 100]
        assert latest.replicas[0].gpu_memory_used_mib == 70000
        assert latest.replicas[0].gpu_utilization == 0.5
        assert latest.replicas[1].gpu_memory_used_mib is None
        assert (latest.spec_replicas, latest.targets_up) == (3, 2)

    await world.scraped(**story)
    await shown(world, source, told)


async def test_a_histogram_is_read_by_its_buckets_where_a_percentile_is_asked_for(world, source):
    name, counts = "vllm:inter_token_latency_seconds", {"0.05": 7, "0.1": 9, "+Inf": 10}
    histogram = "".join(row(f"{name}_bucket", n, engine="0", le=le) for le, n in counts.items())
    total = row(f"{name}_count", 10, engine="0") + row(f"{name}_sum", 0.5, engine="0")
    first = (histogram + total).replace("inter_token_latency", "time_to_first_token")
    page = busy(0) + histogram + total + first
    await world.scraped({"llm-0": page})  # one that works and stands: frozen

    def told(window):
        (replica,) = window.latest.replicas
        assert replica.itl_buckets == Histogram(upper=(0.05, 0.1, math.inf), counts=(7, 2, 1))
        assert replica.ttft_buckets == replica.itl_buckets
        assert replica.itl_count == replica.ttft_count == 10

    workload = dataclasses.replace(LLM, itl_buckets=True, ttft_buckets=True)
    await shown(world, source, told, workload)


async def test_readings_that_are_no_numbers_are_missing_and_a_counter_may_begin_anew(world, source):
    # Idle first: it may take a while to find the pod, and one that works and stands is frozen.
    await world.scraped({"llm-0": busy(0, kv_cache_usage_perc=0.5, generation_tokens_total=500)})
    story = (("NaN", 900), ("NaN", 20), ("NaN", 30), (0.25, 40))
    for usage, tokens in story:
        page = busy(kv_cache_usage_perc=usage, generation_tokens_total=tokens)
        await world.scraped({"llm-0": page})

    def told(window):
        seen = [sample.replicas[0] for sample in window.samples]
        assert distinct(one.kv_cache_usage for one in seen) == [0.5, None, 0.25]
        counted = distinct(one.generation_tokens_total for one in seen)
        assert counted == [500, 900, 20, 30, 40]
        assert distinct(one.requests_running for one in seen) == [0, 2]

    await shown(world, source, told)


def distinct(values):
    return list(dict.fromkeys(values))


async def test_a_dead_pod_leaves_and_the_others_stay(world, source):
    await world.scraped({"llm-0": busy(running=3), "llm-1": busy(running=4)})
    for _ in range(3):
        await world.scraped({"llm-0": busy(running=3)})

    def told(window):
        assert [replica.name for replica in window.latest.replicas] == ["llm-0"]
        assert max(len(sample.replicas) for sample in window.samples) == 2

    await shown(world, source, told)


async def test_silence_holds_says_since_when_and_ends(world, source):
    await world.scraped({"llm-0": busy(running=3)})
    assert (await shown(world, source)).latest.replicas
    for _ in range(4):
        await world.scraped({"llm-0": None})
    with pytest.raises(NoDataError, match="no fresh readings of StatefulSet/llm; the newest ended"):
        await read(world, source)

    def told(window):
        assert window.latest.replicas[0].requests_running == 5
        pairs = itertools.pairwise(window.samples)
        gaps = {later.at_s - sooner.at_s for sooner, later in pairs}
        assert max(gaps) > INTERVAL_S

    await world.scraped({"llm-0": busy(running=5)})
    await shown(world, source, told)


async def test_nothing_at_all_is_no_data(world, source):
    await world.scraped({})
    with pytest.raises(NoDataError, match="and none before"):
        await read(world, source)


async def test_token_lengths_are_those_served_since(world, source):
    for served in (0, 7, 10):
        buckets = "".join(
            row("vllm:request_generation_tokens_bucket", count, engine="0", le=le)
            for le, count in (("10.0", served / 2), ("100.0", served), ("+Inf", served))
        )
        await world.scraped({"llm-0": busy() + buckets})

    def told(window):
        lengths = window.lengths.output_tokens
        assert lengths.upper[:2] == (10, 100)
        assert lengths.counts[0] == pytest.approx(lengths.counts[1])
        assert lengths.total > 0

    await shown(world, source, told)
