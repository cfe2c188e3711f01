"""Claims about signals: what each reads as load rises, and what a growing batch is good for."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

from benchmarks.claim_traffic import (
    CHAT,
    CODE,
    SHORT,
    Kind,
    Watched,
    in_slo,
    mean,
    ms,
    rate_of,
    safe_rps,
    secs,
    setup_of,
)
from scaler.simulation.baselines.catalog import named, terms_of
from scaler.simulation.presets import ENGINE_8B_H100
from scaler.simulation.simulate import simulate
from scaler.simulation.traffic import sampled


def signals() -> Iterator[Sequence[object]]:
    """One replica from idle to past its limit: what each signal reads."""
    yield ("traffic", "rate / safe rate", "work", "in flight", "waiting", "KV use", "GPU busy")
    for name, kind in (("chat", CHAT), ("code", CODE)):
        for share in (0.25, 0.5, 0.75, 0.9, 1.0, 1.1):
            rate = share * safe_rps(kind)
            watched = Watched(replicas=1)
            arrivals = list(sampled([rate_of(kind, rate, 0, 1200)], 1))
            run = simulate(setup_of(1200, gpus=1), arrivals, watched)
            cost = ENGINE_8B_H100.step_cost
            work_s = sum(a.prompt_tokens * cost.c_s + a.output_tokens * cost.b_s for a in arrivals)
            moments = [one for one in run.moments if one.at_s >= 0]
            replicas = [r for window in watched.seen for r in window.latest.replicas]
            yield (
                name,
                f"{share:.2f}",
                f"{work_s / 1200:.2f}",
                f"{mean(one.in_flight for one in moments):.0f}",
                f"{mean(one.waiting for one in moments):.1f}",
                f"{100 * mean(r.kv_cache_usage or 0 for r in replicas):.0f} %",
                f"{100 * mean(r.gpu_utilization or 0 for r in replicas):.0f} %",
            )


def requests_per_second() -> Iterator[Sequence[object]]:
    """The HPA on requests per second, tuned by a load test, when the requests become others."""
    yield ("traffic", "policy", "in SLO", "TTFT p99", "GPU-hours")
    chat, short = 3 * safe_rps(CHAT), safe_rps(SHORT)
    cases = {
        "chat throughout": [rate_of(CHAT, chat, 0, 2700)],
        "chat, then twice as long": [
            rate_of(CHAT, chat, 0, 900),
            rate_of(longer(CHAT, 2.0), chat, 900, 2700),
        ],
        "chat, then half as long": [
            rate_of(CHAT, chat, 0, 900),
            rate_of(longer(CHAT, 0.5), chat, 900, 2700),
        ],
        "short (64 tokens in, 1 out)": [
            rate_of(SHORT, (0.6 + 0.1 * step) * short, 150 * step, 150 * (step + 1))
            for step in range(8)
        ],
    }
    for traffic, rates in cases.items():
        length_s, first = rates[-1].end_s, 1 if traffic.startswith("short") else 5
        setup = setup_of(length_s, replicas=first)
        arrivals = list(sampled(rates, 1))
        tested = terms_of(setup, [one for one in arrivals if one.at_s < rates[0].end_s])
        for policy in ("hpa-rps", "kvtide"):
            run = simulate(setup, arrivals, named(policy, tested))
            yield (traffic, policy, *in_slo(run), f"{run.score.gpu_hours:.2f}")


def longer(kind: Kind, factor: float) -> Kind:
    prompt, output = (
        dataclasses.replace(one, mean_tokens=factor * one.mean_tokens) for one in kind
    )
    return prompt, output


def batch() -> Iterator[Sequence[object]]:
    """One replica offered its safe rate, with room for more and more requests in a batch."""
    yield ("KV blocks", "max_num_seqs", "tokens/s", "ITL p50", "ITL p99", "TTFT p50", "preempted")
    arrivals = list(sampled([rate_of(CHAT, safe_rps(CHAT), 0, 900)], 1))
    for blocks, most in itertools.product((25_625, 6_000), (8, 32, 64, 128, 256, 512)):
        engine = dataclasses.replace(ENGINE_8B_H100, num_blocks=blocks, max_num_seqs=most)
        watched = Watched(replicas=1)
        run = simulate(setup_of(900, gpus=1, engine=engine), arrivals, watched)
        first, last = (w.latest for w in (watched.seen[0], watched.seen[-1]))
        done = _generated(last.replicas) - _generated(first.replicas)
        score = run.score
        yield (
            f"{blocks:,}",
            most,
            f"{done / (last.at_s - first.at_s):.0f}",
            ms(score.itl_s.p50),
            ms(score.itl_s.p99),
            secs(score.ttft_s.p50),
            score.preempted_requests,
        )


def _generated(replicas: Sequence[object]) -> float:
    return sum(getattr(one, "generation_tokens_total", None) or 0.0 for one in replicas)
