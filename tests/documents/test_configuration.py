import pathlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scaler.configuration import Configuration, Pool, PrometheusServer, ScrapeIntervals
from scaler.documents.configuration import load_configuration, read_configuration
from scaler.errors import ConfigurationError

WHOLE = """
prometheus:
  default:
    url: http://prometheus:9090
  eu1:
    url: https://thanos.example/eu1
    matchers: {cluster: eu1}
    replicaLabels: [prometheus_replica]
    params: {dedup: true, partial_response: false}
    headers: {X-Scope-OrgID: team-a}
    basicUsername: kvtide
    basicPasswordFile: /etc/kvtide/password
    caFile: /etc/kvtide/ca.crt
    timeout: 5s
    ingestionDelay: 10s
    maxSeries: 50000
    scrapeInterval: {engine: 5s, gpu: 30s, cluster: auto}
pools:
  a100:
    units: 7
    reservedUnits: 3
    resource: nvidia.com/mig-1g.5gb
    workloads: [llm/chat]
queries:
  arrivals: |
    sum(requests_total{namespace="$namespace", app=~"$workload-.*$$"})
gatewayNamespaces: [istio-system]
"""


def problems(text: str) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(text, "kvtide.yaml")
    return {problem.field: str(problem.said) for problem in caught.value.problems}


def test_a_whole_configuration_is_read():
    assert read_configuration(WHOLE) == Configuration(
        prometheus={
            "default": PrometheusServer(url="http://prometheus:9090"),
            "eu1": PrometheusServer(
                url="https://thanos.example/eu1",
                matchers=(("cluster", "eu1"),),
                replica_labels=("prometheus_replica",),
                params=(("dedup", "true"), ("partial_response", "false")),
                headers=(("X-Scope-OrgID", "team-a"),),
                basic_username="kvtide",
                basic_password_file="/etc/kvtide/password",  # noqa: S106 - a path
                ca_file="/etc/kvtide/ca.crt",
                timeout_s=5.0,
                ingestion_delay_s=10.0,
                max_series=50_000,
                scrape_interval=ScrapeIntervals(engine_s=5.0, gpu_s=30.0),
            ),
        },
        pools={
            "a100": Pool(
                units=7,
                reserved_units=3,
                resource="nvidia.com/mig-1g.5gb",
                workloads=("llm/chat",),
            )
        },
        queries={
            "arrivals": 'sum(requests_total{namespace="$namespace", app=~"$workload-.*$$"})\n'
        },
        gateway_namespaces=("istio-system",),
    )


def test_a_query_is_filled_with_names_only():
    query = read_configuration(WHOLE).arrival_query("arrivals", namespace="llm", workload="chat")

    assert query == 'sum(requests_total{namespace="llm", app=~"chat-.*$"})\n'


def test_nothing_is_the_default_configuration():
    assert read_configuration("") == Configuration()
    assert read_configuration("# only a comment\n---\n") == Configuration()


def test_secrets_do_not_show():
    (server,) = read_configuration(
        "prometheus: {default: {url: 'http://p', headers: {Authorization: hush}}}"
    ).prometheus.values()

    assert "hush" not in repr(server)


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        pytest.param(
            "prometeus: {}", "prometeus", "did you mean prometheus?", id="a typo at the top"
        ),
        pytest.param(
            "prometheus: {eu1: {url: 'http://p', timeOut: 5s}}",
            "prometheus.eu1.timeOut",
            "did you mean timeout?",
            id="a typo within",
        ),
        pytest.param(
            "prometheus: {eu1: {url: 'http://p', timeout: 5}}",
            "prometheus.eu1.timeout",
            "got '5'; allowed: a duration with its unit",
            id="no unit",
        ),
        pytest.param(
            "prometheus: {eu1: {url: 'http://p', timeout: 10m}}",
            "prometheus.eu1.timeout",
            "got '10m'; allowed: at least 0.1 and at most 300 seconds",
            id="out of range, in the words of the file",
        ),
        pytest.param(
            "prometheus: {eu1: {timeout: 5s}}", "prometheus.eu1.url", "missing", id="no address"
        ),
        pytest.param(
            "prometheus: {eu1: {url: 'prometheus:9090'}}",
            "prometheus.eu1.url",
            "an address such as http://",
            id="an address without its scheme",
        ),
        pytest.param(
            "prometheus: {eu1: {url: 'http://p', matchers: {a-b: c}}}",
            "prometheus.eu1.matchers",
            "got 'a-b'",
            id="no label name",
        ),
        pytest.param(
            "prometheus: {eu1: {url: 'http://p', certFile: x}}",
            "prometheus.eu1.keyFile",
            "missing, since certFile is",
            id="a certificate without its key",
        ),
        pytest.param(
            "prometheus: {eu1: {url: 'http://p', bearerTokenFile: x, basicUsername: y, "
            "basicPasswordFile: z}}",
            "prometheus.eu1.bearerTokenFile",
            "stated beside basicUsername; state one of them",
            id="two ways to say who asks",
        ),
        pytest.param(
            "pools: {a: {units: 2, reservedUnits: 3, workloads: [llm/chat]}}",
            "pools.a.reservedUnits",
            "at most 2",
            id="more reserved than there are",
        ),
        pytest.param(
            "pools: {a: {units: many, workloads: [llm/chat]}}",
            "pools.a.units",
            "got 'many'; allowed: a whole number",
            id="a value that must be there and cannot be read",
        ),
        pytest.param(
            "pools: {a: {units: 2, workloads: []}}",
            "pools.a.workloads",
            "at least one online workload",
            id="a pool for nobody",
        ),
        pytest.param(
            "pools: {a: {units: 2, workloads: [chat]}}",
            "pools.a.workloads",
            "namespace/scaledobject",
            id="a workload without its namespace",
        ),
        pytest.param(
            "queries: {q: 'up{pod=\"$pod\"}'}",
            "queries.q",
            "got placeholder $pod; allowed: $namespace, $workload",
            id="another placeholder",
        ),
        pytest.param(
            "engines: {house: {extends: vllm, awak: up}}",
            "engines.house.awak",
            "awake",
            id="a typo in an engine",
        ),
        pytest.param(
            "gatewayNamespaces: istio-system", "gatewayNamespaces", "a list", id="no list"
        ),
        pytest.param(
            "pools: {a: {units: 2, workloads: [[llm/chat]]}}",
            "pools.a.workloads[0]",
            "got 'list'",
            id="a list within a list",
        ),
        pytest.param("pools: [a]", "pools", "a mapping", id="no mapping"),
        pytest.param("- a", "document", "a mapping", id="no document of ours"),
        pytest.param(
            "pools: {}\npools: {}", "kvtide.yaml", "'pools' is there twice in line 1", id="twice"
        ),
        pytest.param("a: b: c", "kvtide.yaml", "in line 1, column 5", id="no YAML"),
        pytest.param("{}\n---\n{}", "kvtide.yaml", "got 2 documents", id="two documents"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(text, field, message):
    found = problems(text)

    assert list(found) == [field]
    assert message in found[field]


def test_every_problem_comes_at_once():
    text = """
    prometheus: {eu1: {url: p, timeout: 5, scrapeInterval: {engine: 1ms}}}
    pools: {a: 3}
    queries: {q: $pod}
    """

    assert list(problems(text)) == [
        "prometheus.eu1.timeout",
        "prometheus.eu1.scrapeInterval.engine",
        "prometheus.eu1.url",
        "pools.a",
        "queries.q",
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: pathlib.Path):
    with pytest.raises(ConfigurationError, match=r"absent\.yaml: cannot be read: No such file"):
        load_configuration(tmp_path / "absent.yaml")


NODES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["url", "units", "extends", "readings", "x"]), inner)
    ),
    max_leaves=6,
)
TOP = ["prometheus", "pools", "engines", "gateways", "queries", "gatewayNamespaces", "server"]


def read_or_refused(document: object) -> Configuration | ConfigurationError:
    try:
        return read_configuration(yaml.safe_dump(document))
    except ConfigurationError as error:
        return error


@given(st.dictionaries(st.sampled_from(TOP), NODES | st.dictionaries(st.text(max_size=4), NODES)))
def test_any_document_is_read_or_refused_in_words(document):
    outcome = read_or_refused(document)

    assert isinstance(outcome, Configuration) or outcome.problems
