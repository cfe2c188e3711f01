"""
What others write, well and mutated: it ends clearly, each time.

A moment of what ``make fuzz`` does for ten minutes each.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.mutate import mutated as changed
from fuzz.seeds import ONCE_UNCLEAR, PIECES, SEEDS
from fuzz.targets import TARGETS, UnclearError, told
from scaler.errors import ConfigurationError, Problem, SourceError


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes:
    """Return a seed in which a few stretches became something else."""
    data = draw(st.sampled_from(SEEDS[name]))
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.sampled_from([0, 0, 1, 2, 8, 40])))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=4))
        data = data[:begin] + piece + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_well_written_ends_clearly(name):
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", ONCE_UNCLEAR)
def test_what_a_fuzzer_came_upon_ends_clearly_by_now(name):
    for found in ONCE_UNCLEAR[name]:
        TARGETS[name](found)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=settings().max_examples * 4)
@given(st.data())
def test_what_is_mutated_ends_clearly(name, data):
    TARGETS[name](data.draw(mutated(name)))


@pytest.mark.parametrize("name", ["config-json", "reply", "yaml"])
@settings(max_examples=settings().max_examples // 2)
@given(st.data(), st.randoms(use_true_random=False))
def test_documents_of_which_values_changed_end_clearly(name, data, rng):
    document = data.draw(st.sampled_from(SEEDS[name]))
    for _ in range(data.draw(st.integers(1, 4))):
        document = changed(document, 4096, random.Random(rng.random()), lambda same, _: same)
    TARGETS[name](document)


@pytest.mark.parametrize("text", ["two\nlines", "x" * 2000])
def test_an_unclear_end_would_be_found(text):
    with pytest.raises(UnclearError):
        told(SourceError("format", text))


def test_what_somebody_wrote_ends_clearly_wherever_an_error_names_it():
    told(ConfigurationError(Problem(field="two\nlines" * 1000, got="x" * 2000, allowed="b\nc")))
