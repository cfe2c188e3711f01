"""What is said to which server, and what a server says where a query is too much for it."""

import json

import pytest
from aiohttp import web

from scaler.configuration import PrometheusServer
from scaler.errors import SourceError
from scaler.readings.dialect import Dialect, dialect_of
from scaler.readings.prometheus import PrometheusApi
from scaler.readings.replies import PartialAnswerError, TooManySeriesError, lacking, refusal_of
from scaler.readings.server_kind import ServerKind
from tests.fakes.fake_prometheus import fake_prometheus


@pytest.mark.parametrize(
    ("name", "version", "native"),
    [
        ("Prometheus", "2.42.0", False),
        ("Prometheus", "3.12.0", True),
        ("Thanos", "0.41.0", True),
        ("Grafana Mimir", "2.17.0", True),
        ("unknown", None, False),
        ("VictoriaMetrics", None, False),
    ],
)
def test_native_histograms_are_looked_for_where_a_server_may_have_them(name, version, native):
    assert dialect_of(ServerKind(name=name, version=version)).native_histograms is native


def test_only_victoria_metrics_is_told_not_to_answer_as_of_half_a_minute_ago():
    assert dict(dialect_of(ServerKind(name="VictoriaMetrics")).params) == {
        "latency_offset": "1ms",
        "nocache": "1",
    }
    assert dialect_of(ServerKind(name="Prometheus", version="2.42.0")) == Dialect()


TOO_MUCH = [
    "query processing would load too many samples into memory in query execution",
    "cannot select more than -search.maxSamplesPerQuery=5 samples; possible solutions: increase",
    "the query exceeded the maximum number of chunks (limit: 1) (err-mimir-max-chunks-per-query)",
    "The query hit the max number of chunks limit while fetching chunks (limit: 2)",
]
TOO_MANY_SERIES = [
    "error when searching tsids: the number of matching timeseries exceeds 5; either narrow down",
    "too long query; got 20000 bytes; mustn't exceed `-search.maxQueryLen=16384` bytes",
    "the query exceeded the maximum number of series (err-mimir-max-series-per-query)",
    "The query hit the max number of series limit (limit: 100)",
    "rpc error: exceeded series limit: limit 3 violated (got 4)",
]


@pytest.mark.parametrize("said", [*TOO_MUCH, *TOO_MANY_SERIES])
def test_what_is_too_much_for_a_server_is_a_limit(said):
    error = refusal_of(422, json.dumps({"status": "error", "error": said}).encode(), "")
    assert error.kind == "limit"
    assert isinstance(error, TooManySeriesError) is (said in TOO_MANY_SERIES)


def test_another_refusal_is_none():
    assert refusal_of(422, b'{"error": "unknown function"}', "").kind == "http"


def test_a_cluster_of_victoria_metrics_says_that_an_answer_is_partial():
    assert "isPartial" in lacking({"status": "success", "isPartial": True, "data": {"result": []}})
    assert lacking({"status": "success", "isPartial": False, "data": {"result": []}}) == ""


async def test_an_answer_with_warnings_has_its_rows_beside_the_error():
    async with fake_prometheus() as fake:
        fake.scrape(90.0, "m 7\n")
        fake.warnings = ["no StoreAPIs matched"]
        api = PrometheusApi(PrometheusServer(url=fake.url))
        with pytest.raises(PartialAnswerError, match="no StoreAPIs") as caught:
            await api.query("m{}[60s]", 100.0)
        assert caught.value.rows == [({"__name__": "m"}, [(90.0, 7.0)])]
        fake.warnings = []
        assert await api.query("m{}[60s]", 100.0) == caught.value.rows
        api.close()


async def test_a_server_s_words_about_too_many_series_are_told_with_its_address():
    async with fake_prometheus() as fake:
        fake.answer = web.json_response({"error": TOO_MANY_SERIES[0]}, status=422)
        api = PrometheusApi(PrometheusServer(url=fake.url))
        with pytest.raises(SourceError, match=f"{fake.url}: answered 422: .*timeseries exceeds 5"):
            await api.query("m{}[60s]", 100.0)
        api.close()


def test_filters_change_where_a_server_remembers_what_they_mean():
    remembers = dialect_of(ServerKind(name="VictoriaMetrics"))

    at = [remembers.anew(1_000_000.0 + seconds) for seconds in range(30)]
    assert len(set(at)) in (10, 11)
    assert all(operator == "!=" for ((_, operator, _),) in at)
    assert dialect_of(ServerKind(name="Prometheus", version="2.42.0")).anew(0.0) == ()
