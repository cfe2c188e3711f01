"""A server is asked for what answers rest on, and a dashboard's own readings cost it nothing."""

import dataclasses
import pathlib
import re
from typing import Any

import pytest

import scaler.decision
from scaler.configuration import PrometheusServer, ScrapeIntervals
from scaler.errors import ConfigurationError
from scaler.readings.engines.profile import SHOWN_ONLY, parse_profiles, shipped_profiles
from scaler.readings.prometheus_source import PrometheusSource
from scaler.readings.wanted import asked_for
from tests.fakes.fake_prometheus import fake_prometheus
from tests.readings.test_engines import observer_of
from tests.readings.test_prometheus_source import source_of
from tests.readings.worlds import LLM, NOW_S, STEP_S, busy, row

MINE: dict[str, Any] = {
    "readings": {
        "requests_running": "mine_running",
        "requests_waiting": "mine_waiting",
        "e2e_count": "mine_requests_count",
    },
    "progress": ["e2e_count"],
}


def metrics_asked_for(observer) -> set[str]:
    asked = asked_for(observer.assembly.wanted(observer.workloads))
    return {metric for wanted in asked for metric in wanted.metrics}


def test_no_rule_reads_what_no_server_is_asked_for():
    rules = pathlib.Path(scaler.decision.__file__).parent.rglob("*.py")
    read = {
        (path.name, name)
        for path in rules
        if path.name != "sample.py"
        for name in re.findall(r"\w+", path.read_text(encoding="utf-8"))
        if name in SHOWN_ONLY
    }

    assert not read


def test_a_server_is_asked_for_nothing_that_is_only_shown():
    observer = observer_of("vllm")
    observer.round(NOW_S, {"llm-0": busy()})
    asked = metrics_asked_for(observer)
    shown = {m for one in shipped_profiles()["vllm"].only_shown for m in one.metrics}

    assert "vllm:num_preemptions_total" in shown
    assert not asked & shown
    assert {"vllm:num_requests_running", "vllm:iteration_tokens_total_count"} <= asked


@pytest.mark.parametrize("left_out", [(), ("progress",)], ids=["stated", "all that moves"])
def test_what_tells_a_stuck_engine_is_asked_for_in_any_case(left_out):
    profiles = parse_profiles({"mine": {k: v for k, v in MINE.items() if k not in left_out}})

    assert "mine_requests_count" in metrics_asked_for(observer_of("mine", profiles))


STATES = "".join(
    row(
        "vllm:engine_sleep_state",
        int(state == "awake"),
        engine="0",
        model_name="m",
        sleep_state=state,
    )
    for state in ("awake", "weights_offloaded", "discard_all")
)


async def test_rows_beside_those_that_are_read_are_left_to_the_server():
    async with fake_prometheus() as fake:
        for age_s in range(61, 0, -5):
            fake.scrape(NOW_S - age_s, busy() + STATES, namespace="serve", pod="llm-0")
        source = source_of(fake)
        await source.refresh([LLM], 60, NOW_S)
        asked = [one for one in fake.queries if "engine_sleep_state" in one and one.endswith("s]")]
        found: Any = [fake.evaluate(query, NOW_S)["result"] for query in asked]
        await source.close()

    states = {one["metric"].get("sleep_state") for rows in found for one in rows} - {None}
    assert states == {"awake"}
    assert source.window(LLM, 60, NOW_S).latest.replicas[0].sleeping is False


CACHED = {"metric": "vllm:prompt_tokens_by_source_total", "match": {"source": "local_cache_hit"}}


def left_out_with(**readings):
    """Return what is left out each time that a metric is asked for: vLLM with other readings."""
    profiles = parse_profiles(
        {"mine": {"extends": "vllm", "readings": readings}}, known=shipped_profiles()
    )
    observer = observer_of("mine", profiles)
    wanted = asked_for(observer.assembly.wanted(observer.workloads))
    return {one.unread for one in wanted if CACHED["metric"] in one.metrics}


def test_what_a_reading_names_is_read():
    state = ("sleep_state", "!~", "discard_all|weights_offloaded")
    usual = (state, ("source", "!~", "external_kv_transfer|local_cache_hit"))
    assert left_out_with() == {usual}
    mine = left_out_with(steps_total={"metrics": CACHED})
    assert mine == {usual, (state, ("source", "!~", "external_kv_transfer"))}
    for whole in ({}, {"over": ["source"]}):
        assert () in left_out_with(steps_total={"metrics": CACHED["metric"], **whole})


async def test_what_one_engine_leaves_out_another_one_is_read_by():
    names = {"requests_running": "my_running", "prompt_tokens_total": "my_prompt_tokens_total"}
    profiles = parse_profiles({"mine": {"readings": {**MINE["readings"], **names}}})
    mine = dataclasses.replace(LLM, scaled_object="mine", name="mine", engine="mine")
    page = row("my_running", 0) + row("my_prompt_tokens_total", 70, source="local_cache_hit")
    async with fake_prometheus() as fake:
        for age_s in range(61, 0, -5):
            fake.scrape(NOW_S - age_s, page, namespace="serve", pod="mine-0")
            fake.scrape(NOW_S - age_s, busy() + STATES, namespace="serve", pod="llm-0")
        server = PrometheusServer(
            url=fake.url,
            scrape_interval=ScrapeIntervals(engine_s=STEP_S),
            ingestion_delay_s=0.0,
        )
        source = PrometheusSource(server, profiles={**shipped_profiles(), **profiles})
        await source.refresh([mine, LLM], 60, NOW_S)
        await source.close()
    assert source.window(mine, 60, NOW_S).latest.replicas[0].prompt_tokens_total == 70


def test_values_to_leave_out_that_are_no_texts_are_named():
    with pytest.raises(ConfigurationError, match="engines.mine.unread.source"):
        parse_profiles({"mine": {**MINE, "unread": {"source": 3}}})
