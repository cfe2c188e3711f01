"""
What a replica completes while it has a queue: its throughput at the limit, measured.

It needs no model of the engine. A replica that is bound by prefill runs few requests at once and is
far from full by any count, while hundreds wait; what it completes per second says what it can do.
"""

from .facts.columns import Columns


def queued_completions_per_s(past: Columns) -> float | None:
    """
    Return the most that one replica completed per second over a time in which it had a queue.

    The most, since a queue can also be one of a slow moment: with the highest rate seen as what a
    replica can do, the load of a fleet never passes what it really completes. None: no replica was
    seen to have a queue for long enough.
    """
    rates = past.queued_per_s
    return float(rates.max()) if len(rates) else None
