"""
What most people run: the HPA or KEDA on one Prometheus query, with a threshold.

Each is a trigger of :mod:`scaler.simulation.keda`; the HPA's own behaviour is Kubernetes' default
(no ``behavior``: five minutes of stabilisation on the way down, at most doubling on the way up).
Queries of counters are rates over one minute.
"""

from collections.abc import Callable

from scaler.decision import demand
from scaler.decision.rates import total_increase
from scaler.decision.window import Window
from scaler.simulation.keda import KedaScaled, Trigger
from scaler.simulation.scaled_object import ScaledObjectConfig

_RATE_S = 60.0


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
    return demand.waiting(window.latest) if window.latest.replicas else None


def kv_usage(*, target: float = 0.8, most: int, least: int = 1) -> KedaScaled:
    """
    Return KEDA's Prometheus scaler on ``sum(vllm:kv_cache_usage_perc)``.

    Source: guides for vLLM on KEDA that scale on cache usage from 70 or 80 %.
    """
    return _on(f"keda-kv {100 * target:g}%", _kv_usage, target, least=least, most=most)


def _kv_usage(window: Window) -> float | None:
    used = [r.kv_cache_usage for r in window.latest.replicas if r.kv_cache_usage is not None]
    return sum(used) if used else None


def _on(
    name: str,
    read: Callable[[Window], float | None],
    target: float,
    *,
    least: int,
    most: int,
) -> KedaScaled:
    trigger = Trigger(name=name, read=read, target=target, lookback_s=2 * _RATE_S)
    config = ScaledObjectConfig(min_replica_count=least, max_replica_count=most)
    return KedaScaled(name, trigger, config)
