"""
Reading a ``config.json``: the same fact under the names that different families give it.

A record of our own table is read the same way: it has the same keys, and ``*_counts`` where the
original has a list with one entry per layer.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

NESTED = ("text_config", "llm_config", "language_config", "language_model_config", "decoder")
NESTED_TWICE = ("thinker_config",)

LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
HIDDEN = ("hidden_size", "n_embd", "d_model", "model_dim", "dim")
KV_HEADS = (
    "num_key_value_heads",
    "num_kv_heads",
    "n_head_kv",
    "n_kv_heads",
    "num_attention_groups",
)
HEAD_DIM = ("head_dim", "head_dim_derived", "kv_channels", "attention_head_dim")
POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")
INTERMEDIATE = ("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size")

MOST_LAYERS = 10_000
"""Far beyond any model: more is a mistake, and would take all memory to write down."""

MOST = 10**12
"""Of anything that a configuration counts: a larger number is a slip, and no float may hold it."""
LONGEST_TOLD = 80
KNOWN = (*LAYERS, *NESTED, "layers_block_type", "model_type")


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """A model's configuration: the text part's keys over the outer ones."""

    name: str
    text: Mapping[str, Any]
    outer: Mapping[str, Any]

    def get(self, *names: str) -> Any:  # noqa: ANN401 - JSON: checked where it is used
        """Return the first of these keys that is there and not null."""
        for mapping in (self.text, self.outer):
            for name in names:
                value = mapping.get(name)
                if value is not None:
                    return value
        return None

    def whole(self, *names: str) -> int | None:
        """
        Return the first of these keys as a whole number of at least 1, or None.

        Raises:
            ConfigurationError: there, but something else.
        """
        value = self.get(*names)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.wrong(names[0], got=repr(value), allowed=Said("a whole number"))
        if value > MOST:
            got = Said("a number of {count} digits", count=len(str(value)))
            raise self.wrong(names[0], got=got, allowed=Said("at most {most}", most=MOST))
        return value or None

    def required(self, *names: str) -> int:
        """
        Return the first of these keys as a whole number.

        Raises:
            ConfigurationError: none of them is there.
        """
        value = self.whole(*names)
        if value is None:
            raise self.wrong(names[0], got="nothing", allowed=Said("a whole number of at least 1"))
        return value

    def listed(self, *names: str) -> Sequence[str] | None:
        """
        Return the first of these keys as a list of words or a string of letters, or None.

        Raises:
            ConfigurationError: there, but something else.
        """
        value = self.get(*names)
        if value is None:
            return None
        if isinstance(value, str | list) and all(isinstance(word, str) for word in value):
            return value
        raise self.wrong(
            names[0], got=repr(value)[:60], allowed=Said("a list of words, or letters")
        )

    def wrong(self, field: str, *, got: str, allowed: str = "") -> ConfigurationError:
        """Return the error that names a field of this model; a value that is long is told short."""
        long = allowed and len(got) > LONGEST_TOLD
        short = f"{got[: LONGEST_TOLD - 3]}..." if long else got
        return ConfigurationError(
            Problem(field=f"model {self.name}: {field}", got=short, allowed=allowed)
        )

    def at(self, layer: int) -> "Config":
        """Return the configuration of one layer, where ``per_layer_config`` overrides some."""
        overrides = self.get("per_layer_config")
        for name, values in overrides.items() if isinstance(overrides, Mapping) else ():
            if str(name).isdigit() and int(name) == layer and isinstance(values, Mapping):
                return Config(self.name, {**self.text, **values}, self.outer)
        return self

    @property
    def model_type(self) -> str:
        """The family's name, of the text part where it has one."""
        return str(self.get("model_type") or "")

    @property
    def layers(self) -> int:
        """Decoder layers: stated, else as many as a pattern has entries."""
        pattern = self.listed("hybrid_override_pattern", "layers_block_type")
        if self.whole(*LAYERS) is None and pattern is not None:
            return len(pattern)
        layers = self.required(*LAYERS)
        if layers > MOST_LAYERS:
            raise self.wrong(
                LAYERS[0],
                got=str(layers),
                allowed=Said("at most {most}", most=MOST_LAYERS),
            )
        return layers

    @property
    def heads(self) -> int | None:
        """Query heads."""
        return self.whole(*HEADS)

    @property
    def hidden(self) -> int | None:
        """Width of the residual stream."""
        return self.whole(*HIDDEN)

    @property
    def kv_heads(self) -> int:
        """KV heads: stated, one for multi-query models, else as many as query heads."""
        if self.get("multi_query_attention"):
            return self.required("multi_query_group_num")
        nested = self.get("attn_config")
        if isinstance(nested, Mapping) and nested.get("kv_n_heads") is not None:
            return Config(self.name, nested, {}).required("kv_n_heads")
        if self.get("multi_query") and not self.get("new_decoder_architecture"):
            return 1
        return self.whole(*KV_HEADS) or self.required(*HEADS)

    @property
    def head_dim(self) -> int:
        """Elements of a head: stated, else hidden size over heads."""
        stated = self.whole(*HEAD_DIM)
        if stated is not None:
            return stated
        hidden, heads = self.required(*HIDDEN), self.required(*HEADS)
        if hidden < heads:
            raise self.wrong(
                HIDDEN[0], got=str(hidden), allowed=Said("at least the {heads} heads", heads=heads)
            )
        return hidden // heads


def read_config(name: str, document: Mapping[str, Any]) -> Config:
    """Return the configuration in a document, its text part found where it is nested."""
    inner: Mapping[str, Any] = document
    for key in (*NESTED_TWICE, *NESTED):
        nested = inner.get(key)
        if isinstance(nested, Mapping) and any(name in nested for name in KNOWN):
            inner = nested
    return Config(name, _as_drafted(_as_wide(inner)), document)


def _as_wide(inner: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    Return a configuration whose ``intermediate_size`` is the width of the MLP's matrices.

    Gemma 3n lists one for each layer; the first Qwen states both gates' together (SGLang 0.5.23
    ``models/qwen.py``); LFM2 states three halves of it, to be rounded up (vLLM 0.33
    ``models/lfm2.py``), and says by a key of its own that its tables are tied.
    """
    stated = inner.get("block_ff_dim", inner.get("intermediate_size"))
    if isinstance(stated, list) and stated and all(isinstance(one, int) for one in stated):
        return {**inner, "intermediate_size": max(stated)}
    kind = inner.get("model_type")
    if kind not in ("qwen", "lfm2") or not isinstance(stated, int) or not 0 < stated <= MOST:
        return inner
    if kind == "qwen":
        return {**inner, "intermediate_size": stated // 2}
    tied = {"tie_word_embeddings": inner.get("tie_embedding", True), **inner}
    return {**tied, "intermediate_size": _rounded(inner, stated)}


def _rounded(inner: Mapping[str, Any], stated: int) -> int:
    """Return the width of LFM2's matrices for the one that its configuration states."""
    if not inner.get("block_auto_adjust_ff_dim"):
        return stated
    factor, multiple = inner.get("block_ffn_dim_multiplier"), inner.get("block_multiple_of")
    times = factor if isinstance(factor, int | float) and 0 < factor < MOST_LAYERS else 1.0
    step = multiple if isinstance(multiple, int) and 0 < multiple < MOST_LAYERS else 256
    return -(-int(times * (2 * stated // 3)) // step) * step


def _as_drafted(inner: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    Return a configuration with the windows that a DFlash drafter's own section tells.

    ``use_swa`` gives every layer a window unless ``layer_types`` names some that have one. vLLM
    0.33 ``models/qwen3_dflash.py`` (_resolve_layer_attention).
    """
    section, layers = inner.get("dflash_config"), inner.get("num_hidden_layers")
    if not isinstance(section, Mapping) or not isinstance(layers, int):
        return inner
    kinds = inner.get("layer_types")
    if not isinstance(kinds, list):
        kinds = ["full_attention"] * min(max(layers, 0), MOST_LAYERS)
    if section.get("use_swa") and "sliding_attention" not in kinds:
        kinds = ["sliding_attention"] * len(kinds)
    window = section.get("swa_window_size") or inner.get("sliding_window")
    return {**inner, "layer_types": kinds, "sliding_window": window}
