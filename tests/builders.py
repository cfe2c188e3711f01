"""Values that are valid by default: a test names only what it is about."""

from collections.abc import Sequence
from typing import Any

from scaler.capacity.architecture import AttentionCache, Cache, ModelArchitecture
from scaler.decision.decision import Decision, Reason, Signal, Step
from scaler.decision.policy import InferencePolicy, LendingPolicy, SignalName
from scaler.decision.pool import Member, PoolWindow
from scaler.decision.sample import Replica, Sample
from scaler.decision.window import Window

INTERVAL_S = 5.0


def replica(
    name: str = "llm-0",
    *,
    running: float | None = 0.0,
    waiting: float | None = 0.0,
    **more: Any,
) -> Replica:
    return Replica(name=name, requests_running=running, requests_waiting=waiting, **more)


def sample(
    at_s: float = 0.0,
    *,
    running: float = 0.0,
    waiting: float = 0.0,
    replicas: int = 1,
    **more: Any,
) -> Sample:
    """Return a sample whose running and waiting requests are spread evenly over its replicas."""
    spread = tuple(
        replica(f"llm-{number}", running=running / replicas, waiting=waiting / replicas)
        for number in range(replicas)
    )
    return Sample(at_s=at_s, **{"replicas": spread, "ready_replicas": replicas, **more})


def sample_of(*replicas: Replica, at_s: float = 0.0, **more: Any) -> Sample:
    """Return a sample of replicas that differ, all of them ready."""
    return Sample(at_s=at_s, replicas=replicas, **{"ready_replicas": len(replicas), **more})


def window(*samples: Sample, interval_s: float = INTERVAL_S, **more: Any) -> Window:
    return Window(samples=samples or (sample(),), interval_s=interval_s, **more)


def steady(
    seconds: float, *, running: float, replicas: int = 1, end_s: float = 10_000.0, **more: Any
) -> Window:
    """Return a window of constant traffic that ends at ``end_s``."""
    count = int(seconds / INTERVAL_S)
    return window(
        *(
            sample(end_s - (count - 1 - k) * INTERVAL_S, running=running, replicas=replicas, **more)
            for k in range(count)
        )
    )


def demand(values: Sequence[float], *, replicas: int = 1, start_s: float = 10_000.0) -> Window:
    """Return a window of running requests, one value per bucket."""
    return window(
        *(
            sample(start_s + k * INTERVAL_S, running=value, replicas=replicas)
            for k, value in enumerate(values)
        )
    )


def inference(**more: Any) -> InferencePolicy:
    """
    Return a policy on concurrency alone with a stated maximum of ten requests a replica.

    Its target and panic window are Knative's, whatever the defaults are: seven requests a replica,
    a tenth of the stable window. It holds at once, where the default lets an answer stand for a
    while: what stands has tests of its own.
    """
    stated: dict[str, Any] = {
        "metrics": (SignalName.CONCURRENCY,),
        "max_concurrency": 10,
        "target_utilization": 0.7,
        "panic_window_percentage": 10.0,
        "hold_for_s": 0.0,
    }
    return InferencePolicy(**stated | more)


def lending(**more: Any) -> LendingPolicy:
    return LendingPolicy(**{"pool_units": 8, **more})


def decision(**more: Any) -> Decision:
    """Return a decision in panic that its maximum cuts from six to five."""
    defaults: dict[str, Any] = {
        "at_s": 10_000.0,
        "steps": (
            Step(6, Reason.DEMAND, "4.20 replicas of load over 0.7"),
            Step(5, Reason.TOO_MANY_REPLICAS, "the maximum is 5"),
        ),
        "signals": (
            Signal(name="work", load=None, target=0.7, detail="the fit has no spread yet"),
            Signal(
                name="concurrency", load=4.2, target=0.7, detail="42 requests over 10 per replica"
            ),
        ),
        "load": 4.2,
        "ready_replicas": 3,
        "spec_replicas": 3,
        "safe_concurrency": 10,
        "binding_limit": "kv",
        "panic": True,
        "notes": ("work rests until its fit has spread.",),
    }
    return Decision(**(defaults | more))


def member(
    loads: Sequence[float | None],
    *,
    name: str = "prod/llm",
    end_s: float = 10_000.0,
    replicas: int = 1,
    units: int = 1,
    **more: Any,
) -> Member:
    """Return an online workload with a load (in full replicas) per bucket; None: a silent one."""
    policy = inference(units_per_replica=units, scale_down_delay_s=0.0, hpa_tolerance=0.0)
    samples = tuple(
        Sample(at_s=end_s - (len(loads) - 1 - k) * INTERVAL_S, ready_replicas=replicas)
        if load is None
        else sample(
            end_s - (len(loads) - 1 - k) * INTERVAL_S,
            running=10 * load,
            replicas=replicas,
            spec_replicas=replicas,
            **more,
        )
        for k, load in enumerate(loads)
    )
    return Member(name=name, policy=policy, window=window(*samples))


def pool(*members: Member, at_s: float = 10_000.0, **more: Any) -> PoolWindow:
    return PoolWindow(at_s=at_s, members=members, **more)


def attention(kv_heads: int = 8, head_dim: int = 128, **more: Any) -> AttentionCache:
    """Return the cache of a full attention layer, Llama-3-8B's unless told."""
    return AttentionCache(
        **{"kv_heads": kv_heads, "head_dim": head_dim, "value_dim": head_dim, **more}
    )


def architecture(*layers: Cache | tuple[Cache, ...], **more: Any) -> ModelArchitecture:
    """Return a model of these layers; Llama-3-8B's 32 when none is named."""
    owned = layers or (attention(),) * 32
    return ModelArchitecture(
        **{
            "name": "model",
            "source": "test",
            "layers": tuple(layer if isinstance(layer, tuple) else (layer,) for layer in owned),
            "attention_heads": 32,
            "max_position_embeddings": 131_072,
            **more,
        }
    )
