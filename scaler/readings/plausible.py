"""
The most that a reading can be, by its unit: what is beyond it is no reading, and is missing.

One wrong sample (1e308 requests, a share of 400) would otherwise rule every mean and maximum that
it is in, long after it was read.
"""

import math
from collections.abc import Mapping

MOST = 1e15
"""Of anything that is counted or measured here; a counter past 2^53 counts no more."""

_MOST_REQUESTS = 1e6
"""Of one replica at one time, or that an engine lets in."""
_MOST_SHARE = 1.1
"""A share, and a little: engines round, and count blocks that are about to go."""

MOST_AT_GATEWAY = 1e7
"""Requests that a gateway holds at one time."""

_MOST_OF: Mapping[str, float] = {
    "requests_running": _MOST_REQUESTS,
    "requests_waiting": _MOST_REQUESTS,
    "max_running": _MOST_REQUESTS,
    "kv_cache_usage": _MOST_SHARE,
    "kv_blocks": 1e9,
    "kv_block_tokens": 1e6,
    "gpu_engine_active": _MOST_SHARE,
    "gpu_utilization": _MOST_SHARE,
    "gpu_memory_used_mib": 1e8,
    "gpu_memory_free_mib": 1e8,
}


def is_reading(value: float) -> bool:
    """Whether anything that is read can be so: nothing is below zero, NaN or infinite."""
    return 0 <= value <= MOST


def within_unit(fields: Mapping[str, float]) -> dict[str, float]:
    """Return a replica's fields without those that are beyond what their unit allows."""
    return {name: value for name, value in fields.items() if value <= _MOST_OF.get(name, math.inf)}


def at_most(value: float | None, most: float) -> float | None:
    """Return a value, None where it is more than it can be."""
    return value if value is not None and value <= most else None
