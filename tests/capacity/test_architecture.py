"""What a model's caches are called, and which layer a drafter is like."""

import pytest

from scaler.capacity.architecture import Cache, IndexerCache, LatentCache, Parameters, StateCache
from tests.builders import architecture, attention

FULL, WINDOW = attention(8), attention(8, window_tokens=1_024)
LATENT = LatentCache(rank=512, rope_dim=64, heads=32)
INDEXER = IndexerCache(head_dim=128)
STATE = StateCache(kind="mamba2", channels=8, kernel=4, heads=8, per_head=8)


@pytest.mark.parametrize(
    ("layers", "family"),
    [
        pytest.param((FULL,), "GQA", id="fewer KV heads"),
        pytest.param((attention(32),), "MHA", id="as many"),
        pytest.param((attention(1),), "MQA", id="one"),
        pytest.param((attention(32), attention(8)), "GQA", id="of different layers the fewer"),
        pytest.param((attention(1), attention(8)), "GQA", id="one in some layers"),
        pytest.param((WINDOW,), "sliding", id="windows alone"),
        pytest.param((WINDOW, FULL), "sliding hybrid", id="windows beside full layers"),
        pytest.param((attention(chunk_tokens=64), FULL), "chunked hybrid", id="chunks"),
        pytest.param((LATENT,), "MLA", id="latents"),
        pytest.param(((LATENT, INDEXER),), "sparse MLA", id="latents and an indexer"),
        pytest.param((STATE, FULL), "state hybrid", id="states beside attention"),
        pytest.param((STATE, (LATENT, INDEXER)), "state hybrid", id="states beside anything"),
    ],
)
def test_how_a_model_remembers(layers: tuple[Cache | tuple[Cache, ...], ...], family: str) -> None:
    assert architecture(*layers).family == family


@pytest.mark.parametrize(
    ("layers", "drafter"),
    [
        pytest.param((FULL, WINDOW), (FULL,), id="the last layer that grows"),
        pytest.param((attention(4), FULL, STATE), (FULL,), id="and not the one after it"),
        pytest.param((FULL, (STATE, attention(4))), (attention(4),), id="without its state"),
        pytest.param(((LATENT, INDEXER), STATE), (LATENT, INDEXER), id="all that it owns"),
        pytest.param(
            (attention(chunk_tokens=8), WINDOW), (WINDOW,), id="where none grows the last"
        ),
        pytest.param((STATE, FULL, attention(chunk_tokens=8)), (FULL,), id="a chunk does not grow"),
    ],
)
def test_a_draft_layer_is_like(
    layers: tuple[Cache | tuple[Cache, ...], ...], drafter: tuple[Cache, ...]
) -> None:
    assert architecture(*layers).draft_layer == drafter


def test_the_caches_of_a_model_are_those_of_its_layers_in_order() -> None:
    assert architecture((STATE, FULL), (), WINDOW).caches == (STATE, FULL, WINDOW)


def test_a_latent_is_its_rank_and_its_rotary_part() -> None:
    assert LATENT.elements == 576


def test_all_weights_are_those_that_serving_loads() -> None:
    counted = Parameters(
        mixer=1, dense=20, expert=300, embedding=4_000, tables=2, other=50_000, draft=600_000
    )

    assert counted.total == 58_321


def test_what_is_not_told_is_not_there() -> None:
    model, counted = architecture(), Parameters(mixer=1, dense=1, expert=0, embedding=1, tables=1)

    assert (model.experts, model.experts_per_token, model.multimodal) == (0, 0, False)
    assert (counted.other, counted.replicated, counted.draft, counted.stated) == (0, 0, 0, False)
    assert (STATE.groups, STATE.group_channels, LATENT.nope_dim) == (0, 0, 0)
