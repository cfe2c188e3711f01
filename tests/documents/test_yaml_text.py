"""YAML from outside: plain values, or one line that says what is wrong with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.documents.yaml_text import MOST_DEPTH, documents_of
from scaler.errors import ConfigurationError

LAUGH = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{letter}: &{letter} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, letter in zip("abcdefgh", "bcdefghi", strict=True)
)


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        documents_of(text, "x.yaml")
    (problem,) = caught.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("[" * 5000, "depth", id="deeper than any stack"),
        pytest.param(f"{'{a: ' * (MOST_DEPTH + 1)}", "within one another", id="deep mappings"),
        pytest.param(LAUGH, "more than 2000000 nodes", id="aliases of aliases of aliases"),
        pytest.param("a: &a [*a]", "the alias 'a' of nothing, or of itself", id="its own alias"),
        pytest.param("a: 1\n---\nb: *x", "the alias 'x' of nothing", id="an alias of nothing"),
        pytest.param(f"a: {'9' * 5000}", "a number of 5000 characters", id="a long number"),
        pytest.param("a: " + ":".join(["1"] * 5000), "a number of 9999", id="a long time of day"),
        pytest.param("a: !secret x", "the tag '!secret' in line 1", id="a tag of somebody's own"),
        pytest.param("a: !!python/name:os.system", "os.system' in line 1", id="a tag of Python's"),
        pytest.param("a: !!int x", "'x' is no number in line 1", id="a tag that does not fit"),
        pytest.param("a: !!bool x", "does not fit", id="no word of two"),
        pytest.param("? [a]\n: b", "unhashable key in line 1", id="a list as a key"),
        pytest.param("a: 1\na: 2", "the key 'a' is there twice", id="a key twice"),
        pytest.param("a: \0", "#x0000", id="a control character"),
    ],
)
def test_what_nobody_means_is_refused_in_one_line(text, says):
    problem = refusal(text)

    assert problem.startswith("x.yaml: this is no YAML: ")
    assert says in problem
    assert "\n" not in problem
    assert len(problem) < 400


def test_aliases_that_people_write_are_followed():
    text = "up: &open {tolerance: 0}\ndown: *open\nboth: {<<: *open, x: 1}"

    assert documents_of(text, "x.yaml") == [
        {"up": {"tolerance": 0}, "down": {"tolerance": 0}, "both": {"tolerance": 0, "x": 1}}
    ]


def test_a_timestamp_stays_text():
    assert documents_of("a: 2026-01-02", "x.yaml") == [{"a": "2026-01-02"}]


PIECES = ["a", ": ", "\n", "- ", "[", "]", "{", "}", "&x ", "*x", "!!int ", "!!set ", "'", '"', "|",
          ">", "? ", "<<: ", "~", "9" * 200, "1:2", "\t", "#", "---\n", "%", "\0", "é"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=60))
def test_any_text_is_documents_or_one_line(text):
    try:
        documents_of(text, "x.yaml")
    except ConfigurationError as error:
        assert all("\n" not in str(problem) for problem in error.problems)  # noqa: PT017
