from scaler.decision.decision import Reason, Step
from scaler.errors import ConfigurationError, NoDataError, Problem
from scaler.report.decision_json import answer_json
from scaler.report.decision_text import answer_text, decision_text
from tests.builders import decision


def test_the_explanation_is_a_short_chain_with_numbers():
    assert decision_text("llm/chat", decision()) == (
        "llm/chat: 5 (TooManyReplicas)\n"
        "at 1970-01-01T02:46:40Z, load 4.20, ready 3, asked for 3, "
        "safe concurrency 10 (limited by kv), panic yes\n"
        "\n"
        "signal       load      target\n"
        "work         abstains  0.70    the fit has no spread yet\n"
        "concurrency  4.20      0.70    42 requests over 10 per replica\n"
        "\n"
        "replicas  reason\n"
        "6         Demand           4.20 replicas of load over 0.7\n"
        "5         TooManyReplicas  the maximum is 5\n"
        "\n"
        "note: work rests until its fit has spread."
    )


def test_holding_is_said_in_words():
    held = decision(
        steps=(Step(None, Reason.NO_DATA, "newest sample is 40 s old"),),
        signals=(),
        notes=(),
        load=None,
        ready_replicas=None,
        spec_replicas=None,
        safe_concurrency=None,
        panic=False,
    )

    assert decision_text("llm/chat", held) == (
        "llm/chat: hold what is (NoData)\n"
        "at 1970-01-01T02:46:40Z\n"
        "\n"
        "replicas  reason\n"
        "hold      NoData  newest sample is 40 s old"
    )


def test_an_answer_is_its_decision():
    answer = answer_json("llm/chat", "inference", decision=decision())

    assert answer_text(answer) == decision_text("llm/chat", decision())


def test_wrong_metadata_is_told_problem_by_problem():
    error = ConfigurationError(
        Problem(field="engine", got="'vlm'", allowed="did you mean vllm?"),
        Problem(field="maxReplicas", got="'x'", allowed="a whole number"),
    )

    assert answer_text(answer_json("llm/chat", None, error=error)) == (
        "llm/chat: the trigger's metadata is wrong\n"
        "  engine: got 'vlm'; did you mean vllm?\n"
        "  maxReplicas: got 'x'; allowed: a whole number"
    )


def test_silence_holds_what_is():
    answer = answer_json("llm/chat", "inference", error=NoDataError("no sample"))

    assert answer_text(answer) == "llm/chat: hold what is\n  no sample"


def test_nothing_decided_yet_holds_what_is():
    answer = answer_json("llm/chat", "inference")

    assert answer_text(answer) == "llm/chat: hold what is\n  not decided yet"
