"""
The processor time of one decision, beside another checkout's in the same run.

    python -m benchmarks.decision_cost --beside ../other

The default policy with counters, a gateway queue and startup times, on windows of two public traces
(two to four replicas that follow a timetable, scraped every five seconds) and on a pool of both
that lends: with the fine samples alone, and with a day's history (the trace played again and
again). *Steady*: one new bucket since the decision before. *Cold*: samples never seen. The two
checkouts take turns, ten decisions at a time, so that whatever else the machine does meets both;
what is compared is the mean, since some decisions of a minute cost more than others; the
median stands beside it.
"""

import argparse
import dataclasses
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from scaler.capacity.histogram import Histogram
from scaler.decision.compose import lookback_s
from scaler.decision.history import thinned
from scaler.decision.policy import InferencePolicy
from scaler.decision.sample import Replica, Sample
from scaler.readings.traces import open_trace
from scaler.simulation.presets import one_fleet
from scaler.simulation.simulate import Setup, View, simulate
from scaler.simulation.traffic import Arrival, scaled

from .policy_traces import folder

HERE = pathlib.Path(__file__).parent.parent
SCRAPE_S = 5.0
LENGTH_S = 3300.0
"""Of a trace that is played; both are about an hour long."""
TRACES = {"azure2023_conv": 3.0, "azure2023_code": 2.5}
"""By how much more than what was recorded; two to four replicas serve it."""
DAY_S = 86_400.0
EPOCH_S = 1_700_000_100.0
LONGEST_PROMPT = 14_000
CASES = ("azure2023_conv", "azure2023_code", "pool")
PASTS = ("", "+day")
MOST = 120
"""Decisions that a case has buckets for."""


class Timetable:
    """A fleet that follows the clock, and keeps what was seen of it."""

    name = "timetable"
    every_s = SCRAPE_S
    lookback_s = 60.0
    history_s = 0.0

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def act(self, view: View) -> int | None:
        """Keep the newest sample; move every five minutes."""
        window = view.window()
        if window is not None:
            self.samples.append(window.latest)
        return 2 + int(view.now_s // 300) % 3


def played(name: str) -> list[Sample]:
    """Return an hour of a trace as it is scraped."""
    rows = (Arrival(*row) for row in open_trace(folder() / f"{name}.csv.gz").requests())
    arrivals = [
        one._replace(prompt_tokens=min(LONGEST_PROMPT, one.prompt_tokens))
        for one in scaled(rows, TRACES[name], 0)
        if one.at_s < LENGTH_S
    ]
    fleet = Timetable()
    simulate(Setup(cluster=one_fleet(gpus=8), length_s=LENGTH_S, replicas=2), arrivals, fleet)
    return fleet.samples


def again_and_again(samples: list[Sample], count: int) -> list[Sample]:
    """Return so many samples, the same ones over and over; each time other pods serve them."""
    span_s = samples[-1].at_s - samples[0].at_s + SCRAPE_S
    arrived = samples[-1].arrivals_total or 0.0
    rounds = (
        dataclasses.replace(
            one,
            at_s=EPOCH_S + number * span_s + one.at_s,
            replicas=tuple(dataclasses.replace(r, name=f"{r.name}-{number}") for r in one.replicas),
            arrivals_total=number * arrived + (one.arrivals_total or 0.0),
            unschedulable_since_s=None,
        )
        for number in itertools.count()
        for one in samples
    )
    return list(itertools.islice(rounds, count))


def past_of(samples: list[Sample], *, day: bool) -> dict[str, Any]:
    """Return a workload's past for both checkouts: the same samples, thinned alike."""
    policy = InferencePolicy()
    fine_s = lookback_s(policy)
    before = int(((DAY_S if day else 0.0) + fine_s + 120.0) / SCRAPE_S)
    told = again_and_again(samples, before + MOST)
    kept = {one.at_s for one in thinned(told)} if day else set[float]()
    return {
        "interval_s": SCRAPE_S,
        "fine_s": fine_s,
        "first_end": before,
        "thin": [one.at_s in kept for one in told],
        "samples": [_told(one) for one in told],
    }


def _told(value: Sample | Replica) -> dict[str, Any]:
    """Return what the default policy reads of one, and so no histogram."""
    fields = ((one.name, getattr(value, one.name)) for one in dataclasses.fields(value))
    return {
        name: [_told(one) for one in found] if name == "replicas" else found
        for name, found in fields
        if found is not None and not isinstance(found, Histogram)
    }


def recordings() -> dict[str, list[dict[str, Any]]]:
    """Return the pasts of each case."""
    samples = {name: played(name) for name in TRACES}
    made = {
        f"{name}{past}": [past_of(samples[name], day=bool(past))]
        for name in TRACES
        for past in PASTS
    }
    for past in PASTS:
        made[f"pool{past}"] = [made[f"{name}{past}"][0] for name in TRACES]
    return made


class Checkout:
    """A checkout that decides in a process of its own."""

    def __init__(self, path: pathlib.Path, recording: str) -> None:
        worker = str(HERE / "benchmarks" / "decision_cost_of.py")
        self._process = subprocess.Popen(  # noqa: S603 -- our own worker
            [sys.executable, worker, recording],
            env={**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"},
            cwd=path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, command: str) -> list[float]:
        """Return what a command took, decision by decision."""
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None  # noqa: S101
        assert answered is not None  # noqa: S101
        asked.write(command + "\n")
        asked.flush()
        seconds: list[float] = json.loads(answered.readline())
        return seconds

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()


def measured(
    checkouts: list[Checkout], case: str, turns: int
) -> Iterator[tuple[str, list[list[float]]]]:
    """Yield what is measured, and the seconds of every decision of each checkout."""
    for what, command in (("steady", f"steady {case} 10"), ("cold", f"cold {case}")):
        took: list[list[float]] = [[] for _ in checkouts]
        for _ in range(turns):
            for number, checkout in enumerate(checkouts):
                took[number] += checkout.seconds(command)
        yield what, took


def told_beside(took: list[list[float]]) -> str:
    """Return the cells of a row: the mean here and there, and how many times less."""
    means, medians = (list(map(of, took)) for of in (statistics.mean, statistics.median))
    cells = [f"{1000 * seconds:.2f} ms" for seconds in means]
    cells += [f"{each[1] / each[0]:.1f}" for each in (means, medians) if len(each) > 1]
    return " | ".join(cells)


def main() -> None:
    """Print a row for each case: milliseconds here, there, and how many times less."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--beside", type=pathlib.Path, help="another checkout of kvtide")
    parser.add_argument("--turns", type=int, default=6, help="of ten decisions each, 11 at most")
    parser.add_argument("--cases", nargs="+", default=[n + p for n in CASES for p in PASTS])
    arguments = parser.parse_args()
    paths = [HERE, *([arguments.beside.resolve()] if arguments.beside else [])]
    print(
        "| windows of | | here | beside | times less | by the median |\n|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch) / "recordings.json"
        file.write_text(json.dumps(recordings()), encoding="utf-8")
        checkouts = [Checkout(path, str(file)) for path in paths]
        for case in arguments.cases:
            for what, took in measured(checkouts, case, arguments.turns):
                print(f"| {case} | {what} | {told_beside(took)} |", flush=True)
        for checkout in checkouts:
            checkout.end()


if __name__ == "__main__":
    main()
