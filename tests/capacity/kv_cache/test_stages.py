"""Layers dealt out to pipeline stages, as vLLM deals them."""

import pytest

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
