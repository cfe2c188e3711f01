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
from collections.abc import Sequence

from scaler.capacity.concurrency.result import SafeConcurrency

from . import demand
from .policy import InferencePolicy, StepCost
from .rates import arrived, in_both, increase
from .remembered import over_pairs, per_pair
from .sample import Sample
from .steps import Mix, busy_buckets, fit
from .throughput import queued_completions_per_s
from .window import Window

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


def learn(window: Window, policy: InferencePolicy, safe: SafeConcurrency | None) -> Work | None:
    """
    Return the law's terms as the window before its newest sample shows them; None: not yet.

    Where the costs of a step cannot be told apart (an engine that is full all the time looks alike
    in every bucket), what a replica completes while it has a queue is what it can do.
    """
    earlier = window.samples[:-1]
    mix = mean_request(earlier)
    if mix is None:
        return None
    cost = policy.step_cost or fit(busy_buckets(earlier), mix)
    if cost is None:
        return _at_the_limit(earlier)
    safe_rho, why = _safe_rho(cost, mix, policy, safe)
    return Work(
        request_s=mix.work_s(cost),
        service_s=mix.alone_s(cost) / (1 - safe_rho),
        safe_rho=safe_rho,
        why=why,
    )


def _at_the_limit(samples: Sequence[Sample]) -> Work | None:
    rate = queued_completions_per_s(samples)
    if rate is None:
        return None
    return Work(
        request_s=1 / rate,
        service_s=demand.service_time_s(samples) or 1 / rate,
        safe_rho=LARGEST_RHO,
        why=f"a replica with a queue completes {rate:.2g} a second",
    )


def mean_request(samples: Sequence[Sample]) -> Mix | None:
    """Return the mean request that finished in these samples; None: none did."""
    columns = zip(*over_pairs(_done, samples), strict=True)
    rises = [[rise for rise in column if rise is not None] for column in columns]
    if not rises or not all(rises):
        return None
    finished, prompt, output = map(sum, rises)
    if not finished:
        return None
    return Mix(prompt_tokens=prompt / finished, output_tokens=output / finished)


@per_pair
def _done(before: Sample, after: Sample) -> tuple[float | None, float | None, float | None]:
    """Return requests finished, and prompt and generated tokens, between two samples."""
    return (
        increase(before, after, "requests_finished_total"),
        increase(before, after, "prompt_tokens_total"),
        increase(before, after, "generation_tokens_total"),
    )


def _safe_rho(
    cost: StepCost, mix: Mix, policy: InferencePolicy, safe: SafeConcurrency | None
) -> tuple[float, str]:
    """Return the least of: rho at the ITL target, rho at the safe concurrency, 0.95."""
    limits = [(LARGEST_RHO, f"{LARGEST_RHO:g} at most")]
    alone_s = mix.alone_s(cost)
    if policy.itl_target_s is not None and mix.output_tokens:
        rho = 1 - alone_s / mix.output_tokens / policy.itl_target_s
        limits.append((max(0.01, rho), f"inter-token latency {1000 * policy.itl_target_s:g} ms"))
    if safe is not None:
        work_s = safe.requests * mix.work_s(cost)
        rho = work_s / (alone_s + work_s)
        limits.append((rho, f"{safe.requests} requests at once"))
    return min(limits)


def loads(
    samples: Sequence[Sample], work: Work, policy: InferencePolicy
) -> tuple[float | None, ...]:
    """
    Return the load at each sample: offered and queued work over what one replica may do.

    The first is None, as is every one whose arrivals are not known. A backlog asks for what drains
    it within ``backlog_drain_s`` (at 0, within one service time).
    """
    drain_s = policy.backlog_drain_s or work.service_s
    request_s, safe_rho = work.request_s, work.safe_rho
    return (
        None,
        *[
            None if offered is None else (offered[0] + offered[1] / drain_s) * request_s / safe_rho
            for offered in over_pairs(_offered, samples)
        ],
    )


@per_pair
def _offered(before: Sample, after: Sample) -> tuple[float, float] | None:
    """Return arrivals per second between two samples, and the backlog then; None: not known."""
    came = 0.0 if after.is_known_zero else arrivals(before, after)
    if came is None or not demand.speaks(after):
        return None
    return max(0.0, came) / (after.at_s - before.at_s), _backlog(after)


def arrivals(before: Sample, after: Sample) -> float | None:
    """
    Return how many requests came in between two samples.

    What the gateway counted where there is a query for it; else completions plus what the requests
    in the system rose by, over the replicas that are in both samples: a surge shows before its
    first completion.
    """
    if (counted := arrived((before, after))) is not None:
        return counted
    finished = increase(before, after, "requests_finished_total")
    if finished is None:
        return None
    both = {later.name for _, later in in_both(before, after)}
    held = (demand.surely_held(before), demand.surely_held(after))
    rose = 0.0 if held[0] is None or held[1] is None else held[1] - held[0]
    for sample, sign in ((before, -1), (after, 1)):
        for replica in demand.reporting(sample):
            if replica.name in both:
                rose += sign * ((replica.requests_running or 0) + (replica.requests_waiting or 0))
    return finished + rose


def _backlog(sample: Sample) -> float:
    """Return what surely waits: what runs in silent replicas is no backlog for this law."""
    return demand.waiting(sample) + (demand.surely_held(sample) or 0.0)
