"""What a schema says of a number's range is what the parser refuses, from the one declaration."""

import dataclasses
import math
import re
from fractions import Fraction

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scaler.configuration import Configuration, Pool, PrometheusServer, ScrapeIntervals
from scaler.decision.policy import InferencePolicy, LendingPolicy
from scaler.documents.configuration import read_configuration
from scaler.documents.keys import Key, key_name
from scaler.documents.metadata import KEYS
from scaler.documents.outside import outside
from scaler.documents.reference import ranged
from scaler.documents.schema import bounds, configuration_schema, metadata_schema
from scaler.documents.trigger import parse_trigger
from scaler.errors import ConfigurationError
from scaler.ranges import Range, range_problems, ranges_of
from scaler.source import Role

METADATA = metadata_schema()
VALIDATOR = jsonschema.Draft202012Validator(METADATA)
CONFIGURATION = jsonschema.Draft202012Validator(configuration_schema())
FREE = {"tierPreference", "directScrapePort"}
"""Any whole number; a port, whose form is the range."""
KEYWORDS = {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}
MINIMAL = {
    Role.INFERENCE: {
        "role": "inference",
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "gpu": "H100",
    },
    Role.TRAINING: {"role": "training", "poolUnits": "8", "poolWorkloads": "llm/chat"},
}
NUMBERS = [
    (role, key) for role, keys in KEYS.items() for key in keys if key.form.suffixes or key.range
]
RANGES = [
    pytest.param(role, key, key.range, id=f"{role} {key.name}")
    for role, key in NUMBERS
    if key.range
]


@pytest.mark.parametrize(("role", "key"), NUMBERS, ids=lambda one: getattr(one, "name", None))
def test_every_number_tells_its_bounds_in_its_schema(role: Role, key: Key):
    schema = METADATA["$defs"][str(role)]["properties"][key.name]

    assert bool(KEYWORDS & schema.keys()) is (key.name not in FREE)
    assert {word: schema[word] for word in KEYWORDS & schema.keys()} == bounds(key.range)


def refused(role: Role, key: str, text: str) -> bool:
    """Say whether the parser finds the value of a key out of its range."""
    try:
        parse_trigger("llm", "chat", MINIMAL[role] | {key: text}, Configuration())
    except ConfigurationError as error:
        return any(
            problem.field == key and not problem.others and problem.got == repr(text)
            for problem in error.problems
        )
    return False


def about(key: Key) -> list[float]:
    """Return the numbers at and beside a key's bounds that can be written at all."""
    step = 1 if "whole number" in key.form.noun else 0.5
    near = {bound + sign * step for bound in bounds(key.range).values() for sign in (-1, 0, 1)}
    return sorted(number for number in near if number >= 0 or not key.field.endswith("_s"))


@pytest.mark.parametrize(("role", "key", "declared"), RANGES)
def test_the_schema_refuses_about_a_bound_what_the_parser_refuses(
    role: Role, key: Key, declared: Range
):
    for number in about(key):
        text = key.form.write(number)
        is_right = number in declared

        assert refused(role, key.name, text) is not is_right
        assert VALIDATOR.is_valid(MINIMAL[role] | {key.name: text}) is is_right


DECIMALS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "+", "-"]),
    st.sampled_from(["", "0", "00"]),
    st.from_regex(r"\A(?:[0-9]{1,4}(?:\.[0-9]{0,3})?|\.[0-9]{1,3})\Z"),
)
LIMITS = st.integers(0, 1200) | st.sampled_from([0.1, 0.25, 4.5])


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    low, high = sorted((draw(LIMITS), draw(st.one_of(LIMITS, st.just(math.inf)))))
    is_closed_above = high < math.inf and draw(st.booleans())
    return Range(
        ge=low,
        gt=low if draw(st.booleans()) else None,
        le=high if is_closed_above else None,
        lt=math.inf if is_closed_above else high,
    )


@given(ranges(), DECIMALS, st.sampled_from([1, 100]))
def test_a_plain_decimal_is_outside_where_its_number_is(declared: Range, text: str, scale: int):
    pattern = outside(declared, {"%": Fraction(scale)})
    is_told = re.fullmatch(pattern, f"{text}%") is not None
    is_outside = float(Fraction(text) / scale) not in declared
    bounds_are_whole = all(bound == int(bound) for bound in bounds(declared).values())

    assert is_told is is_outside if bounds_are_whole else is_outside or not is_told


@pytest.mark.parametrize("text", ["70", "120%", "0", "-0.5", "1.01"])
def test_the_slip_of_a_share_is_seen_in_the_editor(text: str):
    assert not VALIDATOR.is_valid({"role": "inference", "targetUtilization": text})


@pytest.mark.parametrize(
    ("path", "wrong", "right"),
    [
        ("timeout", ["0s", "301s", "6m", "99ms"], ["100ms", "5m", "1m30s"]),
        ("maxSeries", [0, "0", -1], [1, "20"]),
        ("scrapeInterval", [{"engine": "500ms"}, {"gpu": "11m"}], [{"engine": "auto"}]),
    ],
)
def test_the_configuration_schema_refuses_what_is_out_of_range(path, wrong, right):
    for values, is_right in ((wrong, False), (right, True)):
        for value in values:
            document = {"prometheus": {"default": {"url": "http://prometheus", path: value}}}
            assert CONFIGURATION.is_valid(document) is is_right
            try:
                read_configuration(yaml.safe_dump(document))
            except ConfigurationError:
                assert not is_right
            else:
                assert is_right


def test_a_pool_without_units_is_refused_as_a_number_too():
    assert not CONFIGURATION.is_valid({"pools": {"a": {"units": 0, "workloads": ["llm/chat"]}}})
    assert CONFIGURATION.is_valid({"pools": {"a": {"units": 1, "workloads": ["llm/chat"]}}})


@pytest.mark.parametrize(
    "kind", [InferencePolicy, LendingPolicy, ScrapeIntervals, PrometheusServer, Pool]
)
def test_every_default_is_in_its_range(kind: type):
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(kind)
        if field.name in ranges_of(kind) and isinstance(field.default, int | float)
    }

    assert all(default in ranges_of(kind)[name] for name, default in defaults.items())


def test_what_is_no_number_is_in_no_range():
    for declared in (Range(ge=0), Range(gt=0, le=1)):
        assert declared.problems("load", math.nan)
    assert math.inf not in Range(ge=0)
    assert math.inf in Range(ge=0, le=math.inf)


def test_one_value_may_have_a_narrower_range():
    pool = object.__new__(Pool)
    for name, value in (("units", 2), ("reserved_units", 3)):
        object.__setattr__(pool, name, value)

    (problem,) = range_problems(pool, reserved_units=Range(ge=0, le=2))

    assert (problem.field, problem.allowed) == ("reserved_units", "at least 0 and at most 2")


def test_the_page_tells_a_range_in_the_words_of_its_form():
    written = {key.name: ranged(key.form, key.range) for key in KEYS[Role.INFERENCE]}

    assert written["stableWindow"] == "duration, 6s to 60m"
    assert written["targetUtilization"] == "auto or share, above 0 and at most 1"
    assert written["panicHorizon"] == "auto or duration, above 0s and at most 24h"
    assert written["maxReplicas"] == "whole number, at least 1"
    assert key_name("tier_preference") in FREE
