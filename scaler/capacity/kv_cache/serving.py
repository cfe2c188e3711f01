"""
What an engine was told: its version, its parallel layout, its flags.

Everything is stated or None; which default a None means is the engine's rule and its version's
(``vllm.py``, ``sglang.py``, …), so that a default is never mistaken for what a person said.
"""

import dataclasses
import enum
import functools
import re
from typing import Annotated

from scaler.errors import ConfigurationError, Problem
from scaler.ranges import Range, range_problems
from scaler.said import Said

MOST_LAYERS = 10_000
"""Of a model or a drafter: what is stated beyond it is a slip, and takes memory to count."""
MOST_GIB = 1e6
"""Memory that anybody states, far beyond any GPU's."""
Whole = Annotated[int, Range(ge=1, words=Said("a whole number of at least 1"))]
Layers = Annotated[int, Range(ge=0, le=MOST_LAYERS, words=Said("0 to {most}", most=MOST_LAYERS))]
Measure = Annotated[
    float,
    Range(gt=0, le=MOST_GIB, words=Said("above 0 and at most {most:,.0f}", most=MOST_GIB)),
]


class Engine(enum.StrEnum):
    """The engines whose rules are known."""

    VLLM = "vllm"
    SGLANG = "sglang"
    TGI = "tgi"
    TRTLLM = "trtllm"


class GpuClass(enum.StrEnum):
    """Generations that an engine's defaults tell apart."""

    HOPPER = "hopper"
    BLACKWELL = "blackwell"
    BLACKWELL_WORKSTATION = "blackwell workstation"
    A100 = "a100"
    BEFORE_AMPERE = "before Ampere"
    """Without bfloat16, and without kernels for a cache in 8 bits."""
    UNIFIED = "unified memory"
    """Blackwell workstation chips that share memory with the system (GB10)."""
    ASCEND = "ascend"
    ASCEND_310P = "ascend 310P"
    OTHER = "other"


@functools.total_ordering
@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """A release: its numbers, and whether it is vLLM's first engine (V0, gone since 0.11)."""

    numbers: tuple[int, ...]
    v0: bool = False

    def __lt__(self, other: "Version") -> bool:
        """Order by number; a release candidate counts as its release."""
        return self.numbers < other.numbers

    def __str__(self) -> str:
        """Return ``0.19.1``, or ``0.6.6 (V0)``."""
        return ".".join(map(str, self.numbers)) + (" (V0)" if self.v0 else "")


V0_ALONE = Version((0, 8, 0), v0=True)
FIRST_V1 = (0, 8)


def parse_version(text: str) -> Version:
    """
    Return the version that a text names: ``0.32.0``, ``v0.19.2rc1``, ``0.8.5 V0``, ``V0``.

    Raises:
        ConfigurationError: no number in it and not ``V0``.
    """
    v0 = re.search(r"\bV0\b", text) is not None
    numbers = re.search(r"\d+(?:\.\d+)+", text) or re.match(r"v?(\d+)(?:\.x)?$", text)
    if numbers is None:
        numbers = re.search(r"\d+\.", text)
    if numbers is None and v0:
        return V0_ALONE
    if numbers is None:
        raise ConfigurationError(
            Problem(
                field="engine_version", got=repr(text), allowed=Said("a release such as 0.32.0")
            )
        )
    found = tuple(int(number) for number in re.findall(r"\d+", numbers.group()))
    return Version(found, v0=v0 or found < FIRST_V1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """One engine process group (a replica) as it was started."""

    engine: Engine = Engine.VLLM
    version: str | None = None
    gpu_memory_gib: Measure | None = None
    """What CUDA reports; engines choose batch sizes by it."""
    gpu_class: GpuClass = GpuClass.OTHER
    gpu: str | None = None
    """What the memory is of and how it is known, as a sentence."""
    gpu_sliced: bool = False
    """Whether it is a MIG slice: slices do not share a request's layers."""

    tensor_parallel: Whole = 1
    pipeline_parallel: Whole = 1
    data_parallel: Whole = 1
    context_parallel: Whole = 1
    """Ranks that one request's tokens are spread over (``--decode-context-parallel-size``)."""

    kv_dtype: str = "auto"
    block_tokens: Whole | None = None
    max_model_len: Whole | None = None
    max_num_batched_tokens: Whole | None = None
    max_num_seqs: Whole | None = None
    draft_layers: Layers = 0
    """Layers of a drafter that own a cache: 1 for MTP or EAGLE, all of a draft model."""
    speculative_tokens: Layers | None = None
    """Tokens drafted at a time; None: one per draft layer, none without any."""
    prefix_caching: bool | None = None
    hybrid_groups: bool | None = None
    """vLLM's hybrid KV cache manager; None: as the version does by itself."""
    state_dtype: str | None = None
    """Type of recurrent states (``--mamba-ssm-cache-dtype``); None: as the configuration says."""
    mamba_memory_ratio: Measure = 0.9
    """SGLang's ``--mamba-full-memory-ratio``."""
    swa_tokens_ratio: Measure = 0.8
    """SGLang's ``--swa-full-tokens-ratio``."""

    def __post_init__(self) -> None:
        """Check every field; all problems in one error."""
        problems = range_problems(self)
        if problems:
            raise ConfigurationError(*problems)

    @property
    def sixteen_bits(self) -> str:
        """The 16-bit type that the GPU computes in."""
        return "float16" if self.gpu_class is GpuClass.BEFORE_AMPERE else "bfloat16"

    @property
    def caches_in_eight_bits(self) -> bool:
        """Whether engines have kernels for a cache in fp8 on this GPU."""
        return self.gpu_class not in (
            GpuClass.BEFORE_AMPERE,
            GpuClass.ASCEND,
            GpuClass.ASCEND_310P,
        )

    @property
    def drafted_tokens(self) -> int:
        """Tokens drafted at a time."""
        if self.speculative_tokens is not None:
            return self.speculative_tokens
        return 1 if self.draft_layers else 0

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tensor_parallel * self.pipeline_parallel * self.data_parallel
