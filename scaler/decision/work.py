"""
Work: the utilisation law of continuous batching.

Concurrency is convex in load and GPU utilisation saturates; what is linear in the arrival rate is
work. With a step of ``a + b·N + c·p`` seconds (:mod:`.steps`), requests arriving at rate λ with
mean prompt P and output O keep a replica busy, at the margin, for the share

    ``rho = λ·w``, ``w = P·c + O·b``,   while   ``N = λ·(O·a + w) / (1 − rho)``   requests run.

Alone, a request takes ``O·a + w`` seconds. While it runs, the engine spends the share rho of its
time on the others' tokens; so it runs for ``(O·a + w) / (1 − rho)``, an O-th of that a token, and N
follows by Little's law.
"""

import dataclasses

import numpy as np

from scaler.capacity.concurrency.result import SafeConcurrency
from scaler.said import Said

from . import demand
from .facts.columns import Array, Columns, Instants
from .policy import InferencePolicy, StepCost
from .steps import Busy, Mix, fit
from .throughput import queued_completions_per_s

LARGEST_RHO = 0.95
"""Nearer to one the law leaves no room for its own error."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the window says about work."""

    request_s: float
    """One request's work, seconds of one replica."""
    service_s: float
    """How long a request runs on a replica at its safe rho, seconds."""
    safe_rho: float
    """The utilisation one replica may run at, 0 to 0.95."""
    why: str
    """What sets the safe rho, or what the work was measured on."""


def learn(earlier: Columns, policy: InferencePolicy, safe: SafeConcurrency | None) -> Work | None:
    """
    Return the law's terms as a window before its newest sample shows them; None: not yet.

    Where the costs of a step cannot be told apart (an engine that is full all the time looks alike
    in every bucket), what a replica completes while it has a queue is what it can do.
    """
    mix = mean_request(earlier)
    if mix is None:
        return None
    cost = policy.step_cost or fit(Busy.of(earlier), mix)
    if cost is None:
        return _at_the_limit(earlier)
    safe_rho, why = _safe_rho(cost, mix, policy, safe)
    return Work(
        request_s=mix.work_s(cost),
        service_s=mix.alone_s(cost) / (1 - safe_rho),
        safe_rho=safe_rho,
        why=why,
    )


def _at_the_limit(past: Columns) -> Work | None:
    rate = queued_completions_per_s(past)
    if rate is None:
        return None
    return Work(
        request_s=1 / rate,
        service_s=demand.service_time_s(past) or 1 / rate,
        safe_rho=LARGEST_RHO,
        why=Said("a replica with a queue completes {rate:.2g} a second", rate=rate),
    )


def mean_request(past: Columns) -> Mix | None:
    """Return the mean request that finished in a past; None: none did."""
    now = past.instants
    finished, prompt, output = map(demand.known_sum, (now.finished, now.prompt, now.generated))
    if not finished or prompt is None or output is None:
        return None
    return Mix(prompt_tokens=prompt / finished, output_tokens=output / finished)


def _safe_rho(
    cost: StepCost, mix: Mix, policy: InferencePolicy, safe: SafeConcurrency | None
) -> tuple[float, str]:
    """Return the least of: rho at the ITL target, rho at the safe concurrency, 0.95."""
    limits = [(LARGEST_RHO, Said("{rho:g} at most", rho=LARGEST_RHO))]
    alone_s = mix.alone_s(cost)
    if policy.itl_target is not None and mix.output_tokens:
        target_s = policy.itl_target.seconds
        rho = 1 - alone_s / mix.output_tokens / target_s
        told = Said("inter-token latency {target_ms:g} ms", target_ms=1000 * target_s)
        limits.append((max(0.01, rho), told))
    if safe is not None:
        work_s = safe.requests * mix.work_s(cost)
        rho = work_s / (alone_s + work_s)
        limits.append((rho, Said("{requests} requests at once", requests=safe.requests)))
    return min(limits)


def loads(past: Columns, work: Work, policy: InferencePolicy, *, over_s: float = 0.0) -> Array:
    """
    Return the load at each bucket: offered and queued work over what one replica may do.

    Arrivals are counted over ``over_s`` seconds, a bucket at least.

    The first is NaN, as is every one whose arrivals are not known. A backlog asks for what drains
    it within ``backlog_drain_s`` (at 0, within one service time).
    """
    now = past.instants
    drain_s = policy.backlog_drain_s or work.service_s
    came_per_s = _per_s(now, over_s) if over_s else now.came / now.seconds
    offered = came_per_s + now.sure_backlog / drain_s
    return offered * work.request_s / work.safe_rho


def _per_s(now: Instants, span_s: float) -> Array:
    """
    Return arrivals per second over a span that ends with each bucket, its own at least.

    Each is summed by itself, and not as the difference of two running sums: where a past begins
    changes no bit of it. NaN where the bucket's own are not known.
    """
    known = ~np.isnan(now.came) & ~np.isnan(now.seconds)
    ends = np.arange(len(known)) + 1
    begins = np.minimum(np.searchsorted(now.at_s, now.at_s - span_s, side="right"), ends - 1)
    spans = np.stack((begins, ends), axis=1).ravel()

    def summed(each: Array) -> Array:
        told = np.append(np.where(known, each, 0.0), 0.0)
        total: Array = np.add.reduceat(told, spans)[::2]
        return total

    seconds = summed(now.seconds)
    return np.where(known, summed(now.came) / np.where(known, seconds, 1.0), np.nan)
