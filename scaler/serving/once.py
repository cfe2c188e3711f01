"""
Decide once, at an instant, as the server would have: what ``explain`` asks of a Prometheus.

The same readings, composed in the same way, decided on by the same function; without a board,
since nobody waits and nothing is asked twice.
"""

import asyncio
import math
from collections.abc import Mapping

from scaler.decision.compose import lookback_s, reach_s
from scaler.decision.decision import Decision
from scaler.errors import NotServedError
from scaler.readings.past import CHUNK_S
from scaler.source import Source, Trigger

from .compose import Decide, Readings


async def decide_once(
    key: str, triggers: Mapping[str, Trigger], *, source: Source, decide: Decide, at_s: float
) -> Decision:
    """
    Return the decision on one of ``triggers`` (by ``namespace/scaledobject``) at a Unix time.

    The others are there for pools and tier groups that it is one of.

    Raises:
        NotServedError: ``key`` is none of them.
        NoDataError: no fresh reading of the workload at that time.
        ConfigurationError: the source finds the triggers at odds with one another.
    """
    if key not in triggers:
        raise NotServedError(f"{key} is none of {', '.join(triggers)}")
    trigger = triggers[key]
    policies = [each.policy for each in triggers.values()]
    fine_s, far_s = max(map(lookback_s, policies)), max(map(reach_s, policies))
    workloads = [each.workload for each in triggers.values()]
    for _ in range(rounds(far_s - fine_s)):
        await source.refresh(workloads, fine_s, at_s, history_s=far_s)
        if source.is_complete:
            break
    readings = Readings(source, triggers, at_s)
    return await asyncio.to_thread(lambda: decide(readings.subject(trigger), trigger.policy))


def rounds(history_s: float) -> int:
    """
    Return how often a source is asked until it has read its history, an hour at a time.

    One that is slow reads on beside the next rounds: it is asked three times as often at most.
    """
    return 1 if history_s <= 0 else 3 * (1 + math.ceil(history_s / CHUNK_S))
