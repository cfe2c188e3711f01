"""
What is said about elastic LLM inference, measured: the figures of docs/claims.md.

    python -m benchmarks.claims [signals|requests_per_second|panic|batch|tiers]…

Simulated time, one engine with continuous batching (an 8B model on an H100 unless stated), seeded:
the same command prints the same figures.
"""

import argparse
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

from scaler.decision.policy import StepCost
from scaler.decision.window import Window
from scaler.simulation.baselines.catalog import SAFE_RHO, named, terms_of
from scaler.simulation.baselines.fixed import FixedFleet
from scaler.simulation.engine import EngineConfig
from scaler.simulation.keda import KedaScaled, Trigger
from scaler.simulation.presets import ENGINE_8B_H100, one_fleet
from scaler.simulation.scaled_object import ScaledObjectConfig
from scaler.simulation.score import Slo
from scaler.simulation.simulate import Run, Setup, View, simulate
from scaler.simulation.traffic import Lengths, Rate, sampled

CHAT = (Lengths(mean_tokens=1155, sigma=0.9), Lengths(mean_tokens=211, sigma=0.9))
CODE = (Lengths(mean_tokens=2048, sigma=0.9), Lengths(mean_tokens=28, sigma=0.9))
SHORT = (Lengths(mean_tokens=64, sigma=0.2), Lengths(mean_tokens=1, sigma=0.0))
INTERACTIVE = Slo()
PATIENT = Slo(ttft_least_s=10.0, ttft_per_prompt_token_s=1 / 800, itl_s=0.25)
Kind = tuple[Lengths, Lengths]
_WARM_S = 300.0


class Watched(FixedFleet):
    """A fleet of fixed size whose readings are kept."""

    lookback_s = 65.0

    def __init__(self, *, replicas: int) -> None:
        super().__init__(replicas=replicas)
        self.seen: list[Window] = []

    def act(self, view: View) -> int:
        """Remember what was scraped, once scoring began."""
        window = view.window()
        if window is not None and view.now_s >= _WARM_S:
            self.seen.append(window)
        return super().act(view)


def safe_rps(kind: Kind, engine: EngineConfig = ENGINE_8B_H100) -> float:
    """Return the requests per second that keep one replica at the safe utilisation."""
    drawn = list(sampled([_rate(kind, 100.0, 0, 300)], 7))
    cost = engine.step_cost
    work_s = sum(one.prompt_tokens * cost.c_s + one.output_tokens * cost.b_s for one in drawn)
    return SAFE_RHO * len(drawn) / work_s


def _rate(kind: Kind, per_s: float, start_s: float, end_s: float) -> Rate:
    return Rate(start_s=start_s, end_s=end_s, per_s=per_s, prompt=kind[0], output=kind[1])


def _setup(
    length_s: float,
    *,
    gpus: int = 40,
    engine: EngineConfig = ENGINE_8B_H100,
    replicas: int = 1,
    slo: Slo = INTERACTIVE,
) -> Setup:
    return Setup(
        replicas=replicas,
        slo=slo,
        cluster=one_fleet(gpus=gpus, engine=engine, seed=1),
        length_s=length_s - _WARM_S,
        warm_up_s=_WARM_S,
        max_replicas=gpus,
    )


def _in_slo(run: Run) -> tuple[str, str]:
    share = run.score.slo_attainment
    return "–" if share is None else f"{100 * share:.1f} %", _s(run.score.ttft_s.p99)


def _s(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.2f} s"


def signals() -> Iterator[Sequence[object]]:
    """One replica from idle to past its limit: what each signal reads."""
    yield ("traffic", "rate / safe rate", "work", "in flight", "waiting", "KV use", "GPU busy")
    for name, kind in (("chat", CHAT), ("code", CODE)):
        for share in (0.25, 0.5, 0.75, 0.9, 1.0, 1.1):
            rate = share * safe_rps(kind)
            watched = Watched(replicas=1)
            arrivals = list(sampled([_rate(kind, rate, 0, 1200)], 1))
            run = simulate(_setup(1200, gpus=1), arrivals, watched)
            cost = ENGINE_8B_H100.step_cost
            work_s = sum(a.prompt_tokens * cost.c_s + a.output_tokens * cost.b_s for a in arrivals)
            moments = [one for one in run.moments if one.at_s >= 0]
            replicas = [r for window in watched.seen for r in window.latest.replicas]
            yield (
                name,
                f"{share:.2f}",
                f"{work_s / 1200:.2f}",
                f"{_mean(one.in_flight for one in moments):.0f}",
                f"{_mean(one.waiting for one in moments):.1f}",
                f"{100 * _mean(r.kv_cache_usage or 0 for r in replicas):.0f} %",
                f"{100 * _mean(r.gpu_utilization or 0 for r in replicas):.0f} %",
            )


def requests_per_second() -> Iterator[Sequence[object]]:
    """The HPA on requests per second, tuned by a load test, when the requests become others."""
    yield ("traffic", "policy", "in SLO", "TTFT p99", "GPU-hours")
    chat, short = 3 * safe_rps(CHAT), safe_rps(SHORT)
    cases = {
        "chat throughout": [_rate(CHAT, chat, 0, 2700)],
        "chat, then twice as long": [
            _rate(CHAT, chat, 0, 900),
            _rate(_longer(CHAT, 2.0), chat, 900, 2700),
        ],
        "chat, then half as long": [
            _rate(CHAT, chat, 0, 900),
            _rate(_longer(CHAT, 0.5), chat, 900, 2700),
        ],
        "short (64 tokens in, 1 out)": [
            _rate(SHORT, (0.6 + 0.1 * step) * short, 150 * step, 150 * (step + 1))
            for step in range(8)
        ],
    }
    for traffic, rates in cases.items():
        length_s, first = rates[-1].end_s, 1 if traffic.startswith("short") else 5
        setup = _setup(length_s, replicas=first)
        arrivals = list(sampled(rates, 1))
        tested = terms_of(setup, [one for one in arrivals if one.at_s < rates[0].end_s])
        for policy in ("hpa-rps", "kvtide"):
            run = simulate(setup, arrivals, named(policy, tested))
            yield (traffic, policy, *_in_slo(run), f"{run.score.gpu_hours:.2f}")


def _longer(kind: Kind, factor: float) -> Kind:
    prompt, output = (
        dataclasses.replace(one, mean_tokens=factor * one.mean_tokens) for one in kind
    )
    return prompt, output


_SURGE_S = 900.0


def panic() -> Iterator[Sequence[object]]:
    """Load rises from 2 to 8 replicas' worth in an instant, and falls again after ten minutes."""
    yield (
        *("policy", "before", "first raise", "8 asked for", "8 serving", "below 4 again"),
        *("in SLO", "TTFT p99", "GPU-hours"),
    )
    safe = 0.8 * safe_rps(CHAT)
    rates = [
        _rate(CHAT, 2 * safe, 0, _SURGE_S),
        _rate(CHAT, 8 * safe, _SURGE_S, _SURGE_S + 600),
        _rate(CHAT, 2 * safe, _SURGE_S + 600, 2700),
    ]
    arrivals = list(sampled(rates, 1))
    setup = _setup(2700, replicas=3)
    terms = terms_of(setup, arrivals)
    held = _safe_concurrency()
    for autoscaler in (
        *(named(name, terms) for name in ("kvtide", f"knative={held:.0f}")),
        _hpa_on_concurrency(0.7 * held, most=terms.most),
        *(named(name, terms) for name in ("hpa-rps", "hpa-gpu", "keda-queue")),
    ):
        run = simulate(setup, arrivals, autoscaler)
        yield (run.name, *_pace(run), *_in_slo(run), f"{run.score.gpu_hours:.2f}")


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
        _setup(1800, gpus=1),
        list(sampled([_rate(CHAT, 0.9 * safe_rps(CHAT), 0, 1800)], 1)),
        FixedFleet(replicas=1),
    )
    return _mean(one.in_flight for one in run.moments if one.at_s >= 0)


def _pace(run: Run) -> tuple[str, ...]:
    """Return the seconds from the surge, and from its end, until a count was reached."""
    begin_s, end_s = _SURGE_S - _WARM_S, _SURGE_S - _WARM_S + 600
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


def batch() -> Iterator[Sequence[object]]:
    """One replica offered its safe rate, with room for more and more requests in a batch."""
    yield ("KV blocks", "max_num_seqs", "tokens/s", "ITL p50", "ITL p99", "TTFT p50", "preempted")
    arrivals = list(sampled([_rate(CHAT, safe_rps(CHAT), 0, 900)], 1))
    for blocks, most in itertools.product((25_625, 6_000), (8, 32, 64, 128, 256, 512)):
        engine = dataclasses.replace(ENGINE_8B_H100, num_blocks=blocks, max_num_seqs=most)
        watched = Watched(replicas=1)
        run = simulate(_setup(900, gpus=1, engine=engine), arrivals, watched)
        first, last = (w.latest for w in (watched.seen[0], watched.seen[-1]))
        done = _generated(last.replicas) - _generated(first.replicas)
        score = run.score
        yield (
            f"{blocks:,}",
            most,
            f"{done / (last.at_s - first.at_s):.0f}",
            _ms(score.itl_s.p50),
            _ms(score.itl_s.p99),
            _s(score.ttft_s.p50),
            score.preempted_requests,
        )


def _generated(replicas: Sequence[object]) -> float:
    return sum(getattr(one, "generation_tokens_total", None) or 0.0 for one in replicas)


_GIB = 2**30


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU by its data sheet."""

    memory_gib: float
    bytes_per_s: float
    flops: float


GPUS = {
    "A10": Gpu(memory_gib=24, bytes_per_s=600e9, flops=125e12),
    "T4": Gpu(memory_gib=16, bytes_per_s=320e9, flops=65e12),
}
"""NVIDIA's data sheets: memory, bandwidth, dense FP16 throughput. Half of each is reached."""
_PARAMETERS, _KV_BYTES = 7.6e9, 2 * 28 * 4 * 128 * 2
"""Qwen2.5-7B: 28 layers, 4 KV heads of 128, fp16."""


def tiers() -> Iterator[Sequence[object]]:
    """A 7B model on an A10 and on a T4: what fits, what each serves, and at which price."""
    yield (
        *("GPU", "weights", "cache", "objective", "highest rate with 99 % in it"),
        *("ITL p50", "TTFT p99", "in SLO"),
    )
    for (name, gpu), bits in itertools.product(GPUS.items(), (16, 8, 4)):
        weights = _PARAMETERS * bits / 8
        cache = 0.9 * gpu.memory_gib * _GIB - weights - 1.0 * _GIB
        if cache < 16_384 * _KV_BYTES:
            yield (name, f"{bits} bit", "none left", *("–",) * 5)
            continue
        engine = EngineConfig(
            step_cost=StepCost(
                a_s=weights / (0.5 * gpu.bytes_per_s),
                b_s=1000 * _KV_BYTES / (0.5 * gpu.bytes_per_s),
                c_s=2 * _PARAMETERS / (0.5 * gpu.flops),
            ),
            num_blocks=int(cache / (16 * _KV_BYTES)),
            max_model_len=8192,
        )
        for objective, slo in (("interactive", INTERACTIVE), ("patient", PATIENT)):
            yield (
                *(name, f"{bits} bit", f"{cache / _GIB:.1f} GiB", objective),
                *_safest(engine, slo),
            )


def _safest(engine: EngineConfig, slo: Slo) -> tuple[str, ...]:
    """Return the highest rate, in twentieths of all that work allows, with 99 % in ``slo``."""
    setup = _setup(1200, gpus=1, engine=engine, slo=slo)
    for twentieths in range(19, 0, -1):
        rate = twentieths / 20 * safe_rps(CHAT, engine) / SAFE_RHO
        run = simulate(
            setup, list(sampled([_rate(CHAT, rate, 0, 1200)], 1)), FixedFleet(replicas=1)
        )
        if (run.score.slo_attainment or 0) >= 0.99:
            share, p99 = _in_slo(run)
            return f"{rate:.2f}/s", _ms(run.score.itl_s.p50), p99, share
    return "none", "–", "–", "–"


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:.0f} ms"


def _mean(values: Iterator[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0


CLAIMS: dict[str, Callable[[], Iterator[Sequence[object]]]] = {
    "signals": signals,
    "requests_per_second": requests_per_second,
    "panic": panic,
    "batch": batch,
    "tiers": tiers,
}


def main() -> None:
    """Print the named claims' figures as tables, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help=", ".join(CLAIMS))
    for name in parser.parse_args().claims or CLAIMS:
        if name not in CLAIMS:
            parser.error(f"{name}: one of {', '.join(CLAIMS)}")
        doc = CLAIMS[name].__doc__ or ""
        print(f"\n{name}: {doc.splitlines()[0]}\n")
        for number, row in enumerate(CLAIMS[name]()):
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
            if number == 0:
                print("|" + "---|" * len(row))


if __name__ == "__main__":
    main()
