"""Decisions as of any instant, or of every poll of a span, from what Prometheus still holds."""

import time
from collections.abc import Callable, Mapping

from scaler.configuration import Configuration
from scaler.decision.decide import decide
from scaler.decision.decision import Decision
from scaler.report.moments import Moment, moment
from scaler.serving.once import decide_once
from scaler.serving.replay import Span, replay
from scaler.source import Trigger

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


async def backtest(
    triggers: Mapping[str, Trigger],
    span: Span,
    *,
    configuration: Configuration,
    progress: Callable[[float], None],
) -> dict[str, list[Moment]]:
    """
    Return every poll of every one of ``triggers``, by ``namespace/scaledobject``.

    ``progress`` is told the instant (Unix seconds) that was decided on last.

    Raises:
        ConfigurationError, SourceError: as ``replay``.
    """
    moments: dict[str, list[Moment]] = {key: [] for key in triggers}
    async with prometheus(configuration) as source:
        async for one in replay(triggers, source=source, decide=decide, span=span):
            told = moment(one.at_s, one.subject, decision=one.decision, error=one.error)
            moments[one.key].append(told)
            progress(one.at_s)
    return moments
