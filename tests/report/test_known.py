"""What ``kvtide capacity --list`` shows: every name of it is understood."""

import json

import pytest

from scaler.capacity.gpus import find_gpu
from scaler.capacity.models import named_model
from scaler.errors import ConfigurationError
from scaler.report.known import known_json, known_text


def test_every_name_that_is_listed_is_understood() -> None:
    known = json.loads(json.dumps(known_json("")))

    assert len(known["models"]) > 130
    assert len(known["gpus"]) > 90
    for model in known["models"]:
        assert named_model(model["name"]).family == model["keeps"]
        assert "memory" not in model["source"]
    for gpu in known["gpus"]:
        assert find_gpu(gpu["name"]).memory_gib == gpu["memory_gib"]


def test_a_word_narrows_the_list_and_finds_other_names_of_a_model() -> None:
    assert [one["name"] for one in known_json("MiniMax-M2.1")["models"]] == ["MiniMax-M2.5"]
    assert known_json("h200")["models"] == []


def test_the_text_has_a_line_for_each() -> None:
    lines = known_text("a30").splitlines()

    assert lines[0] == "GPUs:"
    assert lines[1].split()[:3] == ["A30", "23.5", "GiB"]
    assert len(lines) == 5


def test_a_word_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="zzz"):
        known_json("zzz")
