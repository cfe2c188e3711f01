"""
The KV limit: how many requests fit into a replica's cache, in each mode.

What running requests were measured to hold comes first: it needs no model and sees prefix sharing.
For a workload never yet loaded, lengths and the model's footprint law tell, and the sentence says
that prompts and outputs were taken as independent.

The property that must stay true: without a measurement and without lengths there is no limit.
"""

import functools

from scaler.capacity.concurrency import moments, overflow
from scaler.capacity.concurrency.footprint import Footprint, footprint
from scaler.capacity.concurrency.lengths import LengthLaw, from_histogram, lognormal
from scaler.capacity.concurrency.result import Bound, Limit
from scaler.capacity.histogram import Histogram
from scaler.capacity.kv_cache import KvLayout
from scaler.capacity.token_length import TokenLength
from scaler.decision.demand import service_time_s
from scaler.decision.facts.columns import Columns
from scaler.decision.policy import ConcurrencyMode, InferencePolicy
from scaler.decision.window import Window

from .cache import Cache, cache_of, engines_of
from .evidence import Reach
from .measured import MeasuredFootprint, measured_footprint

ENOUGH_LENGTHS = 20
"""Requests in a histogram that tell more than what was stated."""
Lengths = Histogram | TokenLength


def kv_bound(
    window: Window, policy: InferencePolicy, earlier: Columns, reach: Reach
) -> Bound | None:
    """Return how many requests the cache of one replica holds; None: not known, or not asked."""
    mode = policy.concurrency_mode
    if mode is ConcurrencyMode.EXPLICIT:
        return None
    if mode is ConcurrencyMode.WORST_CASE:
        return _worst_case(window, policy)
    held = measured_footprint(earlier, reach=reach, service_time_s=service_time_s(earlier))
    return _from_lengths(window, policy) if held is None else _measured_bound(held, policy)


def longest_request(policy: InferencePolicy) -> int | None:
    """Return the longest request that the engine takes, tokens; None: not known."""
    computed = None if policy.kv_capacity is None else policy.kv_capacity.max_model_len
    return computed if policy.max_model_len is None else policy.max_model_len


def _worst_case(window: Window, policy: InferencePolicy) -> Bound | None:
    """Return how many requests of the longest length fit: what vLLM prints at its start."""
    longest, cache = longest_request(policy), cache_of(window.latest, policy)
    if longest is None:
        return None
    if cache is not None:
        each = cache.layout.footprint_blocks(longest)
        requests = _per_replica(cache, cache.blocks // each)
        detail = (
            f"{cache.blocks:,} blocks ({cache.origin}) / {each:,} blocks of a request of "
            f"{longest:,} tokens"
        )
        return Bound(limit=Limit.KV, requests=requests, detail=detail)
    tokens = min((r.kv_capacity_tokens or 0 for r in window.latest.replicas), default=0)
    if not tokens:
        return None
    detail = f"{tokens:,.0f} tokens of cache, as the engine reports, / {longest:,} of a request"
    return Bound(limit=Limit.KV, requests=int(tokens / longest), detail=detail)


def _per_replica(cache: Cache, requests: int) -> int:
    """Return the requests of a replica, by those that the blocks of one of its engines hold."""
    slots = requests if cache.request_slots is None else cache.request_slots
    return min(requests, slots) * cache.engines


def _measured_bound(held: MeasuredFootprint, policy: InferencePolicy) -> Bound:
    # Usage is the mean over a replica's engines; in the cache of its own, a request holds more.
    engines = engines_of(policy)
    mean, deviation, room = held.mean * engines, held.deviation * engines, 1 - held.shared
    detail = (
        f"a running request holds {mean:.2%} of the cache on average (standard deviation "
        f"{deviation:.2%}, seen on {held.requests:.0f} requests)"
    )
    if held.shared:
        detail += f", and all of them share {held.shared:.2%}"
    if policy.concurrency_mode is ConcurrencyMode.MEAN:
        # A sum of shares may be a float's error more than its whole.
        whole = int(room / mean * (1 + 1e-9))
        return Bound(limit=Limit.KV, requests=whole * engines, detail=detail)
    requests = moments.fitting_requests(room, mean, deviation, policy.overflow_probability)
    requests *= engines
    return Bound(limit=Limit.KV, requests=requests, detail=f"{detail}; {_asked(requests, policy)}")


def _asked(requests: int, policy: InferencePolicy) -> str:
    return f"{requests} at once overflow it at most {policy.overflow_probability:.2%} of the time"


def _from_lengths(window: Window, policy: InferencePolicy) -> Bound | None:
    prompt = _best(window.lengths.prompt_tokens, policy.prompt_tokens)
    output = _best(window.lengths.output_tokens, policy.output_tokens)
    cache = cache_of(window.latest, policy)
    if prompt is None or output is None or cache is None:
        return None
    held = _footprint(prompt, output, cache.layout, longest_request(policy))
    detail = (
        f"a request holds {held.mean:,.1f} blocks on average (standard deviation "
        f"{held.deviation:,.1f}) of {cache.blocks:,} ({cache.origin}), by {_told_by(prompt)} and "
        f"{_told_by(output)}, taken as independent"
    )
    if policy.concurrency_mode is ConcurrencyMode.MEAN:
        requests = _per_replica(cache, int(cache.blocks / held.mean))
        return Bound(limit=Limit.KV, requests=requests, detail=detail)
    requests = _per_replica(cache, _fitting(held, cache.blocks, policy.overflow_probability))
    return Bound(limit=Limit.KV, requests=requests, detail=f"{detail}; {_asked(requests, policy)}")


def _best(seen: Histogram | None, stated: TokenLength | None) -> Lengths | None:
    """Return the engine's histogram where it counted enough requests, else what was stated."""
    return seen if seen is not None and seen.total >= ENOUGH_LENGTHS else stated


def _told_by(lengths: Lengths) -> str:
    if isinstance(lengths, Histogram):
        return f"the engine's histogram of {lengths.total:,.0f}"
    return f"a stated mean of {lengths.mean:g} tokens"


# Histograms change once a minute and stated lengths never: the last answers are remembered. What
# is remembered is a function of the arguments alone.
@functools.lru_cache(maxsize=4096)
def _footprint(
    prompt: Lengths, output: Lengths, layout: KvLayout, longest: int | None
) -> Footprint:
    return footprint(_law(prompt, longest), _law(output, longest), layout, longest=longest)


_fitting = functools.lru_cache(maxsize=4096)(overflow.fitting_requests)


def _law(lengths: Lengths, longest: int | None) -> LengthLaw:
    if isinstance(lengths, TokenLength):
        return lognormal(lengths.mean, lengths.p95, longest=longest)
    law = from_histogram(lengths, longest=longest)
    assert law is not None  # noqa: S101 - it counted enough requests
    return law
