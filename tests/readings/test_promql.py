"""Queries as text: names and values survive, whatever is in them."""

import re

import pytest

from scaler.readings import promql


def test_one_metric_is_named_and_several_are_matched_exactly():
    assert promql.selector(("vllm:x",), [("a", "=", "1")]) == 'vllm:x{a="1"}'
    assert promql.selector(("b", "a"), []) == '{__name__=~"a|b"}'


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "ä|b"])
def test_values_are_quoted(text):
    quoted = promql.quoted(text)
    assert "\n" not in quoted
    assert quoted[1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\") == text


def test_a_range_is_whole_seconds_and_never_too_short():
    assert promql.raw("m{}", 22.5) == "m{}[23s]"
    assert promql.raw("m{}", 0.2) == "m{}[1s]"


def test_names_with_dots_match_themselves_only():
    pattern = promql.any_of(["a.b", "c"])
    assert re.fullmatch(pattern, "a.b")
    assert not re.fullmatch(pattern, "axb")
