"""
Requests as they arrive: seeded generators, and rates from which requests are sampled.

A generator yields one :class:`Arrival` at a time, in order of time, so that a trace of any length
takes constant memory. The same seed gives the same requests.
"""

import dataclasses
import functools
import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Arrival(NamedTuple):
    """One request that arrives: seconds from the start, and its lengths in tokens."""

    at_s: float
    prompt_tokens: int
    output_tokens: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """
    Log-normal token lengths, the shape that published traces have to a first approximation.

    ``sigma`` is the spread of the logarithm: 1.0 puts the 95th percentile at about 3 times the
    mean, as in the public Azure conversation trace.
    """

    mean_tokens: float
    sigma: float = 1.0
    most_tokens: int = 8192

    def drawing(self, rng: random.Random) -> Callable[[], int]:
        """Return what draws one length after another, at least one token each."""
        gauss, exp = rng.gauss, math.exp
        sigma, most = self.sigma, self.most_tokens
        median = self.mean_tokens * exp(-(sigma**2) / 2)

        def draw() -> int:
            length = round(median * exp(gauss(0.0, sigma)))
            return 1 if length < 1 else min(length, most)

        return draw


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A constant rate of requests over one span of time, with the lengths of its requests."""

    start_s: float
    end_s: float
    per_s: float
    prompt: Lengths
    output: Lengths
    cv: float = 1.0
    """Coefficient of variation of the gaps between arrivals; 1.0 is Poisson, more is bursty."""


def sampled(rates: Iterable[Rate], seed: int) -> Iterator[Arrival]:
    """Sample requests from rates in order of time: gamma-distributed gaps with the stated CV."""
    rng = random.Random(seed)
    # What is left, in mean gaps, until the next arrival; carried over from span to span.
    left: float | None = None
    for rate in rates:
        if not rate.per_s > 0:
            continue
        gap = _gaps(rng, rate.cv)
        per_s, end_s = rate.per_s, rate.end_s
        prompt, output = rate.prompt.drawing(rng), rate.output.drawing(rng)
        at_s = rate.start_s
        if left is None:
            left = gap()
        while (next_s := at_s + left / per_s) < end_s:
            at_s = next_s
            yield Arrival(at_s, prompt(), output())
            left = gap()
        left -= (end_s - at_s) * per_s


class Count(NamedTuple):
    """How many requests came in a span of time (not whole where a rate was counted)."""

    start_s: float
    end_s: float
    requests: float
    prompt: Lengths
    output: Lengths


def counted(counts: Iterable[Count], seed: int) -> Iterator[Arrival]:
    """
    Return as many requests as were counted, at random instants of the span they were counted in.

    What is left of one is carried over to the next span.
    """
    rng = random.Random(seed)
    left = 0.0
    for one in counts:
        left += one.requests
        prompt, output = one.prompt.drawing(rng), one.output.drawing(rng)
        times = sorted(rng.uniform(one.start_s, one.end_s) for _ in range(int(left)))
        left -= len(times)
        yield from (Arrival(at_s, prompt(), output()) for at_s in times)


def _gaps(rng: random.Random, cv: float) -> Callable[[], float]:
    """Return what draws gaps of mean one."""
    if cv == 1:
        return functools.partial(rng.expovariate, 1.0)
    shape = 1 / cv**2
    return functools.partial(rng.gammavariate, shape, 1 / shape)


DAY_SHAPE = (
    *(0.12, 0.09, 0.07, 0.06, 0.06, 0.07, 0.10, 0.16, 0.25, 0.36, 0.48, 0.60),
    *(0.70, 0.78, 0.82, 0.80, 0.74, 0.66, 0.56, 0.46, 0.36, 0.27, 0.20, 0.15),
)
"""Load by hour, as a share of the highest: the night, the ramp and the long afternoon that public
LLM traces of working days show. Made up in that shape; not read off any of them."""


def day(
    *,
    length_s: float,
    peak_per_s: float,
    prompt: Lengths,
    output: Lengths,
    burst_at: float = 0.60,
    burst_factor: float = 1.9,
) -> Iterator[Rate]:
    """
    Yield a demand curve *shaped* like a day in ``length_s`` seconds: night, ramp, day, one burst.

    It starts at midnight. ``burst_at`` is where the burst begins, as a share of the day; it lasts
    one fiftieth of the day at ``burst_factor`` times the load of that hour.
    """
    spans = len(DAY_SHAPE) * 10
    for number in range(spans):
        place = number / spans
        hour, part = divmod(place * len(DAY_SHAPE), 1)
        here = DAY_SHAPE[int(hour)]
        there = DAY_SHAPE[(int(hour) + 1) % len(DAY_SHAPE)]
        share = here + (there - here) * part
        bursting = burst_at <= place < burst_at + 1 / 50
        yield Rate(
            start_s=place * length_s,
            end_s=(number + 1) / spans * length_s,
            per_s=peak_per_s * share * (burst_factor if bursting else 1.0),
            prompt=prompt,
            output=output,
        )


def scaled(arrivals: Iterable[Arrival], factor: float, seed: int) -> Iterator[Arrival]:
    """
    Return a trace with ``factor`` times the requests, each jittered by up to half a second.

    A factor below one keeps each request with that probability.
    """
    rng = random.Random(seed)
    whole, part = divmod(factor, 1)
    pending: list[Arrival] = []
    for arrival in arrivals:
        ready = [waiting for waiting in pending if waiting.at_s <= arrival.at_s]
        yield from sorted(ready)
        pending = [waiting for waiting in pending if waiting.at_s > arrival.at_s]
        copies = int(whole) + (rng.random() < part)
        if copies:
            yield arrival
        for _ in range(copies - 1):
            pending.append(arrival._replace(at_s=arrival.at_s + rng.uniform(0, 0.5)))
    yield from sorted(pending)


def spread(arrivals: Iterable[Arrival], tick_s: float, seed: int) -> Iterator[Arrival]:
    """
    Return a trace whose times were rounded down to ticks with its requests spread over each.

    At random, as requests of many people come; all of them as they are where ``tick_s`` is 0.
    """
    rng = random.Random(seed)
    for at_s, each in itertools.groupby(arrivals, key=lambda arrival: arrival.at_s):
        late = sorted((rng.uniform(0.0, 0.99 * tick_s), one) for one in each)
        yield from (one._replace(at_s=at_s + by_s) for by_s, one in late)


def sped_up(arrivals: Iterable[Arrival], factor: float) -> Iterator[Arrival]:
    """Return a trace whose time runs ``factor`` times as fast."""
    return (arrival._replace(at_s=arrival.at_s / factor) for arrival in arrivals)


def sliced(arrivals: Iterable[Arrival], start_s: float, end_s: float) -> Iterator[Arrival]:
    """Return the part of a trace from ``start_s`` to ``end_s``, beginning at zero."""
    later = itertools.dropwhile(lambda arrival: arrival.at_s < start_s, arrivals)
    part = itertools.takewhile(lambda arrival: arrival.at_s < end_s, later)
    return (arrival._replace(at_s=arrival.at_s - start_s) for arrival in part)
