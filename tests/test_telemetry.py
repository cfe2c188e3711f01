"""The metrics as Prometheus reads them, and the log lines as people and machines do."""

import json
import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scaler.decision.decision import Decision, Reason, Step
from scaler.errors import SOURCE_ERRORS
from scaler.log import JsonLines, LogFmt, NotTooOften
from scaler.telemetry.observed import Observation, decision_fields
from scaler.telemetry.process import Telemetry

NOW_S = 1_000.0


def observation(decision: Decision | None, *, role: str = "inference", **more) -> Observation:
    fields = {
        "namespace": "prod",
        "scaled_object": "llm",
        "role": role,
        "decision": decision,
        "reason": decision.reason.value if decision else "NoData",
        "detail": decision.detail if decision else "nothing fresh",
        "newest_s": 990.0,
        "evaluated_s": NOW_S,
    }
    return Observation(**{**fields, **more})


def scraped(*seen: Observation) -> dict[str, list[tuple[dict[str, str], float]]]:
    telemetry = Telemetry()
    telemetry.show_objects(lambda: seen, lambda: NOW_S)
    return samples(telemetry)


def samples(telemetry: Telemetry) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(telemetry.exposition().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


INFERENCE = Decision(
    at_s=990.0,
    steps=(Step(4, Reason.DEMAND, "load 2.8 over 0.7"),),
    load=2.8,
    ready_replicas=3,
    safe_concurrency=12,
    binding_limit="kv",
    panic=True,
)
TRAINING = Decision(at_s=990.0, steps=(Step(5, Reason.LENT, "5 of 8 are free"),), load=0.2)
HOLD = Decision(at_s=990.0, steps=(Step(None, Reason.NO_HISTORY, "30 s of 60 s"),))

WHO = {"namespace": "prod", "scaledobject": "llm"}
OF_INFERENCE = WHO | {"role": "inference"}
OF_TRAINING = WHO | {"role": "training"}


@pytest.mark.parametrize(
    ("seen", "name", "expected"),
    [
        (INFERENCE, "kvtide_desired_replicas", (OF_INFERENCE | {"reason": "Demand"}, 4)),
        (INFERENCE, "kvtide_ready_replicas", (OF_INFERENCE, 3)),
        (INFERENCE, "kvtide_load", (OF_INFERENCE, 2.8)),
        (INFERENCE, "kvtide_safe_concurrency", (OF_INFERENCE | {"binding_limit": "kv"}, 12)),
        (INFERENCE, "kvtide_panic", (OF_INFERENCE, 1)),
        (INFERENCE, "kvtide_held", (OF_INFERENCE | {"reason": ""}, 0)),
        (INFERENCE, "kvtide_decision_age_seconds", (OF_INFERENCE, 10)),
        (HOLD, "kvtide_held", (OF_INFERENCE | {"reason": "NoHistory"}, 1)),
        (None, "kvtide_held", (OF_INFERENCE | {"reason": "NoData"}, 1)),
        (None, "kvtide_decision_age_seconds", (OF_INFERENCE, 10)),
    ],
)
def test_an_inference_object_is_shown(seen, name, expected):
    assert scraped(observation(seen))[name] == [expected]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kvtide_desired_replicas", (OF_TRAINING | {"reason": "Lent"}, 5)),
        ("kvtide_lent_workers", (OF_TRAINING, 5)),
        ("kvtide_online_load", (OF_TRAINING, 0.2)),
    ],
)
def test_a_training_object_is_shown(name, expected):
    assert scraped(observation(TRAINING, role="training"))[name] == [expected]


def test_a_borrowers_pool_is_counted_by_use():
    units = {"serving": 3, "lent": 5, "free": 0}
    found = scraped(observation(TRAINING, role="training", units=units))["kvtide_pool_units"]
    assert found == [(OF_TRAINING | {"use": use}, count) for use, count in units.items()]


@pytest.mark.parametrize(
    ("seen", "role", "absent"),
    [
        (TRAINING, "training", "kvtide_load"),
        (TRAINING, "training", "kvtide_panic"),
        (INFERENCE, "inference", "kvtide_lent_workers"),
        (INFERENCE, "inference", "kvtide_online_load"),
        (HOLD, "inference", "kvtide_desired_replicas"),
        (None, "inference", "kvtide_desired_replicas"),
    ],
)
def test_what_is_not_known_has_no_series(seen, role, absent):
    assert absent not in scraped(observation(seen, role=role))


def test_an_object_that_never_had_a_sample_has_no_age():
    assert "kvtide_decision_age_seconds" not in scraped(observation(None, newest_s=None))


def test_the_process_is_counted():
    telemetry = Telemetry()
    telemetry.count_source_error("timeout")
    telemetry.observe_rpc(method="GetMetrics", code="OK", seconds=0.002)
    telemetry.observe_tick(phase="read", seconds=0.3)
    telemetry.observe_reclaim(namespace="prod", scaled_object="train", seconds=4.0)
    telemetry.observe_fast_scale(namespace="prod", scaled_object="chat", seconds=0.7)
    found = samples(telemetry)
    errors = {labels["kind"]: count for labels, count in found["kvtide_source_errors_total"]}
    assert errors == {kind: float(kind == "timeout") for kind in SOURCE_ERRORS}
    assert found["kvtide_rpc_seconds_count"] == [({"method": "GetMetrics", "code": "OK"}, 1)]
    assert found["kvtide_tick_seconds_sum"] == [({"phase": "read"}, 0.3)]
    assert found["kvtide_reclaim_seconds_sum"][0][1] == 4.0
    assert found["kvtide_fast_scale_seconds_sum"][0][1] == 0.7
    assert found["kvtide_build_info"][0][1] == 1

    telemetry.forget(namespace="prod", scaled_object="train")
    assert "kvtide_reclaim_seconds_sum" not in samples(telemetry)


def record(message: str, **more) -> logging.LogRecord:
    made = logging.LogRecord("kvtide", logging.INFO, "", 0, message, None, more.pop("exc", None))
    made.created, made.msecs = 1_700_000_000.25, 250.0
    made.__dict__.update(more)
    return made


def test_a_json_line_carries_the_decision():
    line = JsonLines().format(record("decision", fields=decision_fields(observation(INFERENCE))))
    read = json.loads(line)
    assert "\n" not in line
    assert read["time"] == "2023-11-14T22:13:20.250Z"
    assert read["message"] == "decision"
    assert (read["scaledobject"], read["replicas"], read["reason"]) == ("llm", 4, "Demand")


def test_a_traceback_stays_on_its_line():
    with pytest.raises(ValueError, match="invalid literal") as raised:
        int("odd")

    line = JsonLines().format(record("failed", exc=(raised.type, raised.value, raised.tb)))

    assert "\n" not in line
    assert "ValueError: invalid literal" in json.loads(line)["traceback"]


def test_logfmt_quotes_what_has_spaces():
    line = LogFmt().format(record("decision", fields=decision_fields(observation(None))))
    assert 'detail="nothing fresh"' in line
    assert "replicas=null" in line
    assert "namespace=prod" in line


def warned(message: str, at_s: float = 0.0, level: int = logging.WARNING) -> logging.LogRecord:
    made = record(message)
    made.levelno, made.created = level, at_s
    return made


def test_what_is_told_too_often_is_held_back_and_counted():
    often = NotTooOften(most=2, in_s=60.0)
    made = [warned("answer of %s", at_s) for at_s in (0, 1, 2, 3, 61)]

    assert [often.filter(one) for one in made] == [True, True, False, False, True]
    assert json.loads(JsonLines().format(made[-1]))["held_back"] == 2


def test_each_kind_of_warning_is_counted_by_itself_and_decisions_are_all_told():
    often = NotTooOften(most=1)

    assert often.filter(warned("one"))
    assert often.filter(warned("another"))
    assert not often.filter(warned("one"))
    assert all(often.filter(warned("decision", level=logging.INFO)) for _ in range(100))
