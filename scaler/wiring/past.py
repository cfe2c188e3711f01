"""What Prometheus still holds: decisions as of an instant or of every poll of a span, and load."""

import time
from collections.abc import Callable, Mapping

from scaler.configuration import Configuration
from scaler.decision.decide import decide
from scaler.decision.decision import Decision
from scaler.decision.window import Window
from scaler.errors import ConfigurationError, NoDataError, Problem, SourceError
from scaler.readings import load
from scaler.readings.past import CHUNK_S
from scaler.readings.prometheus_source import PrometheusSource
from scaler.report.moments import Moment, moment
from scaler.serving.once import decide_once
from scaler.serving.replay import Span, replay
from scaler.source import Trigger, Workload

from .sources import prometheus, servers


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


async def recorded_load(
    trigger: Trigger,
    *,
    since_s: float,
    until_s: float,
    configuration: Configuration,
    progress: Callable[[float], None],
) -> load.Load:
    """
    Return the requests that came to a workload between two Unix times, from its Prometheus.

    An hour at a time, newest first, of which only the counts are kept; ``progress`` is told how
    many seconds were read.

    Raises:
        ConfigurationError: the trigger names a server that nobody configured.
        SourceError: some of it could not be read.
        NoDataError: nothing is known of any request in it.
    """
    read = servers(configuration)
    workload = trigger.workload
    if workload.prometheus not in read:
        allowed = ", ".join(sorted(read))
        raise ConfigurationError(
            Problem(field="prometheus", got=workload.prometheus, allowed=allowed)
        )
    spans, startup_s = list[load.Span](), set[float]()
    try:
        end_s = until_s
        while end_s > since_s:
            begin_s = max(since_s, end_s - CHUNK_S)
            window = await _hour(read[workload.prometheus], workload, begin_s, end_s)
            if window is not None:
                spans.append(load.span_of(window.columns))
                startup_s.update(window.startup_s)
            end_s = begin_s
            progress(until_s - end_s)
    finally:
        for server in read.values():
            await server.close()
    found = load.Load(
        since_s=since_s, until_s=until_s, spans=spans[::-1], startup_s=tuple(sorted(startup_s))
    )
    if not found.requests:
        what = f"{workload.kind}/{workload.name} in {workload.namespace}"
        raise NoDataError(f"no requests are known to have come to {what} between the two instants")
    return found


async def _hour(
    server: PrometheusSource, workload: Workload, since_s: float, until_s: float
) -> Window | None:
    """Return what was recorded; None: nothing was, which is no failure to read."""
    try:
        return await server.recording(workload, since_s=since_s, until_s=until_s)
    except SourceError:
        raise
    except NoDataError:
        return None
