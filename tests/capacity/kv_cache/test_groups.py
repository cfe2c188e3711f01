"""One pool of equal blocks for layers of different kinds."""

import dataclasses

import pytest

from scaler.capacity.kv_cache.groups import (
    Group,
    Kind,
    Page,
    aligned_block,
    group_pages,
    group_size,
    unify_pages,
)
from scaler.errors import ConfigurationError

FULL = Page(kind=Kind.FULL, page_bytes=64, block_tokens=16)
WIDE = Page(kind=Kind.FULL, page_bytes=128, block_tokens=16)
WINDOW = Page(kind=Kind.SLIDING, page_bytes=64, block_tokens=16, span_tokens=128)
STATE = Page(kind=Kind.STATE, page_bytes=50, block_tokens=16)


@pytest.mark.parametrize(
    ("buckets", "ratio", "size"),
    [
        pytest.param((12, 13), 1.25, 13, id="close ones: the larger"),
        pytest.param((12, 15), 1.25, 12, id="just not close any more"),
        pytest.param((12, 15), 1.5, 15, id="close enough since 0.18"),
        pytest.param((12, 13), 1.0, 12, id="never before 0.12"),
        pytest.param((4, 4), 1.0, 4, id="equal ones"),
    ],
)
def test_how_many_layers_a_group_has(buckets: tuple[int, ...], ratio: float, size: int) -> None:
    assert group_size(buckets, ratio) == size


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        pytest.param((FULL, FULL), [(64, 16), (64, 16)], id="equal already"),
        pytest.param((FULL, WIDE), [(128, 32), (128, 16)], id="a longer block"),
        pytest.param((STATE, FULL), [(64, 16), (64, 16)], id="a state is padded"),
        pytest.param(
            (dataclasses.replace(STATE, page_bytes=32), FULL),
            [(64, 16), (64, 16)],
            id="a state that would divide, too",
        ),
        pytest.param(
            (Page(kind=Kind.FULL, page_bytes=48, block_tokens=16), FULL),
            [(64, 16), (64, 16)],
            id="one that does not divide is padded",
        ),
    ],
)
def test_pages_are_made_equal(pages: tuple[Page, ...], found: list[tuple[int, int]]) -> None:
    assert [(page.page_bytes, page.block_tokens) for page in unify_pages(pages)] == found


def test_a_latent_that_does_not_divide_is_refused() -> None:
    latent = Page(kind=Kind.FULL, page_bytes=48, block_tokens=16, rigid=True)

    with pytest.raises(ConfigurationError, match="latent pages of 48 bytes beside pages of 64"):
        unify_pages((latent, FULL))


def test_layers_of_one_kind_share_one_group_whatever_their_shapes() -> None:
    assert group_pages(((FULL,), (FULL, WIDE)), 1.0) == (
        Group(page=FULL, bytes_by_stage=(64, 192)),
    )


def test_layers_of_two_kinds_are_cut_into_groups_of_one_size() -> None:
    groups = group_pages(((FULL, WINDOW, WINDOW), (FULL, WINDOW, WINDOW)), 1.0)

    # Every second window: the groups take turns through the layers.
    assert groups == (
        Group(page=FULL, bytes_by_stage=(64, 64)),
        Group(page=WINDOW, bytes_by_stage=(64, 64)),
        Group(page=WINDOW, bytes_by_stage=(64, 64)),
    )


def test_a_group_may_be_short_of_layers() -> None:
    groups = group_pages(((FULL, FULL, WINDOW, WINDOW, WINDOW),), 1.0)

    assert [sum(group.bytes_by_stage) // 64 for group in groups] == [2, 2, 1]


@pytest.mark.parametrize(
    ("state", "smallest", "block"),
    [
        pytest.param(1_600, 16, 112, id="the least multiple that holds it"),
        pytest.param(1_792, 16, 112, id="which it may fill"),
        pytest.param(1_793, 16, 128, id="one byte more"),
        pytest.param(1_600, 256, 256, id="no less than what was asked for"),
    ],
)
def test_a_block_holds_a_state(state: int, smallest: int, block: int) -> None:
    found = aligned_block(
        state_bytes=state, token_bytes=16, smallest_block=smallest, kernel_block=16
    )

    assert found == block
