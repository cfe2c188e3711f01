"""A query that many workloads share: one of them cannot spoil it for the others."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.configuration import PrometheusServer
from scaler.readings import promql
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.prometheus import PrometheusApi
from scaler.readings.prometheus_source import PrometheusSource
from scaler.source import Workload
from tests.fakes.fake_prometheus import fake_prometheus
from tests.fakes.real_prometheus import real_prometheus
from tests.readings.worlds import NOW_S, busy, row

QUERY = 'last_over_time(came{namespace=~"$namespace",workload=~"$workload"}[60s])'
LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABEL, min_size=1, max_size=3).map(".".join)
"""DNS subdomains, which are what Kubernetes names objects by."""


@given(NAMES, NAMES)
def test_a_pattern_of_a_name_matches_that_name_alone(name, other):
    assert (re.fullmatch(promql.any_of([name]), other) is not None) is (name == other)


@given(st.lists(NAMES, min_size=1, max_size=4, unique=True), NAMES)
def test_a_pattern_of_names_matches_each_and_no_other(names, other):
    pattern = promql.any_of(names)

    assert all(re.fullmatch(pattern, name) for name in names)
    assert bool(re.fullmatch(pattern, other)) is (other in names)


@given(NAMES, st.sampled_from("\"'`"), st.sampled_from(["=~", "!~", "=", "!="]))
def test_a_name_means_itself_in_every_kind_of_quotes(name, quote, operator):
    query = promql.filled(
        f"m{{a{operator} {quote}$workload{quote}}}", {"workload": {name}, "namespace": {"x"}}
    )
    (text,) = re.findall(rf"{quote}(.*){quote}", query)

    assert "\\" not in text
    assert re.fullmatch(text, name) if "~" in operator else text == name


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param('m{a=~"x-$workload"}', 'm{a=~"x-a[.]b"}', id="part of a pattern"),
        pytest.param('m{a="${workload}"}', 'm{a="a.b"}', id="a text"),
        pytest.param('m{b=~"\\"$$1",a="$workload"}', 'm{b=~"\\"$1",a="a.b"}', id="escapes"),
        pytest.param('m # =~ "$workload"\n', 'm # =~ "a.b"\n', id="a comment"),
        pytest.param("m{a=~`$workload`}", "m{a=~`a[.]b`}", id="a raw string"),
    ],
)
def test_placeholders_are_filled_as_they_stand(query, expected):
    assert promql.filled(query, {"workload": {"a.b"}, "namespace": {"n"}}) == expected


def counted(name: str) -> Workload:
    return Workload(
        namespace="serve",
        scaled_object=name,
        kind="StatefulSet",
        name=name,
        arrival_query="came",
    )


async def counts_of(source, names, at_s=NOW_S):
    workloads = [counted(name) for name in names]
    await source.refresh(workloads, 60, at_s)
    return [source.window(one, 60, at_s).latest.arrivals_total for one in workloads]


@pytest.fixture
async def fake():
    async with fake_prometheus() as running:
        for name, count in (("llm", 5), ("chat", 7), ("v1.2", 9), ("code", 11)):
            running.scrape(NOW_S, busy(), namespace="serve", pod=f"{name}-0")
            running.scrape(NOW_S, row("came", count, namespace="serve", workload=name), job=name)
        yield running


@pytest.fixture
def source(fake):
    server = PrometheusServer(url=fake.url, ingestion_delay_s=0.0)
    return PrometheusSource(server, profiles=shipped_profiles(), queries={"came": QUERY})


async def test_a_name_with_a_dot_is_counted_like_any_other(source):
    assert await counts_of(source, ["llm", "chat", "v1.2"]) == [5, 7, 9]


async def test_one_for_whom_the_query_is_refused_costs_the_others_nothing(fake, source, caplog):
    fake.refuses = "v1[.]2"

    assert await counts_of(source, ["llm", "chat", "v1.2", "code"]) == [5, 7, None, 11]
    assert "query came of serve/v1.2" in caplog.text
    fake.queries.clear()
    await counts_of(source, ["llm", "chat", "v1.2", "code"])
    assert [query for query in fake.queries if "came{" in query and "came)" not in query] == [
        QUERY.replace("$namespace", "serve").replace("$workload", "chat|code|llm"),
        f"({QUERY.replace('$namespace', 'serve').replace('$workload', 'v1[.]2')}\n)[60s:15s]",
    ]

    fake.refuses = None
    assert await counts_of(source, ["llm", "chat", "v1.2", "code"]) == [5, 7, 9, 11]
    assert await counts_of(source, ["llm", "chat", "v1.2", "code"]) == [5, 7, 9, 11]


async def test_a_server_that_is_ill_is_not_asked_again(fake, source):
    await counts_of(source, ["llm"])
    fake.queries.clear()
    fake.refuses, fake.refuses_with = "came", 503

    await counts_of(source, ["llm", "chat", "code"])

    assert len([query for query in fake.queries if "came" in query]) == 1


async def test_a_real_prometheus_takes_every_name_in_every_kind_of_quotes():
    names = {"workload": {"a", "v1.2-x.y", "0"}, "namespace": {"llm", "a-b"}}
    async with real_prometheus("http://127.0.0.1:9", interval_s=1.0) as url:
        api = PrometheusApi(PrometheusServer(url=url))
        for quote in "\"'`":
            query = f"m{{a=~{quote}$workload{quote},b!~{quote}$namespace{quote}}}"
            assert await api.query(promql.filled(query, names), 100.0) == []
        api.close()
