"""What is played, on what: a trace and replicas, as every command that simulates reads them."""

import dataclasses
import math
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from scaler.errors import ConfigurationError, Problem
from scaler.readings.latency import measured_steps
from scaler.readings.traces import Trace, TraceRate, open_trace
from scaler.simulation.engine import EngineConfig
from scaler.simulation.grid import Stage
from scaler.simulation.presets import one_fleet, preset
from scaler.simulation.simulate import Setup, repeated
from scaler.simulation.spooled import Spooled
from scaler.simulation.traffic import (
    Arrival,
    Lengths,
    Rate,
    sampled,
    scaled,
    sliced,
    sped_up,
    spread,
)

_PROMPT, _OUTPUT = Lengths(mean_tokens=1155, sigma=0.9), Lengths(mean_tokens=211, sigma=0.9)
"""Lengths of requests sampled from rates, where the file does not say."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asked for; the names are those of the flags."""

    policies: tuple[str, ...]
    training: pathlib.Path | None
    seed: int
    speed_up: float
    scale: float
    slice: str | None
    warm_up_s: float
    gpus: int
    cold_start_s: float
    engine: str
    latency: pathlib.Path | None
    kv_tokens: int | None
    max_num_seqs: int | None
    config: pathlib.Path | None
    clairvoyant: bool


def staged(asked: Asked, trace: pathlib.Path) -> Stage:
    """
    Return the stage and the requests of a trace, the warm-up among them.

    Raises:
        ConfigurationError: the trace or the slice cannot be read.
    """
    return stage_of(asked, arrivals_of(open_trace(trace), asked))


def stage_of(asked: Asked, arrivals: Spooled, length_s: float | None = None) -> Stage:
    """Return the stage of some requests, the warm-up before them; None: until the last one."""
    setup = setup_of(asked, engine_of(asked)[0], arrivals, gpus=asked.gpus)
    if length_s is not None:
        setup = dataclasses.replace(
            setup, length_s=length_s, warm_up_s=min(asked.warm_up_s, length_s)
        )
    return Stage(setup=setup, arrivals=warmed_up(arrivals, setup.length_s, setup.warm_up_s))


def setup_of(asked: Asked, engine: EngineConfig, arrivals: Spooled, *, gpus: int) -> Setup:
    length_s = float(math.ceil(arrivals.last_s + 1e-9) or 1)
    return Setup(
        cluster=one_fleet(
            gpus=gpus, cold_start_s=asked.cold_start_s, engine=engine, seed=asked.seed
        ),
        length_s=length_s,
        warm_up_s=min(asked.warm_up_s, length_s),
        max_replicas=gpus,
    )


def engine_of(asked: Asked) -> tuple[EngineConfig, dict[str, Any] | None]:
    """Return the replica that was asked for, and how well measured steps fit, where there are."""
    engine, fitted = preset(asked.engine), None
    if asked.latency is not None:
        measured = measured_steps(asked.latency)
        engine = dataclasses.replace(engine, step_cost=measured.cost)
        fitted = {
            "rows": measured.rows,
            "median_error": measured.median_error,
            "largest_error": measured.largest_error,
        }
    if asked.kv_tokens is not None:  # no request can be longer than what the cache holds
        engine = dataclasses.replace(
            engine,
            num_blocks=asked.kv_tokens // engine.block_tokens + 2,  # and the null block
            max_model_len=min(engine.max_model_len, asked.kv_tokens),
        )
    if asked.max_num_seqs is not None:
        engine = dataclasses.replace(engine, max_num_seqs=asked.max_num_seqs)
    return engine, fitted


def slice_of(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    start, _, end = text.partition(":")
    try:
        part = (float(start or 0), float(end or "inf"))
    except ValueError:
        part = (0.0, 0.0)
    if not 0 <= part[0] < part[1]:
        problem = Problem(field="--slice", got=repr(text), allowed="A:B, seconds, 0 <= A < B")
        raise ConfigurationError(problem)
    return part


def warmed_up(arrivals: Spooled, length_s: float, warm_up_s: float) -> Spooled:
    return Spooled(repeated(arrivals, length_s, warm_up_s)) if warm_up_s else arrivals


def arrivals_of(trace: Trace, asked: Asked) -> Spooled:
    rows: Iterable[Arrival] = (
        sampled(_rates(trace.rates()), asked.seed)
        if trace.is_rates
        else spread(map(Arrival._make, trace.requests()), trace.tick_s(), asked.seed)
    )
    return played_part(rows, asked, origin=str(trace.path))


def played_part(rows: Iterable[Arrival], asked: Asked, *, origin: str) -> Spooled:
    """
    Return the requests of a load that are played: its slice, scaled, at its speed.

    Raises:
        ConfigurationError: there are none.
    """
    if (part := slice_of(asked.slice)) is not None:
        rows = sliced(rows, *part)
    if asked.scale != 1:
        rows = scaled(rows, asked.scale, asked.seed)
    if asked.speed_up != 1:
        rows = sped_up(rows, asked.speed_up)
    arrivals = Spooled(rows)
    if not arrivals:
        got = f"{origin} has no request in the slice that is played"
        raise ConfigurationError(Problem(field="--trace", got=got))
    return arrivals


def prompts(mean_tokens: float | None) -> Lengths:
    """Return the lengths of prompts of a mean; None: nobody says."""
    return dataclasses.replace(_PROMPT, mean_tokens=mean_tokens) if mean_tokens else _PROMPT


def outputs(mean_tokens: float | None) -> Lengths:
    """Return the lengths of answers of a mean; None: nobody says."""
    return dataclasses.replace(_OUTPUT, mean_tokens=mean_tokens) if mean_tokens else _OUTPUT


def _rates(rates: Iterable[TraceRate]) -> Iterator[Rate]:
    for rate in rates:
        yield Rate(
            start_s=rate.start_s,
            end_s=rate.end_s,
            per_s=rate.per_s,
            prompt=prompts(rate.prompt_tokens_mean),
            output=outputs(rate.output_tokens_mean),
        )
