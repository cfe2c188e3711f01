"""
Capacity for the load to come while a replica asked for now is not ready yet.

A burst shorter than a cold start is over before the replicas that it asked for serve. What helps is
capacity that is there before it: ``rise`` keeps ready what load usually rises to within one lead
time, ``trend`` follows a slope. Both only ever raise a count, and both are functions of the points
alone.

What a forecast holds ready runs up to a load of 1 and not at the target: a replica is safe there,
and the target is for the long run. A request may wait ``ttft_target_s`` as well, so that a peak P
which lasts the lead time L needs ``P · L / (L + ttft_target)``: the leaky bucket that drains within
the wait (peaks are known to the minute, so shorter windows cannot ask for less).

The cost when it is wrong is bounded: no more than a rise that was seen at least twice within the
lookback, or than load moved in the trend's window, and only what the target leaves no room for.
"""

from collections.abc import Sequence

from scaler.said import Said

from .decision import Reason, Step
from .kpa import whole
from .outlook import Outlook, quantile
from .point import Curve, LoadPoint
from .policy import Forecast, InferencePolicy, OnBurst
from .rise import rise
from .trend import trend
from .utilization import drained


def lead_time_s(policy: InferencePolicy, startup_s: Sequence[float]) -> float | None:
    """Return seconds from asking for a replica until it serves: stated, else p90 of its own."""
    if policy.lead_time_s is not None:
        return policy.lead_time_s
    return quantile(startup_s, 0.9) if startup_s else None


def forecast(
    points: Curve | Sequence[LoadPoint],
    count: int,
    policy: InferencePolicy,
    *,
    lead_time_s: float | None,
    bucket_s: float,
) -> Step | None:
    """
    Raise ``count`` to what the load expected within one lead time needs; None where it suffices.

    Args:
        points: the thinned history, then the fine ones, oldest first.
        count: what load asks for now.
        policy: names the forecast; ``off`` never raises.
        lead_time_s: None or 0: there is nothing to be ahead of.
        bucket_s: of the fine points.
    """
    curve = Curve.of(points)
    if not lead_time_s or not len(curve.at_s):
        return None
    outlook = expect(curve, policy, lead_time_s=lead_time_s, bucket_s=bucket_s)
    return raised(outlook, count, policy, lead_time_s)


def raised(
    outlook: Outlook | None, count: int, policy: InferencePolicy, lead_time_s: float
) -> Step | None:
    """Raise ``count`` to what an outlook needs; None where it suffices, or nothing is foreseen."""
    if outlook is None:
        return None
    needed = whole((outlook.load + outlook.rise) * drained(lead_time_s, policy))
    burst = outlook.burst if policy.burst is OnBurst.ABSORB else None
    if burst is not None and whole(burst.ahead) > max(needed, count):
        detail = Said(
            "most hours need {load:.2f} about now, up to {most:.2f} at :{minute:02d}"
            " (burst: absorb)",
            load=burst.ahead,
            most=burst.load,
            minute=burst.minute,
        )
        return Step(whole(burst.ahead), Reason.FORECAST, detail)
    if needed <= count:
        return None
    detail = Said(
        "load {load:.2f} may rise by {rise:.2f} within {lead_s:g} s: {why}",
        load=outlook.load,
        rise=outlook.rise,
        lead_s=lead_time_s,
        why=outlook.why,
    )
    return Step(needed, Reason.FORECAST, detail)


def price_of(outlook: Outlook | None, policy: InferencePolicy) -> str | None:
    """Return what a burst that comes back needs and costs; None: none does."""
    if outlook is None or outlook.burst is None:
        return None
    told = {
        "minute": outlook.burst.minute,
        "needed": whole(outlook.burst.load),
        "hours": outlook.burst.replica_hours * (policy.units_per_replica or 1),
    }
    if policy.burst is OnBurst.ABSORB:
        return Said(
            "A burst comes back at :{minute:02d} and needs {needed}: being ready for it costs"
            " {hours:.1f} GPU-hours a day.",
            **told,
        )
    return Said(
        "A burst comes back at :{minute:02d} and needs {needed}; being ready for it would cost"
        " {hours:.1f} GPU-hours a day: set burst: absorb | miss.",
        **told,
    )


def expect(
    points: Curve | Sequence[LoadPoint],
    policy: InferencePolicy,
    *,
    lead_time_s: float,
    bucket_s: float,
) -> Outlook | None:
    """Return what the policy's forecast makes of ``points`` (at least one); None: it abstains."""
    curve = Curve.of(points)
    if policy.forecast is Forecast.OFF:
        return None
    if policy.forecast is Forecast.RISE:
        return rise(curve, policy, lead_time_s)
    return trend(curve.points(), policy, lead_time_s=lead_time_s, bucket_s=bucket_s)
