"""Under which labels rows say whose they are: of older charts, OpenTelemetry, a configuration."""

import asyncio
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.configuration import PrometheusServer, ScrapeIntervals
from scaler.errors import ConfigurationError, KvtideError
from scaler.readings.attribution import attribute
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.labels import LabelNames, Targets
from scaler.readings.lengths import stem_of
from scaler.readings.prometheus_source import PrometheusSource
from scaler.source import Workload
from tests.fakes.exposition import exporter
from tests.fakes.fake_prometheus import fake_prometheus
from tests.fakes.real_prometheus import real_prometheus
from tests.readings.worlds import LLM, NOW_S, Observer, busy, row

OLDER = {"kubernetes_namespace": "serve", "kubernetes_pod_name": "llm-0"}
OTEL = {"k8s_namespace_name": "serve", "k8s_pod_name": "llm-0"}


@pytest.mark.parametrize("target", [OLDER, OTEL], ids=["older charts", "OpenTelemetry"])
def test_a_pod_is_known_by_whatever_a_scrape_calls_it(target):
    observer = Observer()
    observer.scrape(NOW_S, busy(running=3), **target)
    observer.round(NOW_S, {})
    assert observer.window().latest.replicas[0].requests_running == 3


def test_an_exporter_s_word_on_a_pod_counts_for_more_than_where_it_was_scraped():
    observer = Observer()
    observer.round(NOW_S, {"llm-0": busy()})
    page = row("kube_statefulset_replicas", 3, namespace="serve", statefulset="llm")
    ksm = {"kubernetes_namespace": "monitoring", "kubernetes_pod_name": "ksm-0"}
    observer.scrape(NOW_S, page, **ksm)
    observer.round(NOW_S, {})
    assert observer.window().latest.spec_replicas == 3


def test_what_is_stated_weighs_most():
    spelt = LabelNames([("namespace", "team"), ("pod", "server")])
    told = spelt.read({"team": "serve", "server": "llm-0", "namespace": "x", "exported_pod": "y"})
    assert told == {"team": "serve", "server": "llm-0", "namespace": "serve", "pod": "llm-0"}
    assert spelt.namespaces[-1] == "team"
    assert spelt.pod_beside("team") == "server"
    assert LabelNames([("pod", "server")]).pod_beside("namespace") == "server"


def test_a_target_is_joined_by_its_job_and_instance():
    targets = Targets()
    targets.learn([{**OTEL, "job": "llm", "instance": "a.b+c", "other": "1"}])
    assert targets.named(["serve"]) == [(("instance", "=~", "a[.]b[+]c"),)]
    assert targets.named(["else"]) == []
    told = targets.read({"job": "llm", "instance": "a.b+c", "pod": "collector-0"})
    assert (told["namespace"], told["pod"]) == ("serve", "llm-0")
    assert targets.read({"job": "x", "instance": "a.b+c"}) == {"job": "x", "instance": "a.b+c"}


def test_behind_a_collector_the_labels_of_its_own_scrape_are_not_the_target_s():
    targets = Targets()
    moved = {"exported_job": "llm", "exported_instance": "1", "job": "otel", "instance": "otel:1"}
    targets.learn([{**OTEL, **moved}])
    assert targets.named(["serve"]) == [(("exported_instance", "=~", "1"),)]
    assert targets.read({**moved, "pod": "otel-0"})["pod"] == "llm-0"


def test_a_label_that_nobody_reads_cannot_be_stated():
    with pytest.raises(ConfigurationError, match="labels.node: unknown key"):
        PrometheusServer(url="http://prometheus", labels=(("node", "host"),))


BUCKETS = "".join(
    row("vllm:request_generation_tokens_bucket", count, engine="0", le=le)
    for le, count in (("10.0", "HALF"), ("+Inf", "ALL"))
)


def page(served):
    return busy(running=3) + BUCKETS.replace("HALF", str(served / 2)).replace("ALL", str(served))


async def read(url, now_s, **server):
    """Return the window of a workload as a source of that server reads it."""
    stated = PrometheusServer(
        url=url,
        ingestion_delay_s=0.0,
        scrape_interval=ScrapeIntervals(engine_s=1.0),
        **server,
    )
    source = PrometheusSource(stated, profiles=shipped_profiles())
    try:
        await source.refresh([LLM], 30.0, now_s)
        return source.window(LLM, 30.0, now_s)
    finally:
        await source.close()


ODD = {"team": "serve", "server": "llm-0"}
ODD_LABELS = {"labels": (("namespace", "team"), ("pod", "server"))}


@pytest.mark.parametrize(
    ("target", "server"),
    [
        pytest.param(OLDER, {}, id="older charts"),
        pytest.param(OTEL, {}, id="OpenTelemetry"),
        pytest.param(ODD, ODD_LABELS, id="stated"),
    ],
)
async def test_a_prometheus_is_asked_by_the_labels_that_it_has(target, server):
    async with fake_prometheus() as fake:
        for served in (0, 5, 10):
            fake.scrape(NOW_S + served, page(served), job="engines", **target)
        window = await read(fake.url, NOW_S + 10, **server)
    assert window.latest.replicas[0].requests_running == 3
    assert window.lengths.output_tokens.total == 10


@pytest.mark.prometheus
async def test_rows_without_a_pod_are_joined_with_target_info():
    info = row("target_info", **OTEL)
    pages = {
        "/engines/llm": page(0) + info,
        "/sd/dcgm": "[]",
        "/sd/kube-state-metrics": "[]",
    }
    async with exporter(pages) as exporters:
        target = {"__metrics_path__": "/engines/llm", "instance": "c0ffee-1"}
        address = exporters.url.removeprefix("http://")
        exporters.pages["/sd/engines"] = json.dumps([{"targets": [address], "labels": target}])
        async with real_prometheus(exporters.url, interval_s=1.0) as url:
            window = await _until(url, lambda seen: seen.latest.replicas)
            exporters.pages["/engines/llm"] = page(10) + info
            window = await _until(url, lambda seen: seen.lengths.output_tokens)
    assert window.latest.replicas[0].requests_running == 3
    assert window.latest.targets_up == 1


async def _until(url, holds):
    """Read again until what was read holds; a minute at most."""
    async with asyncio.timeout(60):
        while True:
            try:
                window = await read(url, time.time())  # noqa: TID251
            except KvtideError:
                window = None
            if window is not None and holds(window):
                return window
            await asyncio.sleep(0.5)


SAFE = "bcdfghjklmnpqrstvwxz2456789"


def generated(name, of_set, random):
    """Return a Deployment's pod: generateName is ``name-hash-``, cut at 58 letters."""
    return f"{name}-{of_set}-"[:58] + random


@given(
    st.integers(1, 63).flatmap(lambda size: st.text("abc2-", min_size=size, max_size=size)),
    st.text(SAFE, min_size=8, max_size=10),
    st.lists(st.text(SAFE, min_size=5, max_size=5), min_size=2, max_size=2),
)
def test_a_long_name_s_pods_are_its_own_and_have_stems(name, of_set, randoms):
    name = f"a{name}a"[:63]
    pods = [("serve", generated(name, of_set, random)) for random in randoms]
    workload = Workload(namespace="serve", scaled_object="llm", name=name)
    found = attribute(pods, [workload], owner_of=lambda _: None, carries=lambda *_: False)
    assert sorted(found.pods["serve/llm"]) == sorted(pods)
    stems = {stem_of(pod) for _, pod in pods}
    assert None not in stems
    assert all(name.startswith(str(stem)[: len(name)]) for stem in stems)


def test_two_long_names_that_are_cut_alike_are_told():
    name = "a" * 60
    pair = [Workload(namespace="serve", scaled_object=one, name=name + one) for one in ("x", "y")]
    pod = ("serve", generated(name, "6d5f8b9c7d", "x2x4z"))
    found = attribute([pod], pair, owner_of=lambda _: None, carries=lambda *_: False)
    assert found.rivals["serve/x"] == ("serve/y", pod[1])
