"""
Safe concurrency from a live window: what was measured first, then what is computed or stated.

The property that must stay true: what a person stated caps whatever was found, and a limit that
nothing is known of is absent, never guessed.
"""

from scaler.decision.demand import service_time_s
from scaler.decision.policy import ConcurrencyMode, InferencePolicy
from scaler.decision.window import Window

from .measured import MeasuredFootprint, measured_footprint
from .moments import fitting_requests
from .result import Bound, Limit, SafeConcurrency
from .slo import slo_bounds


def safe_concurrency(window: Window, policy: InferencePolicy) -> SafeConcurrency | None:
    """
    Return the requests that one replica may hold at once; None: no limit is known.

    What is learned from the window is learned from before its newest sample: a surge there does
    not change the yardstick that it is measured with.
    """
    limits = (
        _kv_bound(window, policy),
        *slo_bounds(window.samples[:-1], policy),
        _engine_bound(window, policy),
        _explicit_bound(policy),
    )
    bounds = tuple(bound for bound in limits if bound is not None)
    return SafeConcurrency(bounds=bounds) if bounds else None


def _kv_bound(window: Window, policy: InferencePolicy) -> Bound | None:
    if policy.concurrency_mode is ConcurrencyMode.EXPLICIT:
        return None
    earlier = window.samples[:-1]
    if not earlier:
        return None
    footprint = measured_footprint(
        earlier, interval_s=window.interval_s, service_time_s=service_time_s(earlier)
    )
    return None if footprint is None else _measured_bound(footprint, policy)


def _measured_bound(footprint: MeasuredFootprint, policy: InferencePolicy) -> Bound:
    held = (
        f"a running request holds {footprint.mean:.2%} of the cache on average "
        f"(standard deviation {footprint.deviation:.2%}, seen on {footprint.requests:.0f} requests)"
    )
    if footprint.shared:
        held += f", and all of them share {footprint.shared:.2%}"
    room = 1 - footprint.shared
    if policy.concurrency_mode is ConcurrencyMode.MEAN:
        return Bound(limit=Limit.KV, requests=int(room / footprint.mean), detail=held)
    requests = fitting_requests(
        room, footprint.mean, footprint.deviation, policy.overflow_probability
    )
    asked = f"{requests} at once overflow it at most {policy.overflow_probability:.2%} of the time"
    return Bound(limit=Limit.KV, requests=requests, detail=f"{held}; {asked}")


def _engine_bound(window: Window, policy: InferencePolicy) -> Bound | None:
    reported = tuple(
        (int(replica.max_running), "as it reports")
        for replica in window.latest.replicas
        if replica.max_running is not None and replica.max_running >= 1
    )
    stated = () if policy.max_num_seqs is None else ((policy.max_num_seqs, "as stated"),)
    if not (*stated, *reported):
        return None
    requests, source = min((*stated, *reported))
    detail = f"the engine runs at most {requests} requests at once, {source}"
    return Bound(limit=Limit.ENGINE, requests=requests, detail=detail)


def _explicit_bound(policy: InferencePolicy) -> Bound | None:
    if policy.max_concurrency is None:
        return None
    detail = f"stated: at most {policy.max_concurrency} requests at once"
    return Bound(limit=Limit.EXPLICIT, requests=policy.max_concurrency, detail=detail)
