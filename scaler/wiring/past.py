"""A decision as of any instant, from what Prometheus still holds of it."""

import time
from collections.abc import Mapping

from scaler.decision.decide import decide
from scaler.decision.decision import Decision
from scaler.keda.once import decide_once
from scaler.sources.configuration import Configuration
from scaler.sources.source import Trigger

from .sources import prometheus


async def explain(
    triggers: Mapping[str, Trigger], key: str, at_s: float | None, *, configuration: Configuration
) -> Decision:
    """
    Return the decision on one of ``triggers`` at a Unix time, None: now, from its Prometheus.

    Raises:
        ConfigurationError, NotServedError, NoDataError: as ``decide_once``.
    """
    at_s = time.time() if at_s is None else at_s
    async with prometheus(configuration) as source:
        return await decide_once(key, triggers, source=source, decide=decide, at_s=at_s)
