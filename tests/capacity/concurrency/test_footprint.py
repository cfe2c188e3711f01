import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.concurrency.footprint import Footprint, footprint
from scaler.capacity.concurrency.lengths import LengthLaw, fixed, lognormal
from scaler.capacity.kv_cache import KvLayout, WindowGroup

UNIFORM = KvLayout(block_tokens=16, growing_groups=1, constant_blocks=0, bytes_per_block_per_gpu=1)
TOKENS = dataclasses.replace(UNIFORM, block_tokens=1)
STATES = dataclasses.replace(UNIFORM, block_tokens=1568, constant_blocks=12)


def lengths(*pairs: tuple[float, float]) -> LengthLaw:
    return LengthLaw(tokens=tuple(t for t, _ in pairs), shares=tuple(s for _, s in pairs))


def test_a_law_joins_equal_blocks_and_drops_what_never_happens():
    assert Footprint.of([(7, 3), (3, 0), (5, 1), (7, 4)]) == Footprint(
        blocks=(5, 7), shares=(0.125, 0.875)
    )


def test_mean_and_deviation():
    law = Footprint.of([(10, 1), (20, 1)])

    assert (law.mean, law.deviation) == (15, 5)


def test_a_request_seen_at_random_is_anywhere_in_its_output():
    law = footprint(fixed(160), fixed(160), UNIFORM)

    assert law.blocks == tuple(range(11, 21))
    assert law.shares == pytest.approx((0.1,) * 10)


def test_a_long_output_is_seen_as_often_as_it_is_long():
    law = footprint(fixed(16), lengths((16, 0.5), (48, 0.5)), UNIFORM)

    # Of 64 tokens, each of the two requests spends 16 in its first block of output.
    assert law.blocks == (2, 3, 4)
    assert law.shares == pytest.approx((0.5, 0.25, 0.25))


@pytest.mark.parametrize(
    ("layout", "blocks"),
    [
        pytest.param(dataclasses.replace(UNIFORM, growing_groups=3), (33,), id="groups multiply"),
        pytest.param(STATES, (13,), id="states come on top, and a block holds many tokens"),
        pytest.param(
            dataclasses.replace(UNIFORM, growing_groups=0, constant_blocks=7),
            (7,),
            id="states alone do not grow",
        ),
        pytest.param(
            dataclasses.replace(
                UNIFORM, constant_blocks=5, windows=(WindowGroup(block_tokens=16, most_blocks=5),)
            ),
            (16,),
            id="a full window holds no more",
        ),
        pytest.param(
            dataclasses.replace(
                UNIFORM,
                block_tokens=1600,
                constant_blocks=50,
                windows=(WindowGroup(block_tokens=16, most_blocks=50),),
            ),
            (12,),
            id="an unfilled window holds what there is, in its own blocks",
        ),
    ],
)
def test_the_layout_counts_the_blocks(layout, blocks):
    assert footprint(fixed(160), fixed(16), layout).blocks == blocks


def test_windows_in_smaller_blocks_grow_in_their_own_steps():
    windows = (WindowGroup(block_tokens=16, most_blocks=50),)
    layout = dataclasses.replace(UNIFORM, block_tokens=1600, constant_blocks=50, windows=windows)

    law = footprint(fixed(160), fixed(160), layout)

    assert law.blocks == tuple(range(12, 22))
    assert law.shares == pytest.approx((0.1,) * 10)


@pytest.mark.parametrize(
    ("layout", "blocks"),
    [
        pytest.param(UNIFORM, 6281.75, id="a block more for every sixteen tokens"),
        pytest.param(dataclasses.replace(UNIFORM, growing_groups=3), 18_845.25, id="three groups"),
        pytest.param(
            dataclasses.replace(UNIFORM, block_tokens=1000, constant_blocks=7), 108.0, id="states"
        ),
    ],
)
def test_long_requests_are_right_on_average_though_not_told_apart(layout, blocks):
    assert footprint(fixed(100_000), fixed(1000), layout).mean == pytest.approx(blocks, abs=0.5)


def test_a_request_ends_at_the_longest_length():
    law = footprint(fixed(160), fixed(160), UNIFORM, longest=208)

    assert law.blocks == (11, 12, 13)
    assert law.shares == pytest.approx((1 / 3,) * 3)


def test_requests_that_are_all_too_long_count_as_the_longest():
    assert footprint(fixed(500), fixed(10), UNIFORM, longest=320) == Footprint(
        blocks=(20,), shares=(1.0,)
    )


@given(
    st.tuples(st.floats(10, 5e4), st.floats(1.01, 3.8)),
    st.tuples(st.floats(10, 5e4), st.floats(1.01, 3.8)),
)
def test_the_mean_weighs_requests_by_how_long_they_stay(prompt, output):
    prompts, outputs = (lognormal(mean, ratio * mean) for mean, ratio in (prompt, output))
    square = sum(o * o * s for o, s in zip(outputs.tokens, outputs.shares, strict=True))

    law = footprint(prompts, outputs, TOKENS)

    expected = prompts.mean + square / outputs.mean / 2
    # A cell of lengths is one whole number of blocks: right to half of one.
    assert law.mean == pytest.approx(expected + 0.5, rel=5e-3, abs=0.5)
    assert math.isclose(sum(law.shares), 1, rel_tol=1e-9)
    assert all(share > 0 for share in law.shares)
    assert list(law.blocks) == sorted(set(law.blocks))


@given(st.floats(10, 1e4), st.floats(10, 1e4), st.floats(1, 5), st.integers(1, 2000))
def test_longer_lengths_never_hold_less(prompt, output, factor, block_tokens):
    layout = dataclasses.replace(UNIFORM, block_tokens=block_tokens)
    short = footprint(lognormal(prompt), lognormal(output), layout)

    longer = footprint(lognormal(prompt * factor), lognormal(output * factor), layout)

    assert longer.mean >= short.mean * 0.99
