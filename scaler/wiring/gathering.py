"""What an object's page shows beside its answer: its last hour or day, its limits, its pool."""

import asyncio
import dataclasses
from collections.abc import Callable

from scaler.configuration import Configuration, PrometheusServer
from scaler.decision.decide import decide
from scaler.decision.policy import LendingPolicy, Policy
from scaler.decision.pool import PoolWindow
from scaler.decision.window import Window
from scaler.errors import KvtideError, SourceError
from scaler.readings.prometheus import PrometheusApi
from scaler.report.moments import Moment
from scaler.serving.board import Board
from scaler.serving.compose import Subject, bounds_of
from scaler.serving.history import History, Origin
from scaler.serving.own_metrics import recorded
from scaler.serving.recent import recent
from scaler.serving.units import Picture, picture
from scaler.source import Source, Trigger
from scaler.status.object_page import Shown
from scaler.status.past import Limits

_POINTS = 240
"""Steps of a span that Prometheus is asked for: one in 15 s of an hour, in 6 min of a day."""
_DECIDED_AGAIN = 60


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """Gathers for one object at a time."""

    board: Board
    source: Source
    configuration: Configuration | None
    """Its Prometheus servers may hold kvtide's own metrics."""
    clock: Callable[[], float]

    async def __call__(self, key: str, span_s: float) -> Shown:
        """
        Return what is shown of ``namespace/scaledobject`` over the last ``span_s`` seconds.

        Raises:
            KvtideError: neither Prometheus nor what is held has any history.
        """
        trigger = self.board.triggers()[key]
        found, why = await _from_metrics(trigger, self.configuration, span_s, self.clock())
        recorded_history = History(moments=found, origin=Origin.METRICS) if found else None
        try:
            subject = await self.board.held(key)
        except KvtideError:
            if recorded_history is None:
                raise
            return Shown(history=recorded_history, limits=limits_of(trigger, None))
        return Shown(
            history=recorded_history or await _decided_again(subject, trigger.policy, why),
            limits=limits_of(trigger, subject),
            pool=self._pool(trigger, subject),
        )

    def _pool(self, trigger: Trigger, subject: Subject) -> Picture | None:
        policy, resource = trigger.policy, trigger.pool_resource
        if not isinstance(policy, LendingPolicy) or not isinstance(subject, PoolWindow):
            return None
        now_s = self.clock()
        lent_on = () if resource is None else self.source.nodes(resource, [trigger.workload], now_s)
        key = trigger.workload.key
        said = next((one for one in self.board.observations() if one.key == key), None)
        return picture(subject, policy, None if said is None else said.decision, lent_on)


async def _decided_again(subject: Subject, policy: Policy, why: str | None) -> History:
    again = await asyncio.to_thread(recent, subject, policy, decide, points=_DECIDED_AGAIN)
    return History(moments=again, origin=Origin.WINDOWS, why=why)


async def _from_metrics(
    trigger: Trigger, configuration: Configuration | None, span_s: float, now_s: float
) -> tuple[list[Moment], str | None]:
    """Return what Prometheus recorded of kvtide itself, and what stood in the way."""
    server = _server(trigger, configuration)
    if server is None:
        return [], None
    workload, api = trigger.workload, PrometheusApi(server)
    names = (workload.namespace, workload.scaled_object)
    try:
        found = await _recorded(api, names, span_s, now_s)
        if found and (short_s := now_s - found[0].at_s + span_s / _POINTS) < span_s / 4:
            # Scraped since a moment ago: as many points of that moment.
            found = await _recorded(api, names, short_s, now_s)
    except SourceError as error:
        return [], error.said
    finally:
        api.close()
    return found, None


async def _recorded(
    api: PrometheusApi, names: tuple[str, str], span_s: float, now_s: float
) -> list[Moment]:
    step_s = max(1.0, span_s / _POINTS)
    return await recorded(api, *names, span_s=span_s, step_s=step_s, now_s=now_s)


def _server(trigger: Trigger, configuration: Configuration | None) -> PrometheusServer | None:
    if configuration is None:
        return None
    return configuration.prometheus.get(trigger.workload.prometheus)


def limits_of(trigger: Trigger, subject: Subject | None) -> Limits:
    """Return what an object's load is held against: as it acts now, where that is learned."""
    policy = trigger.policy
    known = None if subject is None else bounds_of(subject, policy)
    least, most = known or (None, None)
    if isinstance(policy, LendingPolicy):
        return Limits(
            most=most,
            lend_below=policy.lend_below,
            reclaim_above=policy.reclaim_above,
            units_per_worker=policy.units_per_worker,
        )
    foreseen = subject.foreseen if isinstance(subject, Window) else None
    target = (foreseen.policy if foreseen else policy).effective_target_utilization
    return Limits(
        least=least,
        most=most,
        target=target,
        panic_from=target * policy.panic_threshold / 100,
        stable_s=policy.stable_window_s,
        panic_s=policy.panic_window_s,
    )
