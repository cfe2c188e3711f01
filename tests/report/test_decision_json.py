import json

from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.decision import Decision, Reason, Signal, Step
from scaler.errors import ConfigurationError, NoDataError, Problem
from scaler.report.decision_json import answer_json, decision_from_json, decision_json
from tests.builders import decision

counts = st.none() | st.integers(0, 100)
loads = st.none() | st.floats(0, 100)
decisions = st.builds(
    Decision,
    at_s=st.floats(0, 4e9),
    steps=st.lists(
        st.builds(Step, counts, st.sampled_from(Reason), st.text()), min_size=1, max_size=4
    ).map(tuple),
    signals=st.lists(
        st.builds(Signal, name=st.text(), load=loads, target=st.floats(0, 1), detail=st.text()),
        max_size=2,
    ).map(tuple),
    load=loads,
    ready_replicas=counts,
    safe_concurrency=counts,
    panic=st.booleans(),
    notes=st.lists(st.text(), max_size=2).map(tuple),
)


@given(decisions)
def test_a_decision_survives_the_way_through_json(decided):
    assert decision_from_json(json.loads(json.dumps(decision_json(decided)))) == decided


def test_the_document_says_the_answer_without_reading_the_chain():
    document = decision_json(decision())

    assert {k: document[k] for k in ("at", "replicas", "reason", "holds", "active")} == {
        "at": "1970-01-01T02:46:40Z",
        "replicas": 5,
        "reason": "TooManyReplicas",
        "holds": False,
        "active": True,
    }


def test_a_newer_servers_document_is_read_by_an_older_client():
    assert decision_from_json(decision_json(decision()) | {"of_tomorrow": 1}) == decision()


def test_all_problems_of_wrong_metadata_are_told_apart():
    error = ConfigurationError(
        Problem(field="engine", got="vlm", allowed="vllm"),
        Problem(field="maxReplicas", got="x", allowed="a whole number"),
    )

    answer = answer_json("llm/chat", None, error=error)

    assert answer["decision"] is None
    assert answer["error"]["kind"] == "configuration"
    assert len(answer["error"]["problems"]) == 2


def test_silence_is_an_answer_of_its_own_kind():
    answer = answer_json("llm/chat", "inference", error=NoDataError("newest sample is 40 s old"))

    assert answer["error"] == {"kind": "no-data", "problems": ["newest sample is 40 s old"]}
