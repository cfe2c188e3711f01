"""
Policies by the name that a person types: ``keda-queue``, or with its main knob ``keda-queue=20``.

The maximum is the same for all of them; the minimum is one replica.
"""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

from scaler.decision.policy import Forecast, InferencePolicy
from scaler.errors import ConfigurationError, Problem
from scaler.simulation.keda import kvtide
from scaler.simulation.simulate import Autoscaler

from . import prometheus
from .fixed import FixedFleet
from .knative import Knative


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What every policy is given, and what a load test of one replica has told its owner."""

    most: int
    safe_rps: float
    """Requests per second of this traffic that one replica is safe at."""
    itl_s: float
    """The objective's inter-token latency."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A policy with one knob."""

    make: Callable[[float, Terms], Autoscaler]
    knob: str
    default: Callable[[Terms], float]


def _kvtide(delay_s: float, terms: Terms) -> Autoscaler:
    stated = None if delay_s < 0 else delay_s
    policy = InferencePolicy(
        min_replicas=1,
        max_replicas=terms.most,
        itl_target_s=terms.itl_s,
        scale_down_delay_s=stated,
    )
    suffix = "" if stated is None else f" {delay_s:g} s delay"
    return kvtide(f"kvtide{suffix}", policy, max_replicas=terms.most)


def _kvtide_rise(quantile: float, terms: Terms) -> Autoscaler:
    policy = InferencePolicy(
        min_replicas=1,
        max_replicas=terms.most,
        itl_target_s=terms.itl_s,
        forecast=Forecast.RISE,
        forecast_quantile=quantile,
    )
    return kvtide(f"kvtide rise {quantile:g}", policy, max_replicas=terms.most)


NAMED: Mapping[str, Named] = MappingProxyType(
    {
        "kvtide": Named(make=_kvtide, knob="scaleDownDelay, s", default=lambda _: -1.0),
        "kvtide-rise": Named(make=_kvtide_rise, knob="forecastQuantile", default=lambda _: 0.9),
        "fixed": Named(
            make=lambda count, _: FixedFleet(replicas=max(1, int(count))),
            knob="replicas",
            default=lambda terms: float(terms.most),
        ),
        "hpa-gpu": Named(
            make=lambda target, terms: prometheus.gpu_utilization(target=target, most=terms.most),
            knob="mean GPU_UTIL",
            default=lambda _: 0.8,
        ),
        "hpa-rps": Named(
            make=lambda target, terms: prometheus.requests_per_second(
                target=target, most=terms.most
            ),
            knob="requests/s per replica",
            default=lambda terms: 0.8 * terms.safe_rps,
        ),
        "keda-queue": Named(
            make=lambda target, terms: prometheus.queue_length(target=target, most=terms.most),
            knob="waiting per replica",
            default=lambda _: 5.0,
        ),
        "keda-kv": Named(
            make=lambda target, terms: prometheus.kv_usage(target=target, most=terms.most),
            knob="KV usage per replica",
            default=lambda _: 0.8,
        ),
        "knative": Named(
            make=lambda target, _: Knative(target=target),
            knob="concurrency per replica",
            default=lambda _: 100.0,
        ),
        "knative-300s": Named(
            make=lambda target, _: Knative(target=target, scale_down_delay_s=300.0),
            knob="concurrency per replica",
            default=lambda _: 100.0,
        ),
    }
)


def named(text: str, terms: Terms) -> Autoscaler:
    """
    Return a new autoscaler for ``NAME`` or ``NAME=KNOB``.

    Raises:
        ConfigurationError: there is no policy of this name, or its knob is no number.
    """
    name, stated, value = text.partition("=")
    policy = NAMED.get(name)
    if policy is None:
        allowed = f"a file of ScaledObjects, or one of {', '.join(NAMED)}"
        raise ConfigurationError(Problem(field="--policy", got=repr(text), allowed=allowed))
    try:
        knob = float(value) if stated else policy.default(terms)
    except ValueError:
        allowed = f"{name}=NUMBER ({policy.knob})"
        raise ConfigurationError(
            Problem(field="--policy", got=repr(text), allowed=allowed)
        ) from None
    return policy.make(knob, terms)
