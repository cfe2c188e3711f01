"""
What most people run: the HPA or KEDA on one Prometheus query, with a threshold.

Each is a trigger of :mod:`scaler.simulation.keda`; the HPA's own behaviour is Kubernetes' default
(no ``behavior``: five minutes of stabilisation on the way down, at most doubling on the way up).
Queries of counters are rates over one minute.
"""

from collections.abc import Callable

from scaler.decision.window import Window
from scaler.simulation.baselines.counted import mean_prompt_tokens, total_increase
from scaler.simulation.hpa import Behavior, PolicyKind, ScalingPolicy, ScalingRules
from scaler.simulation.keda import KedaScaled, Trigger
from scaler.simulation.scaled_object import ScaledObjectConfig

_RATE_S = 60.0
_WAIT_S = 2.0
"""Waiting tokens are to be computed within the time to first token."""
_LLM_D = Behavior(
    scale_up=ScalingRules(
        stabilization_s=0.0,
        policies=(ScalingPolicy(kind=PolicyKind.PODS, value=1, period_s=180.0),),
    ),
    scale_down=ScalingRules(
        stabilization_s=300.0,
        policies=(ScalingPolicy(kind=PolicyKind.PODS, value=1, period_s=300.0),),
    ),
)


def gpu_utilization(*, target: float = 0.8, most: int, least: int = 1) -> KedaScaled:
    """
    Return the HPA on ``DCGM_FI_DEV_GPU_UTIL``.

    Source: NVIDIA's and the clouds' guides for autoscaling on GPU metrics, which use an average of
    60 to 80 %.
    """
    return _on(f"hpa-gpu {100 * target:g}%", _gpu_utilization, target, least=least, most=most)


def _gpu_utilization(window: Window) -> float | None:
    used = [r.gpu_utilization for r in window.latest.replicas if r.gpu_utilization is not None]
    return sum(used) if used else None


def requests_per_second(*, target: float, most: int, least: int = 1) -> KedaScaled:
    """
    Return the HPA on finished requests per second and replica.

    Source: Kubernetes' own walkthrough of custom metrics. There is no default: the target comes
    from a load test of one replica with this very traffic.
    """
    return _on(f"hpa-rps {target:.3g}/s", _requests_per_second, target, least=least, most=most)


def _requests_per_second(window: Window) -> float | None:
    samples = window.last(_RATE_S + window.interval_s)
    finished = total_increase(samples, "requests_finished_total")
    span_s = samples[-1].at_s - samples[0].at_s
    return finished / span_s if finished is not None and span_s else None


def queue_length(*, target: float = 5.0, most: int, least: int = 1) -> KedaScaled:
    """
    Return KEDA's Prometheus scaler on ``sum(vllm:num_requests_waiting)``.

    Source: vLLM production-stack's KEDA guide, whose threshold is 5 waiting requests.
    """
    return _on(f"keda-queue {target:g}", _queue, target, least=least, most=most)


def _queue(window: Window) -> float | None:
    waiting = [one.requests_waiting or 0.0 for one in window.latest.replicas]
    return sum(waiting) if waiting else None


def kv_usage(*, target: float = 0.8, most: int, least: int = 1) -> KedaScaled:
    """
    Return KEDA's Prometheus scaler on ``sum(vllm:kv_cache_usage_perc)``.

    Source: guides for vLLM on KEDA that scale on cache usage from 70 or 80 %.
    """
    return _on(f"keda-kv {100 * target:g}%", _kv_usage, target, least=least, most=most)


def _kv_usage(window: Window) -> float | None:
    used = [r.kv_cache_usage for r in window.latest.replicas if r.kv_cache_usage is not None]
    return sum(used) if used else None


def token_velocity(*, target: float, most: int, least: int = 1) -> KedaScaled:
    """
    Return KEDA on prompt tokens per second over a replica's token velocity.

    Source: TokenScale (arXiv 2512.03416): replicas for the tokens that arrive, over the tokens per
    second that one replica was measured to do. Waiting tokens are to be done within 2 s. One fleet
    does both phases here, so the velocity is measured while it decodes as well.
    """
    return _on(f"token-velocity {target:.4g}/s", _prompt_tokens, target, least=least, most=most)


def _prompt_tokens(window: Window) -> float | None:
    """Return prompt tokens per second: what was computed, and what waits, within the objective."""
    samples = window.last(_RATE_S + window.interval_s)
    computed = total_increase(samples, "prompt_tokens_total")
    span_s = samples[-1].at_s - samples[0].at_s
    if computed is None or not span_s:
        return None
    return computed / span_s + waiting_tokens(window) / _WAIT_S


def token_backlog(
    *, seconds: float = 1.5, velocity: float, most: int, least: int = 1, shipped: bool = True
) -> KedaScaled:
    """
    Return llm-d's token-aware autoscaling: the greater of two triggers.

    Source: llm-d/llm-d, ``guides/workload-autoscaling/keda-epp-token-aware``: seconds of prefill
    backlog (waiting prompt tokens over the measured velocity) to 1.5 a replica, and KV usage to
    0.8, polled every 15 s. ``shipped`` is its own behaviour, one pod up per 3 minutes and one down
    per 5; without it the HPA's default, which answers bursts. Lengths of waiting prompts are taken
    as the mean, where llm-d's router counts them.
    """

    def read(window: Window) -> float | None:
        used = _kv_usage(window)
        if used is None:
            return None
        return max(waiting_tokens(window) / velocity / seconds, used / 0.8)

    name = f"llm-d-tokens{'' if shipped else '-fast'} {seconds:g} s"
    return _on(
        name,
        read,
        1.0,
        least=least,
        most=most,
        polling_interval_s=15.0,
        behavior=_LLM_D if shipped else None,
    )


def waiting_tokens(window: Window) -> float:
    """Return the prompt tokens of requests that wait, each of the mean length of late."""
    each = mean_prompt_tokens(window.last(_RATE_S + window.interval_s))
    return window.now.backlog * (each or 0.0)


def _on(
    name: str,
    read: Callable[[Window], float | None],
    target: float,
    *,
    least: int,
    most: int,
    polling_interval_s: float = 30.0,
    behavior: Behavior | None = None,
) -> KedaScaled:
    trigger = Trigger(name=name, read=read, target=target, lookback_s=2 * _RATE_S)
    config = ScaledObjectConfig(
        min_replica_count=least,
        max_replica_count=most,
        polling_interval_s=polling_interval_s,
        behavior=behavior,
    )
    return KedaScaled(name, trigger, config)
