"""
A configuration whose caches are not modelled is refused, never answered by what is known of it.

``public_configs.json`` holds shapes of public models: those under an organisation's name are their
``config.json`` as kept in ai-dynamo/aiconfigurator, two are as people quote theirs, the others are
the defaults of transformers 5.24. Beside each stands what its layers keep: f whole keys, w a
window, c a chunk, l a latent, i an indexer, s a state, p rows that the model's own code packs.
"""

import collections
import json
import pathlib
import random
from collections.abc import Mapping
from typing import Any

import pytest

from scaler.capacity.architecture import (
    AttentionCache,
    Cache,
    IndexerCache,
    LatentCache,
    ModelArchitecture,
    PackedCache,
)
from scaler.capacity.kv_cache import GIB, Serving, kv_capacity
from scaler.capacity.models import architecture_of
from scaler.errors import ConfigurationError

PUBLIC: Mapping[str, Mapping[str, Any]] = json.loads(
    pathlib.Path(__file__).with_name("public_configs.json").read_text(encoding="utf-8")
)
LLAMA = PUBLIC["meta-llama/Meta-Llama-3.1-8B"]["config"]
MUTATIONS = 1_000
FOREIGN = (
    "compress_widths",
    "index_ring_tokens",
    "indexer_ring_tokens",
    "kv_source_layers",
    "local_layer_ids",
    "memory_slots",
    "mla_cache_rank",
    "ple_cache_ids",
    "recurrent_state_dim",
    "rswa_window",
    "sparse_attention_config",
    "summary_tokens",
    "ttt_state_size",
)
"""Keys that hold a cache in some family, and in none that is modelled here."""


def kept(architecture: ModelArchitecture) -> str:
    """Return how many layers keep what."""
    counted = collections.Counter(_letter(cache) for cache in architecture.caches)
    return " ".join(f"{count}{letter}" for letter, count in sorted(counted.items()))


def _letter(cache: Cache) -> str:
    if isinstance(cache, AttentionCache):
        return "w" if cache.window_tokens else "c" if cache.chunk_tokens else "f"
    if isinstance(cache, LatentCache):
        return "l"
    if isinstance(cache, PackedCache):
        return "p"
    return "i" if isinstance(cache, IndexerCache) else "s"


def test_there_are_many_public_shapes() -> None:
    assert len(PUBLIC) > 100
    assert sum("/" in name for name in PUBLIC) >= 30


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_model_keeps_what_its_code_keeps_or_is_refused(name: str) -> None:
    public = PUBLIC[name]
    wanted = public["caches"]

    if wanted.startswith("refused: "):
        with pytest.raises(ConfigurationError, match=wanted.removeprefix("refused: ")):
            architecture_of(name, public["config"])
    else:
        assert kept(architecture_of(name, public["config"])) == wanted


@pytest.mark.parametrize("key", FOREIGN)
@pytest.mark.parametrize("name", ["meta-llama/Meta-Llama-3.1-8B", "Qwen/Qwen3.5-27B"])
def test_a_key_that_may_hold_a_cache_is_refused_by_name(name: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{key}: 7 is not modelled here"):
        architecture_of("model", {**PUBLIC[name]["config"], key: 7})


@pytest.mark.parametrize("value", [None, False, 0, [], {}, ""])
def test_a_key_that_is_switched_off_holds_nothing(value: object) -> None:
    assert kept(architecture_of("model", {**LLAMA, "memory_slots": value})) == "32f"


def test_a_person_may_state_that_a_key_holds_no_cache() -> None:
    model = architecture_of("model", {**LLAMA, "memory_slots": 7}, not_a_cache=["memory_slots"])

    assert kept(model) == "32f"


def test_a_nested_key_is_named_with_its_section() -> None:
    with pytest.raises(ConfigurationError, match=r"my_part\.state_slots"):
        architecture_of("model", {**LLAMA, "my_part": {"state_slots": 4, "note": "x"}})


@pytest.mark.parametrize(
    ("more", "told"),
    [
        pytest.param({"index_head_dim": 128}, "index_head_dim", id="an indexer without latents"),
        pytest.param({"mamba_d_state": 16}, "mamba_d_state", id="states of layers not told"),
        pytest.param({"layer_types": ["gated_memory"] * 32}, "gated_memory", id="a layer's word"),
        pytest.param({"layer_types": ["full_attention"] * 3}, "one per layer", id="too few layers"),
        pytest.param(
            {"model_type": "granite", "sliding_window": 512, "layers_block_type": ["*"] * 32},
            "sliding_window",
            id="a window that no layer is told to use",
        ),
    ],
)
def test_what_is_half_told_is_refused(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        architecture_of("model", {**LLAMA, **more})


def mutated(config: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    """Return a configuration with some keys gone, odd, or foreign."""
    changed = dict(config)
    for _ in range(chance.randint(1, 4)):
        key = chance.choice([*changed, *FOREIGN])
        match chance.randrange(4):
            case 0:
                changed.pop(key, None)
            case 1:
                changed[key] = chance.choice([-1, 0, 1, 3, 2**40, "text", [], ["x"], {}, None, 1.5])
            case 2:
                changed[key] = {"inner": changed.get(key)}
            case _:
                changed[chance.choice(FOREIGN)] = chance.randint(1, 64)
    return changed


def _says_something(value: object) -> bool:
    inner = value.get("inner") if isinstance(value, dict) else value
    return _says_something(inner) if isinstance(inner, dict) else bool(inner)


def test_a_thousand_mutated_configurations_never_crash_nor_answer_what_is_unknown() -> None:
    chance = random.Random(20_261_130)
    answered = refused = 0
    for _ in range(MUTATIONS):
        config = mutated(chance.choice(list(PUBLIC.values()))["config"], chance)
        try:
            architecture = architecture_of("model", config)
            capacity = kv_capacity(architecture, Serving(max_model_len=4_096), 8 * GIB)
        except ConfigurationError:
            refused += 1
            continue
        answered += 1
        assert capacity.num_blocks >= 0
        assert not any(_says_something(config.get(key)) for key in FOREIGN), config

    assert answered > MUTATIONS // 10
    assert refused > MUTATIONS // 4


@pytest.mark.parametrize("key", ["indexer_budget", "ple_layer_ids", "indexer_compress_ratio"])
def test_keys_that_one_family_is_read_by_are_refused_in_another(key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{key}: 2048 is not modelled here"):
        architecture_of("llama", {**LLAMA, key: 2048})
