"""
Policies by the name that a person types: ``keda-queue``, or with its main knob ``keda-queue=20``.

The maximum is the same for all of them; the minimum is one replica.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.policy import Forecast, InferencePolicy, StepCost
from scaler.errors import ConfigurationError, Problem
from scaler.simulation.keda import kvtide
from scaler.simulation.score import Slo
from scaler.simulation.simulate import Autoscaler, Setup
from scaler.simulation.traffic import Arrival

from . import prometheus
from .fixed import FixedFleet
from .knative import Knative
from .loops import Aibrix, RayServe
from .planner import SloPlanner, ThroughputPlanner

SAFE_RHO = 0.87
"""Utilisation at which one replica is still safe, on both public Azure traces within a percent."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What every policy is given, and what a load test of one replica has told its owner."""

    most: int
    safe_rps: float
    """Requests per second of this traffic that one replica is safe at."""
    safe_prompt_tokens_per_s: float
    """Prompt tokens per second of it."""
    prefill_tokens_per_s: float
    """Prompt tokens per second of an idle replica, a whole step's budget at a time."""
    cost: StepCost
    slo: Slo


def terms_of(setup: Setup, arrivals: Sequence[Arrival]) -> Terms:
    """Return the terms of a trace with at least one request, as a load test would find them."""
    engine = setup.cluster.fleets[0].engine
    cost, budget = engine.step_cost, engine.max_num_batched_tokens
    prompt = sum(one.prompt_tokens for one in arrivals)
    output = sum(one.output_tokens for one in arrivals)
    per_s = SAFE_RHO / (prompt * cost.c_s + output * cost.b_s)
    return Terms(
        most=setup.max_replicas,
        safe_rps=per_s * len(arrivals),
        safe_prompt_tokens_per_s=per_s * prompt,
        prefill_tokens_per_s=budget / (cost.a_s + cost.b_s + cost.c_s * budget),
        cost=cost,
        slo=setup.slo,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A policy with one knob."""

    make: Callable[[float, Terms], Autoscaler]
    knob: str
    default: Callable[[Terms], float]


def own_defaults(terms: Terms) -> InferencePolicy:
    """Return our policy for somebody who states the objective and nothing else."""
    return InferencePolicy(
        min_replicas=1,
        max_replicas=terms.most,
        itl_target=LatencyTarget(seconds=terms.slo.itl_s),
        ttft_target=LatencyTarget(seconds=terms.slo.ttft_least_s),
    )


def _kvtide(delay_s: float, terms: Terms) -> Autoscaler:
    stated = None if delay_s < 0 else delay_s
    policy = dataclasses.replace(own_defaults(terms), scale_down_delay_s=stated)
    suffix = "" if stated is None else f" {delay_s:g} s delay"
    return kvtide(f"kvtide{suffix}", policy, max_replicas=terms.most)


def _kvtide_rise(quantile: float, terms: Terms) -> Autoscaler:
    policy = dataclasses.replace(
        own_defaults(terms), forecast=Forecast.RISE, forecast_quantile=quantile
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
        "aibrix-apa": Named(
            make=lambda target, _: Aibrix(target=target),
            knob="KV usage per replica",
            default=lambda _: 0.5,
        ),
        "token-velocity": Named(
            make=lambda share, terms: prometheus.token_velocity(
                target=share * terms.safe_prompt_tokens_per_s, most=terms.most
            ),
            knob="share of a replica's velocity",
            default=lambda _: 1.0,
        ),
        "ray-serve": Named(
            make=lambda target, _: RayServe(target=target),
            knob="ongoing requests per replica",
            default=lambda _: 2.0,
        ),
        "aibrix-apa-steady": Named(
            make=lambda target, _: Aibrix(target=target, steady=True),
            knob="KV usage per replica",
            default=lambda _: 0.5,
        ),
        "llm-d-tokens": Named(
            make=lambda seconds, terms: prometheus.token_backlog(
                seconds=seconds, velocity=terms.prefill_tokens_per_s, most=terms.most
            ),
            knob="s of backlog per replica",
            default=lambda _: 1.5,
        ),
        "llm-d-tokens-fast": Named(
            make=lambda seconds, terms: prometheus.token_backlog(
                seconds=seconds,
                velocity=terms.prefill_tokens_per_s,
                most=terms.most,
                shipped=False,
            ),
            knob="s of backlog per replica",
            default=lambda _: 1.5,
        ),
        "slo-planner": Named(
            make=lambda share, terms: ThroughputPlanner(
                share=share, cost=terms.cost, slo=terms.slo
            ),
            knob="share of the objective",
            default=lambda _: 1.0,
        ),
        "slo-planner-both": Named(
            make=lambda share, terms: SloPlanner(share=share, cost=terms.cost, slo=terms.slo),
            knob="share of the objective",
            default=lambda _: 1.0,
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
