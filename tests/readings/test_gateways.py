"""Requests before the engines: what each preset reads, and whose they are."""

import pytest

from scaler.configuration import Configuration
from scaler.documents.gateways import gateway_profiles
from scaler.errors import ConfigurationError
from scaler.readings.assemble import Assembly
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.gateways.known import AtGateway
from scaler.readings.gateways.profile import parse_gateways
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from scaler.source import Workload
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
    pytest.param(
        row("litellm_in_flight_requests", 4, pid="7")
        + row("litellm_in_flight_requests", 2, pid="8"),
        workload(gateway="litellm", pod="gateway-0"),
        AtGateway(gateway_in_flight=6),
        id="litellm, whose processes add up",
    ),
    pytest.param(
        row("vllm:num_prefill_requests", 1, server="http://a")
        + row("vllm:num_decoding_requests", 3, server="http://a")
        + row("vllm:num_decoding_requests", 2, server="http://b")
        + row("vllm:num_incoming_requests_total", 50, model="m"),
        workload(gateway="vllm-router", pod="gateway-0"),
        AtGateway(gateway_in_flight=6, arrivals_total=50),
        id="vllm router, in two parts",
    ),
    pytest.param(
        row("interceptor_pending_request_count", 4, host="llm.example.com")
        + row("interceptor_request_count_total", 8, host="llm.example.com", code="200")
        + row("interceptor_request_count_total", 1, host="llm.example.com", code="502"),
        workload(gateway="keda-http", host="llm.example.com"),
        AtGateway(gateway_in_flight=4, arrivals_total=9),
        id="KEDA's own interceptor",
    ),
]


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
        pytest.param(workload(gateway="nginx"), "gatewaySelector: got nothing", id="no selector"),
        pytest.param(workload(gateway="ngnix"), "gateway: got ngnix; allowed: envoy", id="unknown"),
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
