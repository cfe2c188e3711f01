"""Requests before the engines: what each preset reads, and whose they are."""

import dataclasses
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.configuration import Configuration, PrometheusServer
from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.policy import InferencePolicy
from scaler.documents.gateways import gateway_profiles
from scaler.errors import ConfigurationError
from scaler.readings.assemble import Assembly
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.gateways.known import AtGateway
from scaler.readings.gateways.profile import parse_gateways
from scaler.readings.gateways.totals import total
from scaler.readings.prometheus_source import PrometheusSource
from scaler.readings.readings import Reading, Rows
from scaler.readings.series import Track
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from scaler.source import Workload
from tests.fakes.fake_prometheus import fake_prometheus
from tests.readings.worlds import NOW_S, STEP_S, Observer, busy, row

POD = {"namespace": "edge", "pod": "gateway-0", "instance": "10.0.0.1:9090"}


def workload(name="llm", gateway="istio", **selector):
    return Workload(
        namespace="serve",
        scaled_object=name,
        kind="StatefulSet",
        name=name,
        gateway=gateway,
        gateway_selector=tuple(selector.items()),
    )


def observer_of(*workloads, gateways=None):
    timing = Timing(interval_s={Exporter.ENGINE: STEP_S})
    known = Configuration(gateways=gateways or {}, gateway_namespaces=("edge",))
    assembly = Assembly(
        profiles=shipped_profiles(), gateways=gateway_profiles(known), timing=timing
    )
    return Observer(*workloads, assembly=assembly)


def seen(page, one, **target):
    """Return what a gateway's page says of a workload, beside one that is always there."""
    observer = observer_of(one)
    observer.scrape(NOW_S, page, **{**POD, **target})
    observer.round(NOW_S, {"llm-0": busy()})
    latest = observer.window().latest
    return AtGateway(
        gateway_in_flight=latest.gateway_in_flight,
        gateway_waiting=latest.gateway_waiting,
        arrivals_total=latest.arrivals_total,
    )


def outbound(name, value, service="llm", namespace="serve"):
    host = f"outbound|8000||{service}.{namespace}.svc.cluster.local"
    return row(f"envoy_cluster_upstream_{name}", value, cluster_name=host)


PRESETS = [
    pytest.param(
        outbound("rq_active", 4)
        + outbound("rq_total", 100)
        + outbound("cx_none_healthy", 7)
        + outbound("rq_active", 9, service="llm2")
        + outbound("rq_active", 9, namespace="other"),
        workload(),
        AtGateway(gateway_in_flight=4, arrivals_total=107),
        id="istio, by the host of the workload's service",
    ),
    pytest.param(
        outbound("rq_active", 4) + outbound("rq_active", 9, service="chat"),
        workload(cluster_name="outbound|8000||chat.serve.svc.cluster.local"),
        AtGateway(gateway_in_flight=9),
        id="istio, by a host that the trigger names",
    ),
    pytest.param(
        row("envoy_cluster_upstream_rq_active", 4, envoy_cluster_name="llm")
        + row("envoy_cluster_upstream_rq_pending_active", 3, envoy_cluster_name="llm"),
        workload(gateway="envoy", envoy_cluster_name="llm"),
        AtGateway(gateway_in_flight=4),
        id="envoy",
    ),
    pytest.param(
        row("nginxplus_server_zone_processing", 4, server_zone="llm")
        + row("nginxplus_server_zone_requests", 40, server_zone="llm")
        + row("nginxplus_server_zone_processing", 9, server_zone="x"),
        workload(gateway="nginx", server_zone="llm"),
        AtGateway(gateway_in_flight=4, arrivals_total=40),
        id="nginx plus",
    ),
    *(
        pytest.param(
            row("vllm:num_prefill_requests", 1, server="http://a")
            + row("vllm:num_decoding_requests", 3, server="http://a")
            + row("vllm:num_decoding_requests", 2, server="http://b")
            + row("vllm:num_incoming_requests_total", 50, model="m"),
            workload(gateway=gateway, pod="gateway-0"),
            AtGateway(gateway_in_flight=6, arrivals_total=50),
            id=f"production-stack's router, in two parts, as {gateway}",
        )
        for gateway in ("production-stack", "vllm-router")
    ),
    pytest.param(
        row("interceptor_request_concurrency", 2, route_name="llm", route_namespace="serve")
        + row("interceptor_request_concurrency", 5, route_name="llm", route_namespace="other")
        + "".join(
            row(
                "interceptor_request_count_total",
                count,
                route_name="llm",
                route_namespace="serve",
                code=code,
                method="POST",
            )
            for code, count in (("200", 9), ("502", 1))
        ),
        workload(gateway="keda-http"),
        AtGateway(gateway_in_flight=2, arrivals_total=10),
        id="KEDA's own interceptor since 0.14",
    ),
    pytest.param(
        row("interceptor_request_concurrency", 2, route_name="chat", route_namespace="serve"),
        workload(gateway="keda-http", route_name="chat"),
        AtGateway(gateway_in_flight=2),
        id="KEDA's own interceptor since 0.14, a route that the trigger names",
    ),
    pytest.param(
        row("kthena_router_active_downstream_requests", 4, model="m")
        + row("kthena_router_active_downstream_requests", 1, model="other")
        + row("kthena_router_requests_total", 6, model="m", path="/v1", status_code="200")
        + row("kthena_router_requests_total", 2, model="m", path="/v1", status_code="500"),
        workload(gateway="kthena", model="m"),
        AtGateway(gateway_in_flight=4, arrivals_total=8),
        id="kthena's router",
    ),
    pytest.param(
        row("interceptor_pending_request_count", 4, host="llm.example.com")
        + row("interceptor_request_count_total", 8, host="llm.example.com", code="200")
        + row("interceptor_request_count_total", 1, host="llm.example.com", code="502"),
        workload(gateway="keda-http", host="llm.example.com"),
        AtGateway(gateway_in_flight=4, arrivals_total=9),
        id="KEDA's own interceptor up to 0.13",
    ),
]


CAPTURES = pathlib.Path(__file__).parent / "fixtures" / "gateways"


def captured(name):
    return (CAPTURES / f"{name}.prom").read_text(encoding="utf-8")


LLM_OF_RAY = {"application": "llm", "deployment": "LLM"}
CAPTURED = [
    pytest.param(name, workload(gateway=gateway, **selector), expected, id=f"{name}-{number}")
    for number, (name, gateway, selector, expected) in enumerate(
        (
            ("vllm-router-0.1.17", "vllm-router", {"pod": "gateway-0"}, (None, 4)),
            ("vllm-router-0.1.17-noworker", "vllm-router", {"pod": "gateway-0"}, (None, 3)),
            ("sglang-router-0.3.2", "sglang-router", {"pod": "gateway-0"}, (4, 4)),
            ("sglang-router-0.3.2-noworker", "sglang-router", {"pod": "gateway-0"}, (0, 3)),
            ("smg-1.13.0", "smg", {"pod": "gateway-0"}, (3, 6)),
            ("smg-1.13.0-noworker", "smg", {"pod": "gateway-0"}, (0, 3)),
            ("dynamo-1.6.1", "dynamo", {"model": "tiny"}, (12, 0)),
            ("dynamo-1.6.1-after", "dynamo", {"model": "tiny"}, (0, 12)),
            ("dynamo-1.6.1-noworker", "dynamo", {"model": "tiny"}, (0, 0)),
            ("litellm-1.108.7", "litellm", {"requested_model": "chat"}, (None, 8)),
            ("litellm-1.108.7", "litellm", {"requested_model": "code"}, (None, 2)),
            ("litellm-1.108.7", "litellm", {"pod": "gateway-0"}, (None, 10)),
            ("ray-serve-2.60.0", "ray-serve", LLM_OF_RAY, (3, 3)),
        )
    )
]


@pytest.mark.parametrize(("name", "one", "expected"), CAPTURED)
def test_a_page_that_a_gateway_wrote_is_read_right(name, one, expected):
    read = seen(captured(name), one)
    assert (read.gateway_in_flight, read.arrivals_total) == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param(
            [{"user": "a", "status": "200"}, {"user": "b", "status": "200"}, {"user": "a"}],
            9,
            id="whatever the rows are labelled by, they add up",
        ),
        pytest.param(
            [{"job": "a"}, {"job": "b"}], 3, id="two jobs that scrape one target count once"
        ),
        pytest.param(
            [{"prometheus_replica": "p-0"}, {"prometheus_replica": "p-1"}],
            3,
            id="two replicas of a Prometheus count once",
        ),
        pytest.param(
            [{"region": "a"}, {"region": "b"}], 3, id="copies by a label of the configuration"
        ),
        pytest.param(
            [{"instance": "10.0.0.1:9090"}, {"instance": "10.0.0.2:9090"}],
            6,
            id="two processes add up",
        ),
        pytest.param(
            [
                {"job": "a"},
                {
                    "job": "collector",
                    "namespace": "otel",
                    "pod": "collector-0",
                    "instance": "10.0.0.9:8889",
                    "exported_namespace": "serve",
                    "exported_pod": "gateway-0",
                    "exported_instance": "10.0.0.1:9090",
                },
            ],
            3,
            id="what a collector exports again counts once",
        ),
        pytest.param(
            [{"job": job, "user": user} for job in "ab" for user in "xyz"],
            9,
            id="what adds up within a job counts once over two",
        ),
    ],
)
def test_rows_of_a_scrape_add_up_and_scrapes_of_a_target_repeat(rows, expected):
    reading = Reading(rows=(Rows(metric="came"),))
    target = {"namespace": "serve", "pod": "gateway-0", "instance": "10.0.0.1:9090"}
    found = [(Track({**target, **labels}), 3.0) for labels in rows]
    assert total(reading, found, copies=("region",)) == expected


@pytest.mark.parametrize(("page", "one", "expected"), PRESETS)
def test_a_preset_reads_what_its_gateway_exposes(page, one, expected):
    assert seen(page, one) == expected


def test_rows_of_a_gateway_in_somebody_else_s_namespace_are_not_taken():
    page = row("interceptor_pending_request_count", 4, host="llm.example.com")
    one = workload(gateway="keda-http", host="llm.example.com")
    assert seen(page, one, namespace="other") == AtGateway()
    assert seen(page, one, namespace="serve") == AtGateway(gateway_in_flight=4)


def flow(name, value, pool="llm", **more):
    return row(name, value, inference_pool=pool, fairness_id="a", priority="0", **more)


@pytest.mark.parametrize(
    ("page", "waiting"),
    [
        pytest.param(
            flow("inference_extension_flow_control_queue_size", 3)
            + flow("inference_extension_flow_control_queue_size", 2, model_name="b"),
            5,
            id="flows add up",
        ),
        pytest.param(
            flow("inference_extension_flow_control_queue_size", 3)
            + flow("llm_d_epp_flow_control_queue_size", 3),
            3,
            id="a release with both names counts once",
        ),
        pytest.param(
            row("inference_pool_ready_pods", 0, name="llm"), 0, id="no flow yet: nothing waits"
        ),
        pytest.param(
            row("llm_d_epp_ready_endpoints", 0, name="llm"), 0, id="llm-d's own names alone"
        ),
        pytest.param(
            flow("llm_d_epp_flow_control_pool_saturation", 0.4), 0, id="its flow control is on"
        ),
        pytest.param(
            row("kserve_llm_d_epp_ready_endpoints", 1, name="llm")
            + flow("kserve_inference_extension_flow_control_queue_size", 3),
            3,
            id="KServe's monitors",
        ),
        pytest.param(
            flow("inference_extension_flow_control_queue_size", 3)
            + flow("kserve_inference_extension_flow_control_queue_size", 3),
            3,
            id="both copies side by side count once",
        ),
        pytest.param(row("inference_pool_ready_pods", 0, name="x"), None, id="another pool"),
        pytest.param("", None, id="silence is not zero"),
    ],
)
def test_the_inference_extension_counts_what_waits(page, waiting):
    one = workload(gateway="inference-extension")
    assert seen(page, one, namespace="serve").gateway_waiting == waiting


def test_a_pool_of_another_name_is_shown_by_its_own_gauge():
    one = workload(gateway="inference-extension", inference_pool="big")
    page = row("inference_pool_ready_pods", 0, name="big")
    assert seen(page, one, namespace="serve").gateway_waiting == 0


def test_a_gateway_that_reads_zero_with_no_target_up_makes_a_known_zero():
    one = workload()
    observer = observer_of(one)
    observer.scrape(NOW_S, outbound("rq_active", 0), **POD)
    observer.round(NOW_S, {})
    latest = observer.window().latest
    assert latest.targets_up == 0
    assert latest.is_known_zero


def test_a_request_at_the_gateway_shows_in_the_next_bucket():
    one = workload()
    observer = observer_of(one)
    for at_s, held in ((NOW_S, 0), (NOW_S + 5, 2)):
        observer.assembly.store.next_round()
        observer.scrape(at_s, outbound("rq_active", held), **POD)
        observer.round(at_s, {})
        observer.window(at_s)
    assert [s.gateway_in_flight for s in observer.window(NOW_S + 5).samples] == [0, 2]


def test_workloads_of_one_gateway_share_its_queries():
    observer = observer_of(workload("llm"), workload("chat"))
    wanted = [w for w in observer.assembly.wanted(observer.workloads) if w.exporter == "gateway"]
    assert len(wanted) == 3
    ((label, operator, pattern),) = wanted[0].where
    assert (label, operator) == ("cluster_name", "=~")
    assert "chat" in pattern
    assert "llm" in pattern


@pytest.mark.parametrize(
    ("one", "says"),
    [
        pytest.param(
            workload(gateway="nginx"), "gatewaySelector: missing; state labels", id="no selector"
        ),
        pytest.param(
            workload(gateway="ngnix"), "gateway: got ngnix; allowed: dynamo, envoy", id="unknown"
        ),
    ],
)
def test_a_gateway_that_cannot_be_read_is_refused(one, says):
    observer = observer_of(one)
    observer.round(NOW_S, {"llm-0": busy()})
    with pytest.raises(ConfigurationError, match=says):
        observer.window()


@pytest.mark.parametrize(
    ("document", "field"),
    [
        pytest.param({"select": {"a": "b"}}, "gateways.x.in_flight", id="reads nothing"),
        pytest.param(
            {"in_flight": "a", "waiting": "b"}, "gateways.x.waiting", id="says two things"
        ),
        pytest.param({"in_flight": "a", "selct": {}}, "gateways.x.selct", id="a misspelt key"),
        pytest.param(
            {"in_flight": "a", "select": {"l": "("}}, "gateways.x.select.l", id="no pattern"
        ),
        pytest.param(
            {"in_flight": "a", "select": {"l": "$x"}}, "gateways.x.select.l", id="no placeholder"
        ),
    ],
)
def test_a_profile_that_is_wrong_says_where(document, field):
    with pytest.raises(ConfigurationError) as caught:
        parse_gateways({"x": document})
    assert [problem.field for problem in caught.value.problems] == [field]


def test_a_user_s_own_gateway_needs_no_code():
    mine = {
        "mine": {"waiting": {"metrics": "held", "over": ["shard"]}, "select": {"svc": "$workload"}}
    }
    one = workload(gateway="mine")
    observer = observer_of(one, gateways=mine)
    observer.scrape(
        NOW_S,
        row("held", 2, svc="llm", shard="a") + row("held", 3, svc="llm", shard="b"),
        **POD,
    )
    observer.round(NOW_S, {})
    assert observer.window().latest.gateway_waiting == 5


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        pytest.param(
            workload("fast", cluster_name="chat"),
            workload("cheap", cluster_name="chat"),
            True,
            id="by a selector",
        ),
        pytest.param(
            workload("fast", hop="edge"),
            workload("cheap", hop="edge"),
            False,
            id="a selector beside the own name",
        ),
        pytest.param(workload("fast"), workload("cheap"), False, id="each by its own name"),
        pytest.param(
            workload("fast", "nginx", service="chat"),
            workload("fast", "keda-http", service="chat"),
            False,
            id="two gateways",
        ),
    ],
)
def test_which_workloads_read_the_same_rows(one, other, alike):
    gateways = observer_of(one, other).assembly.gateways

    assert (gateways.origin(one) == gateways.origin(other)) is alike


def test_a_workload_without_a_gateway_reads_no_rows():
    assert observer_of().assembly.gateways.origin(workload(gateway=None)) is None


@pytest.mark.parametrize(
    ("page", "one", "says"),
    [
        pytest.param(outbound("rq_active", 0), workload(), None, id="it reads 0"),
        pytest.param("", workload(gateway=None), None, id="nobody is named"),
        pytest.param(
            outbound("rq_active", 4),
            workload(cluster_name="outbound|8000||lm.serve.svc.cluster.local"),
            "the gateway istio has no fresh series (envoy_cluster_upstream_rq_active",
            id="a misspelt selector",
        ),
        pytest.param("", workload(), "the gateway istio has no fresh series", id="no gateway"),
        pytest.param(
            row("vllm_router_active_workers", 0),
            workload(gateway="vllm-router", pod="gateway-0"),
            None,
            id="a page without rows before the first request",
        ),
    ],
)
def test_a_gateway_without_a_series_is_silence_and_not_zero(page, one, says):
    observer = observer_of(one)
    observer.scrape(NOW_S, page, **POD)
    observer.round(NOW_S, {"llm-0": busy()})
    silent = observer.window().gateway_silent
    assert (silent is None) if says is None else (says in str(silent))


def test_an_arrival_query_without_an_answer_is_silence():
    one = dataclasses.replace(workload(gateway=None), arrival_query="came")
    observer = observer_of(one)
    observer.round(NOW_S, {"llm-0": busy()})
    assert observer.window().gateway_silent == "the query came has no answer for serve/llm"


def test_a_gauge_that_is_also_the_sign_of_its_gateway_is_still_read_by_the_workload_s_own_rows():
    one = workload(gateway="smg", pod="gateway-0")
    observer = observer_of(one)
    observer.scrape(NOW_S, row("smg_admission_inflight", 0), **POD)
    observer.scrape(NOW_S, row("smg_admission_inflight", 9), **{**POD, "pod": "gateway-1"})
    observer.round(NOW_S, {"llm-0": busy()})
    assert observer.window().latest.gateway_in_flight == 0


@pytest.mark.parametrize(
    ("gateway", "before", "after"),
    [
        pytest.param(
            "vllm-router",
            row("vllm_router_active_workers", 0),
            captured("vllm-router-0.1.17-noworker"),
            id="vllm-router",
        ),
        pytest.param(
            "sglang-router", "", captured("sglang-router-0.3.2-noworker"), id="sglang-router"
        ),
        pytest.param(
            "smg", row("smg_admission_inflight", 0), captured("smg-1.13.0-noworker"), id="smg"
        ),
        pytest.param(
            "litellm",
            row("litellm_in_flight_requests", 1),
            captured("litellm-1.108.7"),
            id="LiteLLM",
        ),
    ],
)
def test_requests_that_a_gateway_refuses_for_want_of_a_replica_wake_one(gateway, before, after):
    one = workload(gateway=gateway, pod="gateway-0")
    observer = observer_of(one)
    zero = row("kube_statefulset_replicas", 0, namespace="serve", statefulset="llm")
    for age in range(12, -1, -1):
        at_s = NOW_S - age * STEP_S
        observer.scrape(at_s, after if age < 2 else before, **POD)
        observer.scrape(at_s, zero, job="ksm")
        observer.round(at_s, {})
        if age == 2:
            held = decide(observer.window(at_s), InferencePolicy(max_concurrency=16))
            assert held.replicas == (None if gateway == "sglang-router" else 0)
    decision = decide(observer.window(), InferencePolicy(max_concurrency=16))
    assert (decision.replicas, decision.reason) == (1, Reason.WOKEN)


@pytest.mark.parametrize(
    ("before", "rose"),
    [
        pytest.param(row("up", 1), 3, id="on a page that was up and empty"),
        pytest.param(row("up", 0), None, id="with its page: its past is not ours"),
        pytest.param("", None, id="nobody knows of what"),
    ],
)
def test_arrivals_that_are_born_at_n_rose_from_zero(before, rose):
    one = workload(gateway="mine", app="llm")
    mine = {"mine": {"select": {"app": "$workload"}, "arrivals": "my_requests_total"}}
    born = row("my_requests_total", 3, app="llm") + row("up", 1)
    target = {"namespace": "serve", "pod": "router-0", "job": "mine", "instance": "10.0.0.1:9"}
    scale = row("kube_statefulset_replicas", 0, namespace="serve", statefulset="llm")
    at_once, bit_by_bit = (observer_of(one, gateways=mine) for _ in range(2))
    for age, page in ((2, before), (1, before), (0, born)):
        at_s = NOW_S - age * STEP_S
        for observer in (at_once, bit_by_bit):
            observer.scrape(at_s, page, **target)
            observer.round(at_s, {}, scale)
        bit_by_bit.window(at_s)
    for observer in (at_once, bit_by_bit):
        earlier, later = (one.arrivals_total for one in observer.window().samples[-2:])
        assert (None if earlier is None else later - earlier) == rose


async def test_whether_a_gateway_was_up_is_asked_once_its_counter_is_born():
    one = workload(gateway="mine", app="llm")
    mine = {"select": {"app": "$workload"}, "arrivals": "my_requests_total"}
    target = {"namespace": "edge", "job": "mine", "instance": "10.0.0.1:9"}
    async with fake_prometheus() as fake:
        for age, page in ((2, ""), (1, ""), (0, row("my_requests_total", 3, app="llm"))):
            fake.scrape(NOW_S - age * STEP_S, page, **target)
        server = PrometheusServer(url=fake.url, ingestion_delay_s=0.0)
        known = Configuration(gateways={"mine": mine}, gateway_namespaces=("edge",))
        source = PrometheusSource(
            server, profiles=shipped_profiles(), gateways=gateway_profiles(known)
        )
        for _ in range(2):
            await source.refresh([one], 60.0, NOW_S)
        earlier, later = source.window(one, 60.0, NOW_S).samples[-2:]
        await source.close()
    assert (earlier.arrivals_total, later.arrivals_total) == (0, 3)


LABELLED = st.dictionaries(
    st.sampled_from(["user", "status", "model", "route"]), st.sampled_from("abc"), max_size=3
)


@given(
    st.lists(st.tuples(LABELLED, st.integers(0, 9)), min_size=1, unique_by=lambda one: str(one[0])),
    st.sampled_from(["job", "endpoint", "prometheus_replica", "region"]),
    st.integers(1, 3),
)
def test_copies_never_change_a_total_and_rows_of_a_scrape_always_add_up(rows, label, copies):
    target = {"namespace": "serve", "pod": "gateway-0"}
    found = [
        (Track({**target, **labels, label: str(copy)}), float(value))
        for copy in range(copies)
        for labels, value in rows
    ]
    reading = Reading(rows=(Rows(metric="came"),))
    assert total(reading, found, copies=("region",)) == sum(value for _, value in rows)
