"""
What a model keeps in memory: which caches each layer owns, and how many weights there are.

Only shapes, as a ``config.json`` states them; nothing about engines, blocks or bytes per element,
which are the engine's choice. A layer may own no cache (an MLP of a hybrid, a layer that reads
another's keys), one, or several (attention beside Mamba; a sparse layer and its indexer).
"""

import collections
import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AttentionCache:
    """Keys and values of one attention layer, for every token, a window of them, or a chunk."""

    kv_heads: int
    head_dim: int
    value_dim: int
    """Elements of a value head; equal to ``head_dim`` in nearly every model."""
    window_tokens: int | None = None
    """Sliding window: keys older than this are never read again."""
    chunk_tokens: int | None = None
    """Chunked local attention: a query reads its own chunk only."""
    unquantized: bool = False
    """Whether it is kept in the model's own type, whatever the cache's is."""

    @property
    def grows(self) -> bool:
        """Whether the cache holds every token of a request."""
        return self.window_tokens is None and self.chunk_tokens is None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LatentCache:
    """The compressed keys and values of multi-head latent attention: one vector a token."""

    rank: int
    """``kv_lora_rank``."""
    rope_dim: int
    """``qk_rope_head_dim``."""
    heads: int
    """Query heads; what an engine without latent attention caches keys and values for."""
    nope_dim: int = 0
    sparse: bool = False
    """Whether an indexer chooses the tokens that attention reads (DSA)."""

    @property
    def elements(self) -> int:
        """Elements per token."""
        return self.rank + self.rope_dim


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IndexerCache:
    """The keys by which a sparse layer chooses tokens: 8-bit values and a scale per 128."""

    head_dim: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StateCache:
    """
    The recurrent state of one layer: the same size from the first token to the last.

    A convolution tail of ``channels`` (and ``group_channels`` per group, which tensor parallelism
    may have to repeat) over ``kernel - 1`` steps, and ``heads`` × ``per_head`` recurrent elements.
    """

    kind: str
    """``gdn``, ``mamba2``, ``mamba``, ``kda``, ``lightning`` or ``short-conv``."""
    channels: int
    kernel: int
    heads: int
    per_head: int
    groups: int = 0
    group_channels: int = 0
    recurrent_bytes: int | None = None
    """Bytes of a recurrent element; None: those of the model's own type."""
    replicated: bool = False
    """Whether every tensor-parallel rank holds it whole."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PackedCache:
    """
    A cache whose rows the model's own code lays out: compressed latents, pooled keys, rings.

    A row's bytes are the code's and not an engine's choice, so they are stated here.
    """

    row_bytes: int
    tokens_per_row: int = 1
    """Tokens that one row stands for: 4 or 128 in DeepSeek V4."""
    window_tokens: int | None = None
    """Rows older than this are never read again; None: every row is kept."""
    block_tokens: int | None = None
    """Tokens of a block, where they are not the engine's."""
    ring: bool = False
    """One block of ``block_tokens`` rows per request, written round and round."""
    alignment: int = 1
    """Bytes that a block's size is a multiple of."""


Cache = AttentionCache | LatentCache | IndexerCache | StateCache | PackedCache


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """How many weights, split by what quantization and parallelism do to them."""

    mixer: int
    """Matrices around the caches, and what stands beside routed experts (router, shared)."""
    dense: int
    """Matrices of MLPs that every token passes."""
    expert: int
    """Matrices of routed experts."""
    embedding: int
    """One vocabulary × hidden table."""
    tables: int
    """How many of them are held: 2 unless input and output share one."""
    other: int = 0
    """Neither: a vision tower, embeddings of each layer."""
    replicated: int = 0
    """Of ``mixer``: what every tensor-parallel rank holds whole (latent projections, routers)."""
    draft: int = 0
    """A multi-token-prediction layer, loaded only when asked to speculate."""
    rotation: int = 0
    """Entries of the tables of rotary embeddings, in 16 bits and whole on every GPU: no weights,
    but held beside them."""
    stated: bool = False
    """Whether the total was stated and the split guessed, for want of shapes."""

    @property
    def total(self) -> int:
        """All weights that serving without speculation loads."""
        layers = self.mixer + self.dense + self.expert
        return layers + self.embedding * self.tables + self.other


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelArchitecture:
    """One model: its caches layer by layer, its weights, and what its checkpoint declares."""

    name: str
    source: str
    """Where the shapes were read."""
    layers: tuple[tuple[Cache, ...], ...]
    """For each layer in order, the caches it owns."""
    attention_heads: int | None
    """Query heads, which tensor parallelism has to divide; None: not stated."""
    hidden_size: int | None = None
    intermediate_size: int | None = None
    """Inner width of a dense MLP, or of all experts that one token passes."""
    vocab_size: int | None = None
    element_bytes: int = 2
    """Bytes of an element of the model's own type."""
    max_position_embeddings: int | None = None
    parameters: Parameters | None = None
    multimodal: bool = False
    experts: int = 0
    experts_per_token: int = 0
    quantization: str | None = None
    """What the checkpoint declares; None: unquantized."""
    quantized_mixers: float | None = None
    """Share of attention that the checkpoint quantizes too; None: as its format usually does."""
    quantized_dense: float | None = None
    """The same of MLPs in layers without experts."""
    quantized_head: bool = False
    """Whether the checkpoint quantizes the output's table as well."""
    kv_dtype: str | None = None
    """KV dtype that the checkpoint declares, which ``auto`` then means."""
    own_draft_layer: tuple[Cache, ...] | None = None
    """What one layer of the checkpoint's own drafter keeps; None: what its full layers keep."""
    drafter: "ModelArchitecture | None" = None
    """A drafter with shapes of its own (EAGLE, DFlash, a small model); None: layers as the last."""
    windows_apart: bool = True
    """Whether SGLang gives layers with a window a pool of their own; else they keep all tokens."""
    by_name: bool = False
    """Whether only a name was given: the checkpoint's own files were not seen."""
    checkpoint_bytes: int | None = None
    """Bytes of all weights, where an index of the checkpoint states them."""

    @property
    def caches(self) -> tuple[Cache, ...]:
        """All caches, in layer order."""
        return tuple(cache for layer in self.layers for cache in layer)

    @property
    def draft_layer(self) -> tuple[Cache, ...]:
        """
        What one draft layer owns (MTP, EAGLE): its own, else the same as the last that grows.

        Where layers share an indexer, a draft layer has one of its own.
        """
        if self.own_draft_layer is not None:
            return self.own_draft_layer
        for layer in reversed(self.layers):
            if any(not isinstance(cache, StateCache) and _grows(cache) for cache in layer):
                own = tuple(cache for cache in layer if not isinstance(cache, StateCache))
                indexers = [cache for cache in self.caches if isinstance(cache, IndexerCache)]
                shares = indexers and not any(isinstance(cache, IndexerCache) for cache in own)
                return (*own, indexers[-1]) if shares else own
        return self.layers[-1] if self.layers else ()

    def draft_caches(self, layers: int) -> tuple[Cache, ...]:
        """Return what a drafter of this many layers owns, or the one whose shapes are known."""
        if self.drafter is not None:
            return self.drafter.caches
        return self.draft_layer * layers

    @property
    def chooses_blocks(self) -> bool:
        """Whether layers keep keys without values, by which they choose blocks (MiniMax M3)."""
        return any(
            isinstance(cache, AttentionCache) and not cache.value_dim for cache in self.caches
        )

    @property
    def family(self) -> str:
        """The word for how it remembers: ``MLA``, ``state hybrid``, ``GQA`` and so on."""
        caches = self.caches
        if any(isinstance(cache, StateCache) for cache in caches):
            return "state hybrid"
        if any(isinstance(cache, PackedCache) for cache in caches):
            return "compressed MLA"
        if any(isinstance(cache, IndexerCache) for cache in caches):
            return "sparse MLA"
        if any(isinstance(cache, LatentCache) for cache in caches):
            return "MLA"
        return _attention_family(self)


def _grows(cache: Cache) -> bool:
    if isinstance(cache, PackedCache):
        return cache.window_tokens is None and not cache.ring
    return not isinstance(cache, AttentionCache) or cache.grows


def _attention_family(architecture: ModelArchitecture) -> str:
    attention = [cache for cache in architecture.caches if isinstance(cache, AttentionCache)]
    if any(cache.chunk_tokens is not None for cache in attention):
        return "chunked hybrid"
    growing = collections.Counter(cache.grows for cache in attention)
    if growing[False]:
        return "sliding hybrid" if growing[True] else "sliding"
    heads = {cache.kv_heads for cache in attention}
    if heads == {1}:
        return "MQA"
    return "MHA" if heads == {architecture.attention_heads} else "GQA"
