"""
How many bytes a model's weights take on one GPU: parameters × bits, cut by the parallel layout.

Quantization stores matrices in few bits and leaves tables, routers and norms in 16. What exactly
is left out differs by format: MXFP4 holds routed experts only, ModelOpt's NVFP4 leaves attention
alone, AWQ and GPTQ take every matrix. Bits include the scales that a group of weights shares.
"""

import dataclasses
import math
import re

from scaler.errors import ConfigurationError, Problem, stated
from scaler.said import Said

from .architecture import LatentCache, ModelArchitecture, Parameters
from .kv_cache.serving import Serving

GIB = 2**30
ABSORBED = 0.04
"""Share of a latent model's weights that engines may hold again: two logs had 3.7 and 6 %."""
TOLD_GIB = 0.2
"""Rotary tables smaller than this go without saying."""
UNQUANTIZED = 16
"""Bits of a weight that no format stores in fewer."""
TYPICAL_VOCABULARY = 150_000
"""Where a record does not tell: between Llama 3's 128 k and Qwen's 152 k."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A format: bits per quantized weight with its scales, and which matrices it takes."""

    bits: float
    mixers: float = 1.0
    """Share of attention that is quantized."""
    mixer_bits: float | None = None
    """Bits of quantized mixers, where they differ."""
    dense: float = 1.0
    tables: float = 0.0
    slack: float = 0.03
    """How far the bytes of such checkpoints stray, as a share: exceptions, scales, padding."""


STORAGE = {
    "none": Storage(bits=16, slack=0.01),
    "fp8": Storage(bits=8),
    "int8": Storage(bits=8),
    "awq": Storage(bits=4 + 20 / 128),  # 16-bit scale and 4-bit zero per 128
    "gptq": Storage(bits=4 + 20 / 128),
    "int4": Storage(bits=4 + 16 / 128, slack=0.08),
    "int4-g32": Storage(bits=4 + 16 / 32, mixers=0.0, dense=0.0),
    "nvfp4": Storage(bits=4 + 8 / 16, mixer_bits=8, slack=0.12),
    "nvfp4-fp8": Storage(bits=4 + 8 / 16, mixer_bits=8, slack=0.12),
    "nvfp4-all": Storage(bits=4 + 8 / 16, slack=0.12),
    "mxfp4": Storage(bits=4 + 8 / 32, mixers=0.0, dense=0.0),
    "mxfp4-fp8": Storage(bits=4 + 8 / 32, mixer_bits=8, dense=0.0),
    "bitsandbytes": Storage(bits=4 + 32 / 64, slack=0.1),
    "gguf": Storage(bits=8.5, tables=1.0, slack=0.5),  # which of its kinds, no name tells
}
"""
Formats by name. Sources: the group sizes of AutoAWQ, GPTQ and compressed-tensors (128), NVFP4 (16,
8-bit scales), MXFP4 (32, 8-bit exponents), bitsandbytes NF4 (64, 32-bit), GGUF Q8_0 (8.5 bits).
"""

_TOLD_AS = {
    "none": "unquantized",
    "gguf": "GGUF of a kind that is not told, taken as Q8_0 (state the weights' GiB)",
}

ALIASES = {
    "auto_awq": "awq",
    "auto_gptq": "gptq",
    "fp8_per_tensor": "fp8",
    "fp8_per_block": "fp8",
    "fp8_per_channel": "fp8",
    "int8_per_channel_weight_only": "int8",
    "mxfp8": "fp8",
    "modelopt_mxfp8": "fp8",
    "modelopt_mixed": "nvfp4-fp8",
    "auto": "none",
    "bf16": "none",
    "bfloat16": "none",
    "fp16": "none",
    "float16": "none",
    "w8a8": "int8",
    "w4a16": "int4",
    "int-quantized": "int8",
    "fbgemm_fp8": "fp8",
    "bnb": "bitsandbytes",
    "4bit": "bitsandbytes",
    "awq_marlin": "awq",
    "gptq_marlin": "gptq",
    "modelopt": "fp8",
    "modelopt_fp4": "nvfp4",
    "petit_nvfp4": "nvfp4",
    "fp4": "nvfp4",
}


PACKED = re.compile(r"(gptq-|awq-)?int([2-8])(?:-g(\d{1,5}))?")
"""Integers of other widths and groups: ``gptq-int8-g128``, ``int4-g64``."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Bytes of the weights on the GPU that holds most, and how far the truth may be off."""

    gpu_bytes: int
    slack_bytes: int
    why: str


def storage_of(name: str | None) -> tuple[str, Storage]:
    """
    Return the format that a text names, and its name here.

    Raises:
        ConfigurationError: a format whose bits are not known.
    """
    words = (name or "none").lower().replace("(", " ").split()
    for word in words:
        known = ALIASES.get(word, word)
        if known in STORAGE:
            return known, STORAGE[known]
        if packed := PACKED.fullmatch(known):
            return known, _packed(packed)
    raise ConfigurationError(
        Problem(
            field="quantization",
            got=repr((name or "")[:80]),
            allowed=Said(
                "one of {names}, or state the weights' GiB", names=", ".join((*STORAGE, *ALIASES))
            ),
        )
    )


def _packed(found: re.Match[str]) -> Storage:
    """Return the bits of a scale in 16 bits per group, and of the zero that GPTQ and AWQ keep."""
    bits, group = int(found[2]), int(found[3] or 0)
    scale = (16 + (bits if found[1] else 0)) / group if group else 0.0
    return Storage(bits=bits + scale, slack=STORAGE["gptq" if found[1] else "int4"].slack)


def weights_on_gpu(
    architecture: ModelArchitecture, serving: Serving, quantization: str | None = None
) -> Weights:
    """
    Return the bytes of weights on the fullest GPU; ``quantization`` wins over the checkpoint's.

    Raises:
        ConfigurationError: neither shapes nor a total are known, or an unknown format.
    """
    counted = architecture.parameters
    if counted is None:
        raise ConfigurationError(
            Problem(
                field="weights_gib",
                got="nothing",
                allowed=stated(
                    Said(
                        ": {name} tells neither shapes nor a total, or has tables that may lie in"
                        " the host's memory",
                        name=architecture.name,
                    )
                ),
            )
        )
    name, storage = _storage_in_use(architecture, quantization)
    drafts = bool(serving.draft_layers)
    total = stored_bytes(counted, storage, drafts=drafts)
    if name == "mxfp4" and architecture.hidden_size is not None:
        total += math.ceil(counted.expert * storage.bits / 8 * _padding(architecture.hidden_size))
    if architecture.checkpoint_bytes is not None and quantization is None:
        total, name = architecture.checkpoint_bytes, "as the checkpoint's index states"
    ranks = serving.tensor_parallel
    share = _share_on_fullest(counted, storage, serving)
    mixer_bits = storage.bits if storage.mixer_bits is None else storage.mixer_bits
    whole = counted.replicated * (2 + storage.mixers * (mixer_bits / 8 - 2))
    whole *= (1 - 1 / ranks) / serving.pipeline_parallel
    rotation = 2 * counted.rotation
    on_gpu = math.ceil(total * share + whole) + rotation + _drafter_bytes(architecture, serving)
    slack = on_gpu * (storage.slack + (0.05 if counted.stated else 0.0))
    slack += share * _untold_mixers(architecture, counted, storage)
    if any(isinstance(cache, LatentCache) for cache in architecture.caches):
        slack += on_gpu * ABSORBED  # projections are kept a second time, multiplied out
    if architecture.multimodal:
        slack += 2 * counted.other  # a tower is whole on every rank in some engines
    words = _TOLD_AS.get(name, name)
    return Weights(
        gpu_bytes=on_gpu,
        slack_bytes=math.ceil(slack),
        why=f"{counted.total / 1e9:,.2f} billion parameters, {words}: {total / GIB:,.2f} GiB in "
        f"all, {share:.1%} of it on the fullest of {serving.gpus} GPU(s)" + _rotary_words(rotation),
    )


def _rotary_words(table_bytes: int) -> str:
    if table_bytes < TOLD_GIB * GIB:
        return ""
    return f", beside {table_bytes / GIB:.2f} GiB of rotary tables on each"


def _drafter_bytes(architecture: ModelArchitecture, serving: Serving) -> int:
    """Return the weights of a drafter with shapes of its own; tables are the model's."""
    drafter = architecture.drafter
    if drafter is None or drafter.parameters is None:
        return 0
    alone = dataclasses.replace(drafter.parameters, tables=0)
    _, storage = storage_of(drafter.quantization)
    return stored_bytes(alone, storage, drafts=False) // serving.tensor_parallel


def _storage_in_use(
    architecture: ModelArchitecture, quantization: str | None
) -> tuple[str, Storage]:
    """Return the format: what is stated, refined by what the checkpoint declares of its kind."""
    declared = architecture.quantization
    name, storage = storage_of(quantization or declared)
    if quantization and declared and declared.startswith(name):
        name, storage = storage_of(declared)
    if storage.bits >= UNQUANTIZED:
        return name, storage
    counted = architecture.parameters
    if not (storage.dense or architecture.experts or (counted and counted.expert)):
        storage = dataclasses.replace(storage, mixers=1.0, dense=1.0)  # all that there is
    if architecture.quantized_mixers is not None:
        # what a file does not except is stored as the rest, unless its format says otherwise
        bits = None if name == "nvfp4" else storage.mixer_bits
        told = architecture.quantized_mixers
        storage = dataclasses.replace(storage, mixers=told, mixer_bits=bits)
    elif name == "nvfp4" and architecture.experts:
        storage = dataclasses.replace(storage, mixers=0.0)
    if architecture.quantized_dense is not None:
        storage = dataclasses.replace(storage, dense=architecture.quantized_dense)
    if architecture.quantized_head and counted and counted.tables > 1:
        storage = dataclasses.replace(storage, tables=1 / counted.tables)  # not the input's
    return name, storage


def _untold_mixers(architecture: ModelArchitecture, counted: Parameters, storage: Storage) -> float:
    """Return the bytes by which attention may be wider or narrower where no file tells."""
    if architecture.quantized_mixers is not None or storage.mixer_bits is None:
        return 0.0
    return counted.mixer * (16 - storage.mixer_bits) / 8


def _padding(hidden: int) -> float:
    """Return the share that MXFP4 kernels add: experts' rows are rounded up to 256."""
    return -(-hidden // 256) * 256 / hidden - 1


def stored_bytes(counted: Parameters, storage: Storage, *, drafts: bool) -> int:
    """Return the bytes of all weights."""
    plain, stored = float(counted.other), counted.expert * storage.bits
    mixer_bits = storage.bits if storage.mixer_bits is None else storage.mixer_bits
    for weights, taken, bits in (
        (counted.mixer, storage.mixers, mixer_bits),
        (counted.dense, storage.dense, storage.bits),
        (counted.embedding * counted.tables, storage.tables, storage.bits),
    ):
        stored += weights * taken * bits
        plain += weights * (1 - taken)
    plain += counted.draft if drafts else 0
    return math.ceil(stored / 8 + 2 * plain)


def _share_on_fullest(counted: Parameters, storage: Storage, serving: Serving) -> float:
    """
    Return the share of all weights that the fullest GPU holds.

    Tensor ranks share every matrix and table (vocabulary-parallel); data-parallel ranks share
    routed experts where attention is data-parallel; pipeline stages share layers, the first and
    last hold a table each, and the last the drafter's layers, as it does their caches.
    """
    whole = stored_bytes(counted, storage, drafts=False)
    with_drafts = stored_bytes(counted, storage, drafts=bool(serving.draft_layers))
    tables = dataclasses.replace(counted, mixer=0, dense=0, expert=0)
    held = stored_bytes(tables, storage, drafts=False)
    layers = (whole - held) / serving.pipeline_parallel
    ends = held if serving.pipeline_parallel == 1 else held / max(1, counted.tables)
    if serving.data_parallel > 1 and counted.expert:
        expert = counted.expert * storage.bits / 8 / serving.pipeline_parallel
        layers -= expert * (1 - 1 / serving.data_parallel)
    last = layers + ends + with_drafts - whole
    return last / with_drafts / serving.tensor_parallel
