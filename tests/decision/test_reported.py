"""What a signal that rests says it lacks: load that is yet to come, or readings that never will."""

from typing import Any

import pytest

from scaler.decision.load import read
from scaler.decision.policy import SignalName
from scaler.decision.sample import Sample
from tests.builders import inference, replica, sample_of, window

TOLD = {
    "requests_finished_total": 5.0,
    "prompt_tokens_total": 50.0,
    "generation_tokens_total": 50.0,
    "itl_count": 50.0,
}


def told_by(told):
    """Return samples of one replica that reports some counters."""
    fields: dict[str, Any] = told
    return [sample_of(replica(running=1.0, **fields), at_s=5.0 * at) for at in range(4)]


def why(*samples, metrics=(SignalName.WORK,)):
    (one,) = read(window(*samples), inference(metrics=metrics))
    assert one.abstention is not None
    return one.abstention.why


def test_a_fit_without_busy_buckets_waits_for_load():
    assert "busy buckets of different load" in why(*told_by(TOLD))


@pytest.mark.parametrize(
    ("without", "says"),
    [
        ("requests_finished_total", "reports no finished requests, to which"),
        ("itl_count", "reports no engine steps or inter-token latency, to which"),
    ],
)
def test_a_fit_to_readings_that_nobody_reports_says_which(without, says):
    told = {field: value for field, value in TOLD.items() if field != without}
    assert says in why(*told_by(told))


@pytest.mark.parametrize(
    ("targets_up", "says"),
    [
        pytest.param(6, "of 6 the page is scraped and shows no fresh series", id="other names"),
        pytest.param(0, "no page of their pods is seen scraped", id="none is up"),
        pytest.param(None, "no page of their pods is seen scraped", id="other labels"),
    ],
)
def test_ready_replicas_that_do_not_report_say_what_is_there_of_them(targets_up, says):
    silent = Sample(at_s=5.0, ready_replicas=6, targets_up=targets_up)
    text = why(silent, metrics=(SignalName.CONCURRENCY,))
    assert text.startswith("0 of 6 ready replicas report")
    assert says in text
