"""Claims about pace: who goes out how soon when load multiplies in an instant."""

from collections.abc import Iterator, Sequence

from benchmarks.claim_traffic import (
    CHAT,
    WARM_S,
    in_slo,
    mean,
    rate_of,
    safe_rps,
    setup_of,
)
from scaler.decision.window import Window
from scaler.simulation.baselines.catalog import named, terms_of
from scaler.simulation.baselines.fixed import FixedFleet
from scaler.simulation.keda import KedaScaled, Trigger
from scaler.simulation.scaled_object import ScaledObjectConfig
from scaler.simulation.simulate import Run, simulate
from scaler.simulation.traffic import sampled

_SURGE_S = 900.0


def panic() -> Iterator[Sequence[object]]:
    """Load rises from 2 to 8 replicas' worth in an instant, and falls again after ten minutes."""
    yield (
        *("policy", "before", "first raise", "8 asked for", "8 serving", "below 4 again"),
        *("in SLO", "TTFT p99", "GPU-hours"),
    )
    safe = 0.8 * safe_rps(CHAT)
    rates = [
        rate_of(CHAT, 2 * safe, 0, _SURGE_S),
        rate_of(CHAT, 8 * safe, _SURGE_S, _SURGE_S + 600),
        rate_of(CHAT, 2 * safe, _SURGE_S + 600, 2700),
    ]
    arrivals = list(sampled(rates, 1))
    setup = setup_of(2700, replicas=3)
    terms = terms_of(setup, arrivals)
    held = _safe_concurrency()
    for autoscaler in (
        *(named(name, terms) for name in ("kvtide", f"knative={held:.0f}")),
        _hpa_on_concurrency(0.7 * held, most=terms.most),
        *(named(name, terms) for name in ("hpa-rps", "hpa-gpu", "keda-queue")),
    ):
        run = simulate(setup, arrivals, autoscaler)
        yield (run.name, *_pace(run), *in_slo(run), f"{run.score.gpu_hours:.2f}")


def _hpa_on_concurrency(target: float, *, most: int) -> KedaScaled:
    """Return the HPA as Kubernetes has it, on the very signal that Knative has."""

    def read(window: Window) -> float | None:
        replicas = window.latest.replicas
        open_ = [(one.requests_running or 0) + (one.requests_waiting or 0) for one in replicas]
        return sum(open_) if open_ else None

    trigger = Trigger(name="in-flight", read=read, target=target, lookback_s=65.0)
    config = ScaledObjectConfig(min_replica_count=1, max_replica_count=most)
    return KedaScaled(f"HPA on concurrency {target:.0f}", trigger, config)


def _safe_concurrency() -> float:
    """Return the requests in flight that one replica has at nine tenths of its safe rate."""
    run = simulate(
        setup_of(1800, gpus=1),
        list(sampled([rate_of(CHAT, 0.9 * safe_rps(CHAT), 0, 1800)], 1)),
        FixedFleet(replicas=1),
    )
    return mean(one.in_flight for one in run.moments if one.at_s >= 0)


def _pace(run: Run) -> tuple[str, ...]:
    """Return the seconds from the surge, and from its end, until a count was reached."""
    begin_s, end_s = _SURGE_S - WARM_S, _SURGE_S - WARM_S + 600
    before = [one.spec_replicas for one in run.moments if one.at_s < begin_s][-1]
    surge = [one for one in run.moments if one.at_s >= begin_s]
    after = [one for one in run.moments if one.at_s >= end_s]
    reached = (
        next((one.at_s - begin_s for one in surge if one.spec_replicas > before), None),
        next((one.at_s - begin_s for one in surge if one.spec_replicas >= 8), None),
        next((one.at_s - begin_s for one in surge if one.ready_replicas >= 8), None),
        next((one.at_s - end_s for one in after if one.spec_replicas < 4), None),
    )
    return (str(before), *("never" if one is None else f"{one:.0f} s" for one in reached))
