"""
Three held-out days that pass slower, as curves: what a policy costs where a night is hours long.

The main table plays a day in an hour against a cold start of a minute. There a step between two
windows of the source is steeper than any replica can follow, and a night is over before much is
saved. Here days are six times as fast as in the field, and the rate runs in straight lines
from the middle of one window to the middle of the next.
"""

import csv
import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Iterator

from benchmarks.policy_traces import BY_NAME, TraceSpec, code_days, from_rates, shape
from scaler.simulation.traffic import Lengths, Rate

_SPEED_UP = 6.0
_PARTS = 10
"""Spans of constant rate that stand for a straight line."""


_REASON_PROMPT, _REASON_OUTPUT = Lengths(mean_tokens=1600, sigma=1.2), Lengths(mean_tokens=1690)
"""Means over the clients of ServeGen's deepseek-r1, each weighted by its requests."""


def drawn(
    spans: Callable[[pathlib.Path], Iterator[Rate]],
) -> Callable[[pathlib.Path], Iterator[Rate]]:
    """Draw straight lines between the middles of consecutive windows."""

    def lines(path: pathlib.Path) -> Iterator[Rate]:
        for one, after in itertools.pairwise(spans(path)):
            start_s, end_s = ((rate.start_s + rate.end_s) / 2 for rate in (one, after))
            part_s = (end_s - start_s) / _PARTS
            for part in range(_PARTS):
                share = (part + 0.5) / _PARTS
                yield dataclasses.replace(
                    one if share < 0.5 else after,
                    start_s=start_s + part * part_s,
                    end_s=start_s + (part + 1) * part_s,
                    per_s=one.per_s + share * (after.per_s - one.per_s),
                )

    return lines


def clients(*, speed_up: float, cv: float) -> Callable[[pathlib.Path], Iterator[Rate]]:
    """Read a day of ServeGen: a folder with a file of rates for each client, added up."""

    def spans(path: pathlib.Path) -> Iterator[Rate]:
        per_s: dict[float, float] = {}
        for client in sorted(path.glob("chunk-*-trace.csv")):
            with client.open(encoding="utf-8", newline="") as file:
                for window, rate, *_ in csv.reader(file):
                    per_s[float(window)] = per_s.get(float(window), 0.0) + float(rate)
        for start_s in sorted(per_s):
            yield Rate(
                start_s=start_s / speed_up,
                end_s=(start_s + 600) / speed_up,
                per_s=per_s[start_s],
                prompt=_REASON_PROMPT,
                output=_REASON_OUTPUT,
                cv=cv,
            )

    return spans


DAYS = (
    dataclasses.replace(
        BY_NAME["azure2024-code"],
        name="azure2024-code-slower",
        about="Monday noon to Wednesday 0 h in 6 h; the last 24 h are scored",
        warm_up_s=7_200.0,
        length_s=14_000.0,
        arrivals=from_rates(drawn(code_days(speed_up=_SPEED_UP))),
    ),
    dataclasses.replace(
        BY_NAME["deepseek-day"],
        name="deepseek-day-slower",
        about="24 h from noon in 4 h, 110 requests/s at the peak; the last 16 h are scored",
        warm_up_s=4_800.0,
        length_s=9_400.0,
        arrivals=from_rates(drawn(shape(peak_per_s=110.0, speed_up=_SPEED_UP))),
    ),
    TraceSpec(
        name="servegen-reason-slower",
        file="deepseek-r1",
        tuned_on=False,
        about="answers of 1,690 tokens, 24 h from midnight in 4 h; the last 16 h are scored",
        warm_up_s=4_800.0,
        length_s=9_400.0,
        arrivals=from_rates(drawn(clients(speed_up=_SPEED_UP, cv=2.3))),
        published="alibaba/ServeGen, data/reason/deepseek-r1/",
    ),
)
