"""
What to write ahead of the HPA: the count that it would set at its next sync, up to 15 s later.

Only upwards, only from zero and in panic, only what the ScaledObject allows: the HPA then finds
what it would have set and leaves it. Anything else stays the HPA's.
"""

from .target import Target
from .word import Word

FRESH_S = 15.0
"""Three heartbeats: an older word is of a scaler that does not speak any more."""


def may_act(target: Target, word: Word, now_s: float) -> bool:
    """Return whether the target's scale is worth reading."""
    return (
        target.hindrance is None
        and word.urgent
        and bool(word.replicas)
        and now_s - word.heard_s < FRESH_S
    )


def raised(target: Target, word: Word, current: int, now_s: float) -> int | None:
    """Return the count to write over ``current`` (spec.replicas); None: leave it to the HPA."""
    if word.replicas is None or not may_act(target, word, now_s):
        return None
    count = min(max(word.replicas, target.min_replicas), target.max_replicas)
    return count if count > current else None
