"""The footprint law, against numbers that a person can follow with a pencil."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.kv_cache import KvCapacity, KvLayout, WindowGroup
from scaler.capacity.kv_cache.capacity import capacity_tokens


def layout(**more: object) -> KvLayout:
    fields = {"block_tokens": 16, "growing_groups": 1, "constant_blocks": 0}
    return KvLayout(**{"bytes_per_block_per_gpu": 2_097_152, **fields, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("law", "tokens", "blocks"),
    [
        pytest.param(layout(), 1, 1, id="one token opens a block"),
        pytest.param(layout(), 16, 1, id="a full block needs no second"),
        pytest.param(layout(), 17, 2, id="one token more does"),
        pytest.param(
            layout(growing_groups=1, constant_blocks=12, block_tokens=1600),
            8_000,
            17,
            id="three state groups of four layers' blocks come on top of five growing ones",
        ),
        pytest.param(
            layout(constant_blocks=65, windows=(WindowGroup(block_tokens=16, most_blocks=65),)),
            160,
            20,
            id="a short request fills ten blocks of its window, not sixty-five",
        ),
        pytest.param(
            layout(constant_blocks=65, windows=(WindowGroup(block_tokens=16, most_blocks=65),)),
            16_000,
            1_065,
            id="a long one fills the window and no more",
        ),
    ],
)
def test_a_request_holds(law: KvLayout, tokens: int, blocks: int) -> None:
    assert law.footprint_blocks(tokens) == blocks


@given(
    tokens=st.integers(0, 200_000),
    growing=st.integers(0, 4),
    state=st.integers(0, 12),
    most=st.lists(st.integers(1, 300), max_size=3),
)
def test_the_affine_law_is_never_less_than_the_footprint(
    tokens: int, growing: int, state: int, most: list[int]
) -> None:
    windows = tuple(WindowGroup(block_tokens=16, most_blocks=blocks) for blocks in most)
    law = layout(growing_groups=growing, constant_blocks=state + sum(most), windows=windows)

    held = law.footprint_blocks(tokens)

    assert state <= held <= growing * -(-tokens // 16) + law.constant_blocks
    assert held <= law.footprint_blocks(tokens + 1)


@pytest.mark.parametrize(
    ("law", "blocks", "tokens"),
    [
        pytest.param(layout(), 100, 1_600, id="every block"),
        pytest.param(
            layout(growing_groups=5, constant_blocks=12, block_tokens=1_600),
            178,
            166 // 5 * 1_600,
            id="what states leave, a block of each group at a time",
        ),
        pytest.param(layout(constant_blocks=12), 11, 0, id="not even its states fit"),
        pytest.param(layout(growing_groups=0, constant_blocks=12), 100, 1_600, id="none grows"),
    ],
)
def test_tokens_that_one_request_would_fill_the_blocks_with(
    law: KvLayout, blocks: int, tokens: int
) -> None:
    assert capacity_tokens(law, blocks) == tokens


@pytest.mark.parametrize(("reserved", "usable"), [(0, 10), (3, 7), (12, 0)])
def test_what_is_reserved_is_no_requests(reserved: int, usable: int) -> None:
    capacity = KvCapacity(
        layout=layout(growing_groups=3, constant_blocks=2, block_tokens=32),
        num_blocks=10,
        reserved_blocks=reserved,
        cache_bytes_per_gpu=10 * 2_097_152,
        capacity_tokens=64,
        reported_tokens=None,
        max_model_len=None,
        max_concurrency=None,
        kv_dtype="bfloat16",
    )

    assert capacity.usable_blocks == usable
    assert capacity.bytes_per_token_per_gpu == 3 * 65_536
    assert capacity.constant_bytes_per_request_per_gpu == 2 * 2_097_152
