"""
The traces that policies are compared on: which part, how many times as many, what precedes it.

Half of them are for choosing defaults, half are only ever reported; which is which is written here,
before any run. Each begins with a warm-up: played, learnt from, not scored. It is the first part of
the trace; for the hour-long ones that are scored whole, their own end, as a yesterday like today.
"""

import csv
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterator

from scaler.readings.traces import open_trace
from scaler.simulation.simulate import repeated
from scaler.simulation.traffic import Arrival, Lengths, Rate, sampled, scaled, spread

_CHAT_PROMPT, _CHAT_OUTPUT = Lengths(mean_tokens=1155, sigma=0.9), Lengths(mean_tokens=211)
_CODE_OUTPUT = Lengths(mean_tokens=28, sigma=1.2, most_tokens=1000)
_DAY_S, _HOUR_S = 86_400.0, 3600.0
_LONGEST_PROMPT = 14_000
"""Tokens: with its answer, what fits the model length of the simulated engine."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TraceSpec:
    """One trace as it is played."""

    name: str
    file: str
    tuned_on: bool
    """Defaults may be chosen on it; otherwise it is held out."""
    about: str
    """The slice, the scale and how requests come about, for the table."""
    warm_up_s: float
    length_s: float
    """Seconds that are scored."""
    like_yesterday: bool = False
    """The warm-up is the end of what is scored, played before it; else the trace's first part."""
    arrivals: Callable[[pathlib.Path, int], Iterator[Arrival]]
    """From its file and a seed."""
    published: str = ""
    """Where to get a file that is not among the prepared ones; it is read as it is there."""


def folder() -> pathlib.Path:
    """Return where the traces are: ``$KVTIDE_DATA/traces``, else ``../shared/data/traces``."""
    stated = os.environ.get("KVTIDE_DATA")
    root = pathlib.Path(__file__).parent.parent
    return (pathlib.Path(stated) if stated else root.parent / "shared" / "data") / "traces"


@functools.lru_cache(maxsize=2)
def arrivals_of(spec: TraceSpec, seed: int) -> list[Arrival]:
    """Return the requests of a trace, those of the warm-up first, from 0 on."""
    cut = (
        one._replace(prompt_tokens=min(_LONGEST_PROMPT, one.prompt_tokens))
        for one in spec.arrivals(folder() / spec.file, seed)
    )
    if spec.like_yesterday:
        scored = [one for one in cut if one.at_s < spec.length_s]
        return list(repeated(scored, spec.length_s, spec.warm_up_s))
    return [one for one in cut if one.at_s < spec.warm_up_s + spec.length_s]


def _requests(scale: float) -> Callable[[pathlib.Path, int], Iterator[Arrival]]:
    def read(path: pathlib.Path, seed: int) -> Iterator[Arrival]:
        trace = open_trace(path)
        rows = spread(map(Arrival._make, trace.requests()), trace.tick_s(), seed)
        return scaled(rows, scale, seed)

    return read


def from_rates(
    spans: Callable[[pathlib.Path], Iterator[Rate]],
) -> Callable[[pathlib.Path, int], Iterator[Arrival]]:
    """Sample requests from the rates of a file."""
    return lambda path, seed: sampled(spans(path), seed)


def windows(
    *,
    start_s: float,
    end_s: float,
    speed_up: float,
    scale: float,
    cv: float,
    prompt: Lengths = _CHAT_PROMPT,
    output: Lengths = _CHAT_OUTPUT,
) -> Callable[[pathlib.Path], Iterator[Rate]]:
    """Read mean rates; time runs faster, the rate in seconds stays the same."""

    def spans(path: pathlib.Path) -> Iterator[Rate]:
        for rate in open_trace(path).rates():
            if rate.end_s <= start_s or rate.start_s >= end_s:
                continue
            yield Rate(
                start_s=(max(rate.start_s, start_s) - start_s) / speed_up,
                end_s=(min(rate.end_s, end_s) - start_s) / speed_up,
                per_s=rate.per_s * scale,
                prompt=_of_mean(prompt, rate.prompt_tokens_mean),
                output=_of_mean(output, rate.output_tokens_mean),
                cv=cv,
            )

    return spans


def _of_mean(lengths: Lengths, mean: float | None) -> Lengths:
    return dataclasses.replace(lengths, mean_tokens=mean) if mean else lengths


def shape(*, peak_per_s: float, speed_up: float) -> Callable[[pathlib.Path], Iterator[Rate]]:
    """Read a curve of load relative to its peak."""

    def spans(path: pathlib.Path) -> Iterator[Rate]:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                at_s = float(row["window_start_s"])
                yield Rate(
                    start_s=at_s / speed_up,
                    end_s=(at_s + 900) / speed_up,
                    per_s=peak_per_s * float(row["load_rel_to_peak_hour"]),
                    prompt=_CHAT_PROMPT,
                    output=_CHAT_OUTPUT,
                    cv=2.0,
                )

    return spans


def code_days(*, speed_up: float) -> Callable[[pathlib.Path], Iterator[Rate]]:
    """Read Monday noon to Wednesday 0 h of the code week."""
    return windows(
        start_s=3.5 * _DAY_S,
        end_s=5 * _DAY_S,
        speed_up=speed_up,
        scale=1.0,
        cv=4.0,
        output=_CODE_OUTPUT,
    )


TRACES = (
    TraceSpec(
        name="azure2023-conv",
        file="azure2023_conv.csv.gz",
        tuned_on=True,
        about="chat, all 58 min, x15",
        warm_up_s=1800.0,
        length_s=3500.0,
        like_yesterday=True,
        arrivals=_requests(15),
    ),
    TraceSpec(
        name="azure2023-code",
        file="azure2023_code.csv.gz",
        tuned_on=True,
        about="code completion in on/off bursts, all 57 min, x10",
        warm_up_s=1800.0,
        length_s=3430.0,
        like_yesterday=True,
        arrivals=_requests(10),
    ),
    TraceSpec(
        name="servegen-m-large",
        file="servegen_m-large_10min.csv.gz",
        tuned_on=True,
        about="18 h from the first midnight in 45 min, x0.5; sampled, CV of gaps 2.1",
        warm_up_s=900.0,
        length_s=1800.0,
        arrivals=from_rates(windows(start_s=0, end_s=18 * _HOUR_S, speed_up=24, scale=0.5, cv=2.1)),
    ),
    TraceSpec(
        name="azure2024-code",
        file="azure2024_code_1week_10min_digitized.csv.gz",
        tuned_on=False,
        about="Monday noon to Wednesday 0 h in 75 min, x1; sampled, CV of gaps 4",
        warm_up_s=1500.0,
        length_s=3000.0,
        arrivals=from_rates(code_days(speed_up=28.8)),
    ),
    TraceSpec(
        name="deepseek-day",
        file="deepseek_v3r1_24h_15min.csv",
        tuned_on=False,
        about="24 h from noon in 60 min, 110 requests/s at the peak; sampled, CV of gaps 2",
        warm_up_s=1200.0,
        length_s=2400.0,
        arrivals=from_rates(shape(peak_per_s=110.0, speed_up=24)),
    ),
    TraceSpec(
        name="mooncake-synthetic",
        file="mooncake_fast25_synthetic.csv.gz",
        tuned_on=False,
        about="prompts of 15,000 tokens cut at 14,000, all 17 min, x6",
        warm_up_s=240.0,
        length_s=770.0,
        arrivals=_requests(6),
    ),
    TraceSpec(
        name="mooncake-conversation",
        file="conversation_trace.jsonl",
        tuned_on=False,
        about="chat with prompts of 12,000 tokens cut at 14,000, all 59 min, x6",
        warm_up_s=900.0,
        length_s=2600.0,
        arrivals=_requests(6),
        published="kvcache-ai/Mooncake, FAST25-release/traces/conversation_trace.jsonl",
    ),
)
BY_NAME = {spec.name: spec for spec in TRACES}
QUICK = ("azure2023-conv", "azure2023-code", "azure2024-code")
