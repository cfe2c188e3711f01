"""
A replica planned on paper: its memory, its cache, and how many requests it may hold.

The same law serves live decisions; here everything is computed from the model, the GPU and the
engine's flags, and the answer says what was assumed. The property that must stay true: what was
stated is never replaced by an estimate.
"""

import dataclasses
import math

from .architecture import ModelArchitecture, StateCache
from .concurrency.footprint import Footprint, footprint
from .concurrency.lengths import LengthLaw
from .concurrency.overflow import fitting_requests
from .concurrency.result import Bound, Limit, SafeConcurrency
from .gpu_memory import MemoryEstimate, estimate_memory
from .kv_cache import GIB, Engine, KvCapacity, Serving, kv_capacity
from .kv_cache.vllm_rules import max_num_seqs


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTerms:
    """What is stated of one GPU's memory; None: estimated, or the engine's default."""

    available_kv_gib: float | None = None
    """Cache memory per GPU as the engine's log prints it: nothing is estimated then."""
    utilization: float | None = None
    weights_gib: float | None = None
    quantization: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestLengths:
    """How long requests are, and how often the cache may overflow."""

    prompt: LengthLaw
    output: LengthLaw
    overflow_probability: float = 0.01


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One replica on paper."""

    architecture: ModelArchitecture
    serving: Serving
    terms: MemoryTerms
    lengths: RequestLengths | None
    memory: MemoryEstimate | None
    """None: the cache's memory was stated."""
    capacity: KvCapacity
    """Of one engine; a replica has ``data_parallel`` of them."""
    footprint: Footprint | None
    """What a request holds at a random moment; None: lengths are not known."""
    safe: SafeConcurrency
    """Requests of the whole replica."""

    @property
    def kv_requests(self) -> int:
        """Requests that the cache allows, whatever else binds; 0: not one fits."""
        return self.safe.bounds[0].requests

    @property
    def requests(self) -> int:
        """Requests that a replica may hold at once; 0: not one fits."""
        return self.safe.requests if self.kv_requests else 0


def plan(
    architecture: ModelArchitecture,
    serving: Serving,
    memory: MemoryTerms,
    lengths: RequestLengths | None = None,
) -> Planned:
    """
    Return a replica of this model, engine and memory.

    Raises:
        ConfigurationError: what is refused, not supported or missing.
    """
    estimate = _estimate(architecture, serving, memory)
    available = memory.available_kv_gib
    if available is None:
        rest = estimate.available_gib if estimate is not None else 0.0
        available = rest * token_share(architecture, serving)
    capacity = kv_capacity(architecture, serving, math.floor(available * GIB))
    held = _footprint(capacity, lengths)
    kv = _kv_bound(capacity, held, lengths)
    return Planned(
        architecture=architecture,
        serving=serving,
        terms=memory,
        lengths=lengths,
        memory=estimate,
        capacity=capacity,
        footprint=held,
        safe=SafeConcurrency(bounds=(kv, *_engine_bounds(serving))),
    )


def token_share(architecture: ModelArchitecture, serving: Serving) -> float:
    """
    Return the share of what is left on a GPU that tokens get.

    SGLang gives states a pool of their own, ``mamba_memory_ratio`` bytes for each byte of tokens.
    """
    states = any(isinstance(cache, StateCache) for cache in architecture.caches)
    return 1 / (1 + serving.mamba_memory_ratio) if states and serving.engine is Engine.SGLANG else 1


def _estimate(
    architecture: ModelArchitecture, serving: Serving, memory: MemoryTerms
) -> MemoryEstimate | None:
    if memory.available_kv_gib is not None:
        return None
    return estimate_memory(
        architecture,
        serving,
        utilization=memory.utilization,
        weights_gib=memory.weights_gib,
        quantization=memory.quantization,
    )


def _footprint(capacity: KvCapacity, lengths: RequestLengths | None) -> Footprint | None:
    if lengths is None:
        return None
    return footprint(
        lengths.prompt, lengths.output, capacity.layout, longest=capacity.max_model_len
    )


def _kv_bound(
    capacity: KvCapacity, held: Footprint | None, lengths: RequestLengths | None
) -> Bound:
    """Return the requests that a replica's caches hold."""
    engines = capacity.data_parallel
    if held is None or lengths is None:
        requests, why = _longest_requests(capacity)
    else:
        requests = fitting_requests(held, capacity.usable_blocks, lengths.overflow_probability)
        why = (
            f"{requests} requests of {held.mean:,.1f} ± {held.deviation:,.1f} blocks overflow "
            f"{capacity.usable_blocks:,} blocks at most {lengths.overflow_probability:.2%} of the "
            "time; prompt and output lengths are taken as independent"
        )
    slots = capacity.request_slots
    if slots is not None and slots < requests:
        requests, why = slots, f"the pool of states or windows has room for {slots} requests"
    if engines > 1:
        why += f"; {engines} engines in a replica"
    return Bound(limit=Limit.KV, requests=requests * engines, detail=why)


def _longest_requests(capacity: KvCapacity) -> tuple[int, str]:
    """Return the requests of full length that fit, for want of lengths."""
    longest = capacity.max_model_len
    if longest is None:
        return int(capacity.usable_blocks > 0), "neither lengths nor a max_model_len are known"
    needed = capacity.layout.footprint_blocks(longest)
    requests = capacity.usable_blocks // needed
    why = (
        f"{capacity.usable_blocks:,} blocks / {needed:,} blocks of a request of {longest:,} "
        "tokens: every request as long as it may be, since no lengths are stated"
    )
    return requests, why


def _engine_bounds(serving: Serving) -> tuple[Bound, ...]:
    stated = serving.max_num_seqs
    if stated is None and serving.engine is not Engine.VLLM:
        return ()
    running = (max_num_seqs(serving) if stated is None else stated) * serving.data_parallel
    origin = "as stated" if stated is not None else "vLLM's default for this GPU and version"
    detail = f"the engine runs at most {running} requests at once, {origin}"
    return (Bound(limit=Limit.ENGINE, requests=running, detail=detail),)
