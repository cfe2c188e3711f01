"""Layers dealt out to pipeline stages, as vLLM deals them."""

import dataclasses

import pytest

from scaler.capacity.architecture import IndexerCache, LatentCache
from scaler.capacity.kv_cache import Serving, stages
from tests.builders import architecture, attention


@pytest.mark.parametrize(
    ("layers", "count", "sizes"),
    [
        pytest.param(32, 1, (32,), id="one stage"),
        pytest.param(32, 4, (8, 8, 8, 8), id="evenly"),
        pytest.param(33, 4, (8, 8, 9, 8), id="one more for the last but one"),
        pytest.param(35, 4, (9, 9, 9, 8), id="and for those before it"),
        pytest.param(27, 2, (14, 13), id="of two the first"),
    ],
)
def test_stages_before_the_last_take_what_is_left_over(
    layers: int, count: int, sizes: tuple[int, ...]
) -> None:
    assert stages.stage_sizes(layers, count) == sizes


def test_a_stage_has_the_caches_of_its_layers_and_the_last_the_drafters() -> None:
    layers = tuple(attention(heads) for heads in range(1, 6))

    found = stages.caches_by_stage(
        architecture(*layers), Serving(pipeline_parallel=2, draft_layers=2)
    )

    assert found == (layers[:3], (*layers[3:], layers[4], layers[4]))


def test_a_drafter_with_shapes_of_its_own_brings_its_own_caches() -> None:
    drafter = architecture(attention(2), attention(1))
    model = dataclasses.replace(architecture(attention(4)), drafter=drafter)

    assert stages.caches_by_stage(model, Serving(draft_layers=2)) == (
        (attention(4), attention(2), attention(1)),
    )


def test_a_draft_layer_has_an_indexer_of_its_own_where_layers_share_one() -> None:
    latent = LatentCache(rank=512, rope_dim=64, heads=8, sparse=True)
    indexer = IndexerCache(head_dim=128)
    model = dataclasses.replace(architecture(latent), layers=((latent, indexer), (latent,)))

    assert model.draft_layer == (latent, indexer)
