"""A server is asked for what answers rest on, and a dashboard's own readings cost it nothing."""

import pathlib
import re

import pytest

import scaler.decision
from scaler.readings.engines.profile import SHOWN_ONLY, parse_profiles, shipped_profiles
from scaler.readings.wanted import asked_for
from tests.readings.test_engines import observer_of
from tests.readings.worlds import NOW_S, busy

MINE = {
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
