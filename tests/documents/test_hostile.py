"""What a tenant may write into a trigger: it is refused in words, soon, and that is all."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.configuration import Configuration
from scaler.decision.policy import InferencePolicy, LendingPolicy
from scaler.documents.metadata import KEYS
from scaler.documents.trigger import (
    MOST_CHARACTERS,
    MOST_KEYS,
    MOST_TOLD,
    parse_trigger,
)
from scaler.errors import ConfigurationError
from scaler.source import Role


def told(metadata: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_trigger("llm", "chat", metadata, Configuration())
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("(?P<", id="no pattern at all"),
        pytest.param("[", id="half a class"),
        pytest.param("(a|b|ab)*c", id="a pattern"),
        pytest.param("\\", id="an escape"),
        pytest.param("stated", id="a word of our own sentences"),
    ],
)
def test_a_key_is_a_name_and_never_a_pattern(key):
    problems = told({key: "1", "metrics": "queue"})

    assert problems == [
        f"{key}: unknown key; allowed: the keys that docs/metadata.md lists",
        "queueTarget: missing, since the queue signal is chosen",
    ]


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        pytest.param(
            {f"maxReplica{i}": "1" for i in range(MOST_KEYS + 1)},
            f"metadata: got {MOST_KEYS + 1} keys; allowed: at most {MOST_KEYS}",
            id="keys",
        ),
        pytest.param(
            {"colour": "x" * MOST_CHARACTERS},
            f"metadata: got {MOST_CHARACTERS + 6} characters; allowed: at most {MOST_CHARACTERS}",
            id="characters",
        ),
    ],
)
def test_more_than_any_trigger_needs_is_refused_unread(metadata, problem):
    assert told(metadata) == [problem]


def test_no_more_is_told_than_a_person_reads():
    problems = told({f"maxReplica{i}": "1" for i in range(MOST_KEYS)})

    assert len(problems) == MOST_TOLD + 1
    assert problems[-1] == f"metadata: and {MOST_KEYS - MOST_TOLD} more problems"
    assert all(len(problem) < 300 for problem in problems)


@pytest.mark.parametrize(
    "key", [pytest.param("k" * 60_000, id="long"), pytest.param("a\nb\x1b[31m", id="unprintable")]
)
def test_a_key_is_shown_short_and_on_one_line(key):
    (problem,) = told({key: "1"})

    assert len(problem) < 300
    assert problem.isprintable()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("models/config.json", id="a file in the scaler's own folder"),
        pytest.param("models", id="a folder there"),
    ],
)
def test_metadata_names_a_model_and_never_a_file(tmp_path, monkeypatch, name):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "config.json").write_text("[]")
    monkeypatch.chdir(tmp_path)

    (problem,) = told({"model": name})

    assert problem.startswith(f"model: no known model is called '{name}'; ")
    assert "kvtide capacity --list" in problem


@pytest.mark.parametrize("name", ["m" * 128, "m" * 128 + "/" + "m" * 128, "m" * 300])
def test_a_models_name_of_any_length_is_told_of(name):
    (problem,) = told({"model": name})

    assert problem.startswith("model: ")
    assert f" '{'m' * 77}...'; " in problem


BY_FIELD = {
    "draftLayers": "999999999999999",
    "gpuMemoryGiB": "1e300",
    "availableKvGiB": "1e300",
    "weightsGiB": "1e300",
}


@pytest.mark.parametrize(("key", "text"), BY_FIELD.items())
def test_a_quantity_that_nobody_has_is_refused_before_anything_is_computed(key, text):
    metadata = {"model": "meta-llama/Llama-3.1-8B-Instruct", "gpu": "H100", key: text}

    assert told(metadata)[0].startswith(f"{key}: got '{text}'; allowed: ")


EXTREMES = st.sampled_from(
    ["0", "1", "-1", "0.5", "60s", "auto", "999999999999999", "1e308", "1e-308", "70%", "inf"]
)
NAMED = {"model": "meta-llama/Llama-3.1-8B-Instruct", "gpu": "H100"}


@pytest.mark.parametrize("role", Role)
@given(st.data())
def test_extremes_of_every_key_are_a_policy_or_a_problem(role, data):
    keys = st.sampled_from([key.name for key in KEYS[role] if key.name != "role"])
    stated = data.draw(st.dictionaries(keys, EXTREMES, max_size=6))
    more = NAMED if role is Role.INFERENCE else {"poolUnits": "8", "poolWorkloads": "llm/chat"}
    metadata = {"role": role.value, **more, **stated}

    with contextlib.suppress(ConfigurationError):
        parse_trigger("llm", "chat", metadata, Configuration())


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        pytest.param(InferencePolicy, {}, id="inference"),
        pytest.param(LendingPolicy, {"pool_units": 8}, id="lending"),
    ],
)
@given(st.data())
def test_a_problem_carries_every_field_that_its_sentence_names(kind, base, data):
    names = sorted(kind.__dataclass_fields__)
    chosen = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=8))
    values = {name: data.draw(st.sampled_from([-1, 0, 1, 2.5, 1e9])) for name in chosen}
    values.pop("step_cost", None)
    values |= {name: () for name in values if name == "metrics"}
    try:
        kind(**{**base, **values})
    except ConfigurationError as error:
        for problem in error.problems:
            words = set(re.findall(r"[a-z0-9]+(?:_[a-z0-9]+)+", problem.allowed))
            assert words & set(names) <= {problem.field, *problem.others}
