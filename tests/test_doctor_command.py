"""``kvtide doctor`` and ``check --live``, as processes of their own."""

import asyncio
import itertools
import json
import os
import sys
import time

import pytest
import yaml
from aiohttp.test_utils import TestServer

from scaler.report.doctor import doctor_text
from tests.fakes.fake_kubernetes import FakeKubernetes
from tests.fakes.fake_prometheus import fake_prometheus
from tests.readings.worlds import busy, row

OBJECT = """
kind: ScaledObject
metadata: {name: llm, namespace: serve}
spec:
  scaleTargetRef: {name: llm, kind: StatefulSet}
  minReplicaCount: 1
  maxReplicaCount: 4
  triggers:
  - type: external-push
    metadata:
      scalerAddress: kvtide:6000
      metrics: concurrency
      maxConcurrency: "4"
"""
POD = {"namespace": "serve", "pod": "llm-0"}
MINUTE = range(-90, 121, 5)
"""Into what is to come, too: on a busy machine the command starts late."""


@pytest.fixture
async def fake():
    async with fake_prometheus() as running:
        running.build = {"version": "2.42.0", "revision": "x"}
        yield running


def scraped(fake, page, **labels):
    now_s = time.time()  # noqa: TID251 -- the command reads the clock itself
    for age_s in MINUTE:
        fake.scrape(now_s + age_s, page(age_s), **{**POD, **labels})


async def run(fake, folder, *more, command="doctor", text=OBJECT):
    manifest = folder / "llm.yaml"
    manifest.write_text(text, encoding="utf-8")
    flags = {"doctor": ["--prometheus", fake.url, "--watch", "0s"], "check": ["--live", fake.url]}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scaler", command, str(manifest), *flags[command], *more),
        stdout=-1,
        stderr=-1,
    )
    out, err = await process.communicate()
    assert not err, err.decode()
    return process.returncode, out.decode()


def load(age_s):
    return busy(running=2, generation_tokens_total=1e6 + age_s)


async def test_what_is_there_is_told_and_what_its_lack_switches_off(fake, tmp_path):
    scraped(fake, load)
    status, out = await run(fake, tmp_path, "--json")
    document = json.loads(out)
    assert status == 0
    assert document["ok"]
    server = document["servers"]["default"]
    assert (server["kind"], server["version"]) == ("Prometheus", "2.42.0")
    assert abs(server["clock_ahead_s"]) < 5
    assert (server["kube_state_metrics"], server["dcgm_exporter"]) == (False, False)
    (one,) = document["objects"]
    found = {reading["field"]: reading for reading in one["readings"]}
    assert found["requests_running"]["name"] == "vllm:num_requests_running"
    assert found["requests_running"]["interval_s"] == pytest.approx(5, abs=0.1)
    assert found["steps_total"]["series"] == 0
    assert "e2e_count" not in found  # no server is asked for it: nobody can say that it lacks
    assert any("work" in missing["switches_off"] for missing in one["missing"])
    assert (one["pods"], one["up"], one["named_by"]) == (["llm-0"], 1, ["namespace", "pod"])
    one["readings"][0]["age_s"] = -0.02  # of this very moment, by a clock that is a little behind
    assert " -0.0 s" not in doctor_text(document)


async def test_it_is_told_in_words(fake, tmp_path):
    scraped(fake, load)
    status, out = await run(fake, tmp_path)
    assert status == 0
    assert "is       Prometheus 2.42.0" in out
    assert "without steps_total" in out
    assert out.endswith("a decision can be made for every object\n")


async def test_a_profile_that_does_not_fit_is_told_and_the_status_says_so(fake, tmp_path):
    scraped(fake, lambda _: row("sglang:num_running_reqs", 1) + row("sglang:num_queue_reqs", 0))
    status, out = await run(fake, tmp_path)
    assert status == 1
    assert "engine: sglang" in out
    assert "no decision can be made for serve/llm" in out


async def test_labels_that_nobody_knows_are_shown(fake, tmp_path):
    scraped(fake, load, namespace="", pod="", where_ns="serve", pod_of="llm-0")
    status, out = await run(fake, tmp_path)
    assert status == 1
    assert "pod_of=llm-0" in out


@pytest.mark.parametrize(
    ("read", "unread", "said"),
    [
        (None, None, "no kvtide tells here that it reads pods between scrapes: is directScrape on"),
        (2, 0, "of 2 pods read between scrapes, on port 8000"),
        (1, 1, "1 of 2 pods are not read on port 8000: is it their metrics' port"),
        (0, 0, "no pod is read between scrapes: none is ready"),
    ],
)
async def test_whether_the_pages_that_an_object_asks_for_are_read(
    fake, tmp_path, read, unread, said
):
    scraped(fake, load)
    if read is not None:
        labels = 'namespace="serve",scaledobject="llm"'
        rows = [("read", read), ("unread", unread), ("read", 0)]
        for place, (state, count) in enumerate(rows):  # two replicas: the second reads none
            name = f'kvtide_direct_scrape_pods{{{labels},state="{state}"}}'
            own = f"# TYPE kvtide_direct_scrape_pods gauge\n{name} {count}\n"
            at_s = time.time() - 5  # noqa: TID251 -- as the command does
            fake.scrape(at_s, own, instance=f"replica-{place // 2}")
    text = OBJECT.replace("metrics: conc", 'directScrapePort: "8000"\n      metrics: conc')
    status, out = await run(fake, tmp_path, text=text)
    assert status == 0
    assert said in out
    assert "between scrapes" not in (await run(fake, tmp_path))[1]


@pytest.mark.parametrize(
    ("count", "said"),
    [(60, "kvtide   60 ScaledObjects served"), (61, "Raise the operator's --kube-api-qps")],
)
async def test_more_objects_than_keda_keeps_up_with_are_told(fake, tmp_path, count, said):
    scraped(fake, load)
    for number, replica in itertools.product(range(count), "ab"):
        labels = f'namespace="serve",scaledobject="chat-{number}",reason=""'
        own = f"# TYPE kvtide_held gauge\nkvtide_held{{{labels}}} 0\n"
        fake.scrape(time.time() - 5, own, instance=replica)  # noqa: TID251 -- as the command does
    status, out = await run(fake, tmp_path)
    assert status == 0
    assert said in out


async def test_copies_of_two_replicas_of_a_prometheus_are_told(fake, tmp_path):
    for replica in ("a", "b"):
        scraped(fake, load, prometheus_replica=replica)
    status, out = await run(fake, tmp_path)
    assert status == 0
    assert "told apart by prometheus_replica (a, b), and count once" in out


GATEWAY = OBJECT.replace(
    "      metrics:", "      gateway: GATEWAY\n      gatewaySelector: SELECTOR\n      metrics:"
)


@pytest.mark.parametrize(
    ("gateway", "selector", "says"),
    [
        pytest.param(
            "dynamo", "model=tyni", "there are series of dynamo whose model is tiny", id="misspelt"
        ),
        pytest.param(
            "kthena",
            "model=tiny",
            "the names of another preset: dynamo (dynamo_frontend_active_requests)",
            id="another preset",
        ),
        pytest.param(
            "nginx",
            "server_zone=llm",
            "the server has no series of nginx beside it",
            id="no such gateway",
        ),
    ],
)
async def test_a_gateway_that_is_not_there_is_told(fake, tmp_path, gateway, selector, says):
    scraped(fake, load)
    scraped(fake, lambda _: row("dynamo_frontend_active_requests", 0, model="tiny"), pod="front-0")
    text = GATEWAY.replace("GATEWAY", gateway).replace("SELECTOR", selector)
    _, out = await run(fake, tmp_path, text=text)
    assert says in out


async def test_check_looks_as_well_where_it_is_told_to(fake, tmp_path):
    scraped(fake, lambda _: row("go_goroutines", 1))
    status, out = await run(fake, tmp_path, "--json", command="check")
    document = json.loads(out)
    assert status == 1
    assert document["ok"]
    assert not document["live"]["ok"]


async def test_a_server_that_does_not_answer_is_told(tmp_path):
    class Nobody:
        url = "http://127.0.0.1:9"

    status, out = await run(Nobody, tmp_path)
    assert status == 1
    assert "refused" in out


async def test_a_server_that_tells_neither_kind_nor_time_is_read_all_the_same(fake, tmp_path):
    scraped(fake, load)
    fake.build, fake.tells_time = None, False
    fake.exact_names = True
    status, out = await run(fake, tmp_path)
    assert status == 0
    assert "is       unknown" in out
    assert "clock    not told" in out
    assert "asked one by one: it takes exact ones only" in out


async def alone(fake, kubeconfig, *more):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scaler", "doctor", "--prometheus", fake.url, "--watch", "0s"),
        *more,
        stdout=-1,
        stderr=-1,
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_without_files_or_a_cluster_the_server_alone_is_looked_at(fake, tmp_path):
    scraped(fake, load)
    status, out, err = await alone(fake, tmp_path / "none")

    assert (status, err) == (0, "")
    assert f"server default: {fake.url}" in out
    assert "Prometheus 2.42.0" in out
    assert out.rstrip().endswith("give files, or a cluster that has some")


async def test_without_files_the_clusters_objects_are_looked_at(fake, tmp_path):
    scraped(fake, load)
    cluster = FakeKubernetes()
    cluster.put("scaledobjects", yaml.safe_load(f"apiVersion: keda.sh/v1alpha1{OBJECT}"))
    async with TestServer(cluster.application()) as server:
        named = {"cluster": {"server": str(server.make_url("/"))}, "name": "c"}
        context = {"context": {"cluster": "c", "user": "u"}, "name": "c"}
        kubeconfig = {
            "clusters": [named],
            "users": [{"name": "u", "user": {}}],
            "contexts": [context],
            "current-context": "c",
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig), encoding="utf-8")
        status, out, err = await alone(fake, tmp_path / "kubeconfig", "--json")

    assert not err
    (one,) = json.loads(out)["objects"]
    assert (status, one["object"], one["target"]) == (0, "serve/llm", "StatefulSet/llm")


async def test_replicas_that_sleep_on_though_they_are_needed_count_for_nothing(fake, tmp_path):
    scraped(fake, lambda age_s: busy(running=12, generation_tokens_total=1e6 + age_s))
    state = row("vllm:engine_sleep_state", 0, sleep_state="awake", engine="0")
    scraped(fake, lambda _: busy(running=0) + state, pod="llm-1")
    status, out = await run(fake, tmp_path, text=OBJECT.replace("maxReplicaCount: 4", ""))
    assert status == 0
    # Twelve requests at four a replica, 0.7 full: five, and one that sleeps.
    assert "decision  6 (NotWoken): 5 are needed, 1 are awake, and 1 have slept on for 30 s" in out
