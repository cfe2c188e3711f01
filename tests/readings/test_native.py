"""Native histograms read as the classic ones that they were: sums, counts, and token lengths."""

import json
from collections.abc import Sequence

import pytest
from aiohttp import web

from scaler.configuration import PrometheusServer, ScrapeIntervals
from scaler.errors import SourceError
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.lengths import LengthBook, Which
from scaler.readings.native import with_native
from scaler.readings.prometheus_source import PrometheusSource
from scaler.readings.replies import rows_of
from tests.fakes.fake_prometheus import FakePrometheus, fake_prometheus
from tests.readings.worlds import LLM, NOW_S, STEP_S, busy, row

HISTOGRAM = {
    "count": "10",
    "sum": "3.5",
    "buckets": [[0, "-Inf", "1", "4"], [0, "1", "5", "5"], [0, "5", "+Inf", "1"]],
}


def test_names_of_parts_bring_the_name_of_the_whole():
    assert with_native(("a_sum", "b_total", "a_count")) == ("a_sum", "b_total", "a_count", "a")


def test_samples_of_a_range_become_sum_and_count():
    found = rows_of(
        [{"metric": {"__name__": "a", "x": "1"}, "histograms": [[5, HISTOGRAM]]}], most=9
    )
    assert found == [
        ({"__name__": "a_sum", "x": "1"}, [(5.0, 3.5)]),
        ({"__name__": "a_count", "x": "1"}, [(5.0, 10.0)]),
    ]


def test_what_was_added_up_becomes_cumulative_buckets():
    found = rows_of([{"metric": {"stem": "s"}, "histogram": [5, HISTOGRAM]}], most=9)
    assert [(labels["le"], points[0][1]) for labels, points in found] == [
        ("1", 4),
        ("5", 9),
        ("+Inf", 10),
    ]


@pytest.mark.parametrize("odd", [{}, {"count": "x", "sum": "1"}, {"count": "1"}, 7, None])
def test_a_histogram_of_another_shape_is_an_error_of_format(odd):
    with pytest.raises(SourceError, match="format"):
        rows_of([{"metric": {"__name__": "a"}, "histograms": [[5, odd]]}], most=9)


def test_buckets_that_one_stem_does_not_tell_hold_what_its_smaller_ones_do():
    book = LengthBook()
    rows = [(("serve", "one"), le, n) for le, n in (("10", 5.0), ("+Inf", 6.0))]
    rows += [(("serve", "two"), le, n) for le, n in (("20", 7.0), ("+Inf", 7.0))]
    book.put(Which.OUTPUT, rows)
    book.settle({"serve/llm": [("serve", "one-0"), ("serve", "two-0")]})
    lengths = book.of("serve/llm").output_tokens
    assert lengths is not None
    assert dict(zip(lengths.upper, lengths.counts, strict=True)) == {
        10.0: 5.0,
        20.0: 7.0,
        float("inf"): 1.0,
    }


class Converting(FakePrometheus):
    """Stores histograms as a whole, as a Prometheus 3 that is told to convert them does."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        query, at_s = str(form["query"]), float(str(form["time"]))
        metric = {"__name__": "vllm:iteration_tokens_total", "namespace": "serve", "pod": "llm-0"}
        if "increase(vllm:request_generation_tokens{" in query:
            found = [
                {"metric": {"namespace": "serve", "stem": "llm"}, "histogram": [at_s, HISTOGRAM]}
            ]
            return _answer("vector", found)
        if "vllm:iteration_tokens_total|" in query and "[" in query:
            samples = [[NOW_S - age, {"count": str(9 - age / 5), "sum": "1"}] for age in (10, 5, 0)]
            return _answer("matrix", [{"metric": metric, "histograms": samples}])
        return await super().handle(request)


def _answer(kind: str, result: Sequence[object]) -> web.Response:
    document = {"status": "success", "data": {"resultType": kind, "result": result}}
    return web.Response(text=json.dumps(document), content_type="application/json")


async def test_a_server_that_converts_histograms_is_read_in_full():
    async with fake_prometheus(Converting()) as fake:
        fake.build = {"version": "3.12.0", "revision": "abc"}
        for age_s in (10, 5, 0):
            fake.scrape(NOW_S - age_s, busy() + row("other", 1), namespace="serve", pod="llm-0")
        server = PrometheusServer(
            url=fake.url, ingestion_delay_s=0.0, scrape_interval=ScrapeIntervals(engine_s=STEP_S)
        )
        source = PrometheusSource(server, profiles=shipped_profiles())
        await source.refresh([LLM], 60, NOW_S)
        window = source.window(LLM, 60, NOW_S)
        assert [one.replicas[0].steps_total for one in window.samples] == [7, 8, 9]
        lengths = window.lengths.output_tokens
        assert lengths is not None
        assert list(lengths.counts) == [4, 5, 1]
        await source.close()
