"""
Decide once, at an instant, as the server would have: what ``explain`` asks of a Prometheus.

The same readings, composed in the same way, decided on by the same function; without a board,
since nobody waits and nothing is asked twice.
"""

import asyncio
from collections.abc import Mapping

from scaler.decision.compose import lookback_s, reach_s
from scaler.decision.decision import Decision
from scaler.errors import NotServedError
from scaler.source import Source, Trigger

from .compose import Decide, Readings


async def decide_once(
    key: str, triggers: Mapping[str, Trigger], *, source: Source, decide: Decide, at_s: float
) -> Decision:
    """
    Return the decision on one of ``triggers`` (by ``namespace/scaledobject``) at a Unix time.

    The others are there for pools and tier groups that it is one of. ``source`` is one of a past:
    a read of it is not over before all that is asked for was read.

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
    await source.refresh(workloads, fine_s, at_s, history_s=far_s)
    readings = Readings(source, triggers, at_s)
    return await asyncio.to_thread(lambda: decide(readings.subject(trigger), trigger.policy))
