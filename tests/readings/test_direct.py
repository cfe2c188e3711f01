"""The pods' own pages, read between two scrapes: whose, when they count, and what is told."""

import contextlib
import dataclasses
import gzip
import itertools

import numpy as np
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.facts.columns import Columns
from scaler.decision.facts.record import Record
from scaler.decision.pool import Member
from scaler.errors import SourceError
from scaler.readings.attribution import Owner
from scaler.readings.direct import MOST_PODS, DirectReader, Tail
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.kubernetes import objects
from scaler.readings.kubernetes.known import KnownCluster
from scaler.readings.kubernetes.objects import Counts, Pod
from scaler.readings.pages import fetch, session
from scaler.readings.spliced import spliced
from scaler.said import Said
from scaler.source import Workload
from scaler.telemetry.observed import PagesRead
from tests.builders import inference, lending, pool, replica, sample, sample_of, window

NOW_S = 1_800_000_000.0
NAMES = ("chat-7c9d5f6b8-x2vbn", "chat-7c9d5f6b8-q7kzr")


def page(running, waiting=0, finished=0):
    labels = '{model_name="m",engine="0"}'
    return (
        f"vllm:num_requests_running{labels} {running}\n"
        f"vllm:num_requests_waiting{labels} {waiting}\n"
        f"vllm:request_success_total{labels} {finished}\n"
        'kube_deployment_spec_replicas{deployment="chat"} 90\n'
    )


class Pods:
    """Two pods, each at an address of its own on one port, with pages that a test changes."""

    def __init__(self):
        self.pages = {"127.0.0.1": page(3), "127.0.0.2": page(4)}
        self.port, self.now_s, self.tokens = 0, NOW_S, 0
        self.known = KnownCluster()
        self.known.pods.take(
            {("llm", name): ready(host) for name, host in zip(NAMES, self.pages, strict=True)}
        )
        self.known.counts["Deployment"].take({("llm", "chat"): Counts(spec=2, exist=2, ready=2)})

    async def answer(self, request):
        text = self.pages[request.host.partition(":")[0]]
        if isinstance(text, int):
            return web.Response(status=text)
        self.tokens += 10  # an engine whose counters stand still is stuck
        if text.startswith("vllm:"):
            text += f'vllm:generation_tokens_total{{model_name="m",engine="0"}} {self.tokens}\n'
        return web.Response(text=text)

    @property
    def workload(self):
        return Workload(
            namespace="llm", scaled_object="chat", name="chat", direct_scrape_port=self.port
        )

    async def read(self, reader, *, seconds=1):
        for _ in range(seconds):
            self.now_s += 1
            await reader.read([self.workload])
        return reader.tail(self.workload)


def ready(host, **more):
    fields = {
        "created_s": NOW_S - 300,
        "ready_since_s": NOW_S - 200,
        "unschedulable": False,
        "leaving": False,
        "ended": False,
        "owner": Owner(kind="ReplicaSet", name="chat-7c9d5f6b8"),
        "node": "a",
        "units": {},
        "address": host,
    }
    return Pod(**{**fields, **more})


@contextlib.asynccontextmanager
async def served():
    pods = Pods()
    app = web.Application()
    app.router.add_get("/metrics", pods.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        for host in pods.pages:
            site = web.TCPSite(runner, host, pods.port)
            await site.start()
            pods.port = runner.addresses[-1][1]
        reader = DirectReader(pods.known, profiles=shipped_profiles(), clock=lambda: pods.now_s)
        try:
            yield pods, reader
        finally:
            await reader.close()
    finally:
        await runner.cleanup()


async def test_each_second_is_a_sample_of_all_pods_and_of_the_replicas_that_the_api_tells():
    async with served() as (pods, reader):
        await pods.read(reader, seconds=2)
        pods.pages["127.0.0.1"] = page(9, waiting=5)
        tail = await pods.read(reader)

        assert [one.at_s - NOW_S for one in tail.recorded.samples] == [1, 2, 3]
        newest = tail.recorded.samples[-1]
        assert [one.name for one in newest.replicas] == sorted(NAMES)
        assert sum(one.requests_running for one in newest.replicas) == 13
        assert newest.ready_replicas == 2
        assert newest.spec_replicas == 2  # by the API, whatever a pod says of its Deployment
        assert tail.note == "Pods are read each second, between scrapes."
        assert reader.outcomes == {"read": 6}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(503, "http", id="not well"),
        pytest.param("<html></html>", "format", id="no metrics"),
        pytest.param("a_metric 1\n", "format", id="metrics of something else"),
    ],
)
async def test_one_pod_that_does_not_answer_leaves_it_to_prometheus_and_is_told(answer, kind):
    async with served() as (pods, reader):
        await pods.read(reader)
        pods.pages["127.0.0.2"] = answer
        assert (await pods.read(reader)).recorded is not None  # it may be late once
        tail = await pods.read(reader, seconds=3)

        assert tail.recorded is None
        assert f"1 of 2 pods do not answer on port {pods.port} ({kind})" in tail.note
        assert reader.outcomes[kind] == 4


async def test_what_is_read_of_each_object_and_since_when_is_shown():
    async with served() as (pods, reader):
        assert reader.reads() == ()
        await pods.read(reader, seconds=2)
        whole = PagesRead(
            namespace="llm", scaled_object="chat", read=2, unread=0, newest_s=NOW_S + 2
        )
        assert reader.reads() == (whole,)
        pods.pages["127.0.0.2"] = 503
        await pods.read(reader, seconds=2)
        assert reader.reads() == (dataclasses.replace(whole, read=1, unread=1),)
        await reader.read([])
        assert reader.reads() == ()


async def test_after_a_silence_the_tail_begins_anew():
    async with served() as (pods, reader):
        await pods.read(reader, seconds=2)
        well = pods.pages["127.0.0.2"]
        pods.pages["127.0.0.2"] = "<html></html>"
        await pods.read(reader, seconds=4)
        pods.pages["127.0.0.2"] = well
        tail = await pods.read(reader)

        assert len(tail.recorded.samples) == 1


async def test_a_pod_that_has_just_become_ready_or_is_leaving_need_not_answer():
    async with served() as (pods, reader):
        listed = dict(pods.known.pods.listed)
        listed["llm", "chat-7c9d5f6b8-abcde"] = ready("127.0.0.9", ready_since_s=NOW_S)
        listed["llm", "chat-7c9d5f6b8-fghij"] = ready("127.0.0.8", leaving=True)
        pods.known.pods.take(listed)

        assert (await pods.read(reader)).recorded is not None


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param((("other", NAMES[0]), {}), id="another namespace"),
        pytest.param(
            (("llm", "judge-0"), {"owner": Owner(kind="StatefulSet", name="judge")}),
            id="another target",
        ),
        pytest.param((("llm", "chat-7c9d5f6b8-lonel"), {"owner": None}), id="a name alone"),
        pytest.param((("llm", "chat-7c9d5f6b8-ended"), {"ended": True}), id="it has ended"),
        pytest.param((("llm", "chat-7c9d5f6b8-young"), {"ready_since_s": None}), id="not ready"),
        pytest.param((("llm", "chat-7c9d5f6b8-hosts"), {"address": None}), id="no own address"),
    ],
)
async def test_nobody_else_is_asked(stranger):
    key, fields = stranger
    async with served() as (pods, reader):
        listed = dict(pods.known.pods.listed)
        pods.known.pods.take({**listed, key: ready("127.0.0.3", **fields)})
        await pods.read(reader)

        assert reader.outcomes == {"read": 2}


@pytest.mark.parametrize(
    "claim",
    [
        f'pod="{NAMES[1]}",namespace="llm"',
        f'exported_pod="{NAMES[1]}",exported_namespace="llm"',
        f'pod_name="{NAMES[1]}",pod_namespace="llm"',
        f'k8s_pod_name="{NAMES[1]}",k8s_namespace_name="llm"',
    ],
)
async def test_a_page_tells_of_its_own_pod_whatever_it_claims(claim):
    async with served() as (pods, reader):
        pods.pages["127.0.0.1"] += f'vllm:num_requests_running{{model_name="x",{claim}}} 500\n'
        tail = await pods.read(reader)

        held = {one.name: one.requests_running for one in tail.recorded.samples[-1].replicas}
        assert held == {NAMES[0]: 503, NAMES[1]: 4}


async def test_where_the_api_is_not_heard_nobody_is_asked():
    async with served() as (pods, reader):
        pods.known.pods.is_current = False
        tail = await pods.read(reader)

        assert tail.recorded is None
        assert "the Kubernetes API does not tell of pods" in tail.note
        assert not reader.outcomes


async def test_more_pods_than_may_be_read_are_left_to_prometheus():
    async with served() as (pods, reader):
        many = {("llm", f"chat-7c9d5f6b8-{n:05}"): ready("127.0.0.9") for n in range(MOST_PODS + 1)}
        pods.known.pods.take(many)
        tail = await pods.read(reader)

        assert "more than 100 pods" in tail.note
        assert not reader.outcomes


async def answered(response):
    async def answer(_):
        return response

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    client = session(timeout_s=2, at_once=1)
    try:
        return await fetch(client, f"http://127.0.0.1:{runner.addresses[0][1]}/metrics", 1000)
    finally:
        await client.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        pytest.param(
            web.Response(status=302, headers={"Location": "/elsewhere"}), "http", id="a redirect"
        ),
        pytest.param(web.Response(text="a" * 1001), "limit", id="too large"),
        pytest.param(
            web.Response(body=gzip.compress(b"a 1\n"), headers={"Content-Encoding": "gzip"}),
            "format",
            id="packed",
        ),
    ],
)
async def test_a_page_is_neither_followed_nor_unpacked_nor_larger_than_allowed(response, kind):
    got = await answered(response)

    assert isinstance(got, SourceError)
    assert got.kind == kind


@pytest.mark.parametrize(
    ("status", "spec", "address"),
    [
        pytest.param({"podIP": "10.1.2.3"}, {}, "10.1.2.3", id="a pod's own"),
        pytest.param({"podIP": "fd00::7"}, {}, "fd00::7", id="version six"),
        pytest.param({"podIP": "10.1.2.3"}, {"hostNetwork": True}, None, id="its node's"),
        pytest.param({"podIP": "127.0.0.1"}, {}, None, id="everybody's own"),
        pytest.param({"podIP": "169.254.169.254"}, {}, None, id="of the link alone"),
        pytest.param({"podIP": "example.org"}, {}, None, id="a name"),
        pytest.param({}, {}, None, id="none yet"),
    ],
)
def test_an_address_is_a_pods_own_or_none(status, spec, address):
    meta = {"name": "a", "namespace": "b", "creationTimestamp": "2026-01-01T00:00:00Z"}

    assert objects.pod({"metadata": meta, "spec": spec, "status": status}).address == address


@pytest.mark.parametrize(
    ("noted", "path"),
    [("/v1/metrics", "/v1/metrics"), ("//evil/x", "/metrics"), ("/a?b=c", "/metrics")],
)
def test_a_path_is_a_plain_one(noted, path):
    notes = {"prometheus.io/path": noted}
    meta = {"creationTimestamp": "2026-01-01T00:00:00Z", "annotations": notes}

    assert objects.pod({"metadata": meta, "spec": {}, "status": {}}).metrics_path == path


def tail_of(*samples, read_s=None):
    record = Record(samples)
    read_s = samples[-1].at_s if read_s is None else read_s
    return Tail(record.until(float("inf")), read_s, Said("read"))


BUCKETS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 500)), min_size=1, max_size=12)


@given(scraped=BUCKETS, tail=BUCKETS, begins=st.integers(1, 400))
def test_no_instant_is_there_twice_and_the_tail_knows_nothing_of_the_time_before_it(
    scraped, tail, begins
):
    older = [
        sample_of(
            replica(running=float(n), requests_finished_total=float(done)),
            at_s=30.0 * (number + 1),
        )
        for number, (n, done) in enumerate(scraped)
    ]
    newer = [
        sample_of(
            replica(running=float(n), requests_finished_total=float(done)),
            at_s=float(begins + number),
        )
        for number, (n, done) in enumerate(tail)
    ]
    whole = spliced(window(*older, interval_s=30.0), tail_of(*newer), newer[-1].at_s)

    times = [one.at_s for one in whole.samples]
    assert all(before < after for before, after in itertools.pairwise(times))
    assert whole.latest.replicas == newer[-1].replicas
    first = times.index(newer[0].at_s)
    assert np.isnan(whole.columns.instants.came[first])
    alone = Columns.of(newer).by_instant
    assert np.array_equal(whole.columns.by_instant[:, first:], alone, equal_nan=True)
    assert whole.columns.instants.at_s.tolist() == times


def test_what_only_prometheus_tells_is_taken_over():
    gpu = replica(running=1.0, gpu_memory_used_mib=70_000.0)
    older = [sample_of(gpu, at_s=30.0 * k, gateway_waiting=float(k)) for k in range(1, 4)]
    newer = [sample_of(replica(running=5.0), at_s=float(at)) for at in range(61, 70)]
    whole = spliced(window(*older, interval_s=30.0), tail_of(*newer), 69.0)

    assert {one.gateway_waiting for one in whole.samples[2:]} == {3.0}
    assert whole.now.backlog == 3.0
    assert whole.latest.replicas[0].gpu_memory_used_mib == 70_000.0
    assert whole.latest.replicas[0].requests_running == 5.0


def test_a_tail_that_has_grown_old_counts_no_more():
    base = window(*(sample(30.0 * k) for k in range(1, 4)), interval_s=30.0)
    old = tail_of(sample(61.0, running=9.0), read_s=61.0)

    kept = spliced(base, old, 65.0)
    assert kept.samples == base.samples
    assert kept.between == "read"


def test_a_surge_between_two_scrapes_is_answered_and_the_decision_says_how_it_was_read():
    calm = [sample(30.0 * k, running=5.0) for k in range(1, 21)]
    surge = [sample(600.0 + k, running=5.0 if k < 5 else 60.0) for k in range(1, 12)]
    policy = inference(max_replicas=20)
    base = window(*calm, interval_s=30.0)
    whole = spliced(base, tail_of(*surge), 611.0)

    assert decide(base, policy).replicas == 1
    answer = decide(whole, policy)
    assert answer.panic
    assert (answer.replicas or 0) > 5
    assert "read" in answer.notes
    assert decide(dataclasses.replace(whole, kept=None, foreseen=None), policy).replicas is not None


def test_what_is_lent_goes_back_at_the_second_of_a_surge():
    calm = [sample(30.0 * k, running=1.0, spec_replicas=1) for k in range(1, 61)]
    surge = [
        sample(1800.0 + k, running=1.0 if k < 5 else 60.0, spec_replicas=1) for k in range(1, 12)
    ]
    policy = inference(units_per_replica=1, scale_down_delay_s=0.0, hpa_tolerance=0.0)
    base = window(*calm, interval_s=30.0)

    def answered(known, at_s):
        borrowed = pool(Member(name="prod/llm", policy=policy, window=known), at_s=at_s)
        return decide(borrowed, lending(headroom_units=0))

    assert (answered(base, 1800.0).replicas or 0) > 0
    whole = spliced(base, tail_of(*surge), 1811.0)
    went = answered(whole, 1811.0)
    assert (went.replicas, went.reason) == (0, Reason.RECLAIMED)
