"""Errors that are kept hold no frame of where they came from."""

import pytest

from scaler.errors import ConfigurationError, NoDataError, Problem, SourceError

ERRORS = [
    ConfigurationError(Problem(field="gpu", got="nothing", allowed="a name")),
    NoDataError("too old", newest_s=7.0),
    SourceError("timeout", "10 s"),
]


def fail(error):
    try:
        int("the cause")
    except ValueError as cause:
        raise error from cause


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (Problem(field="gpu", got="nothing", allowed="a name"), "gpu: missing; state a name"),
        (Problem(field="gpu", got="nothing", allowed="stated"), "gpu: missing"),
        (
            Problem(field="gpu", got="nothing", allowed="stated, or its memory"),
            "gpu: missing; state it, or its memory",
        ),
        (Problem(field="gpu", got="'T5'", allowed="a name"), "gpu: got 'T5'; allowed: a name"),
        (Problem(field="--port", got="port 80 is in use"), "--port: port 80 is in use"),
        (Problem(field="--port", got="a\nb"), "--port: 'a\\nb'"),
        (
            Problem(field="extends", got="|", allowed="one of \n, vllm"),
            "extends: got |; allowed: 'one of \\n, vllm'",
        ),
        (
            Problem(field="extends", got="nothing", allowed="one of \n, vllm"),
            "extends: missing; state 'one of \\n, vllm'",
        ),
    ],
)
def test_a_problem_is_a_sentence(problem, sentence):
    assert str(problem) == sentence


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_again_is_the_same_without_its_frames(error):
    with pytest.raises(type(error)) as caught:
        fail(error)

    again = caught.value.again()

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert (again.__traceback__, again.__context__, again.__cause__) == (None, None, None)
