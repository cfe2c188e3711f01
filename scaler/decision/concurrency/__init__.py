"""
How many requests one replica may hold at once.

The least of what its KV cache, its latency targets, its engine and its owner allow.
"""

from .live import safe_concurrency
from .result import Bound, Limit, SafeConcurrency

__all__ = ["Bound", "Limit", "SafeConcurrency", "safe_concurrency"]
