"""
Histories that decisions are recorded on: random ones from a seed, and slices of real traces.

Nothing here depends on how a decision is made: the fleet that serves a trace follows a timetable,
so that what was recorded once is asked of every later version on the very same readings.
"""

import dataclasses
import math
import random
from collections.abc import Iterator

from scaler.capacity.histogram import Histogram
from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.policy import Forecast, InferencePolicy, LendingPolicy, SignalName
from scaler.decision.pool import Member, PoolWindow, TierWindow
from scaler.decision.sample import Replica, Sample
from scaler.decision.window import Lengths, ScaleBounds, Window
from scaler.readings.traces import open_trace
from scaler.simulation.presets import one_fleet
from scaler.simulation.simulate import Setup, View, simulate
from scaler.simulation.traffic import Arrival, scaled
from tests.shared_data import shared_data

Subject = Window | PoolWindow | TierWindow
Poll = tuple[str, Subject, InferencePolicy | LendingPolicy]
"""The name of its case, what is known, and what is asked."""

DEFAULT = InferencePolicy(itl_target=LatencyTarget(seconds=0.1), max_replicas=40)
EVERY_SIGNAL = InferencePolicy(
    metrics=tuple(SignalName),
    queue_target=4.0,
    rps_target=3.0,
    itl_target=LatencyTarget(seconds=0.1),
    ttft_target=LatencyTarget(seconds=2.0),
    max_num_seqs=64,
)
POLICIES = (
    DEFAULT,
    EVERY_SIGNAL,
    InferencePolicy(lead_time_s=60.0, max_concurrency=12, scale_down_delay_s=0.0),
    InferencePolicy(forecast=Forecast.TREND, lead_time_s=90.0, stable_window_s=30.0),
)


@dataclasses.dataclass(slots=True)
class _Pod:
    """One replica under way: its counters, and a rate of its own."""

    name: str
    rng: random.Random
    finished: float = 0.0
    prompt: float = 0.0
    generated: float = 0.0
    steps: float = 0.0
    itl_s: float = 0.0
    ttft_s: float = 0.0

    def serve(self, load: float, interval_s: float) -> Replica:
        """Let one bucket pass with about so many requests; return what the engine shows."""
        rng = self.rng
        running = max(0.0, round(min(load, 24) + rng.gauss(0, 1 + load / 10)))
        waiting = max(0.0, round(load - 24 + rng.gauss(0, 2)))
        finished = max(0.0, round(running * interval_s / 12 + rng.gauss(0, 1)))
        prompt = sum(rng.expovariate(1 / 900) for _ in range(int(finished)))
        step_s = 0.008 + 0.0007 * running + 0.000025 * prompt / max(1.0, finished)
        busy = min(1.0, running / 3)
        steps = round(busy * interval_s / step_s)
        self.finished += finished
        self.prompt += round(prompt)
        self.steps += steps
        self.generated += round(steps * running)
        self.itl_s += steps * running * step_s * rng.uniform(0.95, 1.05)
        self.ttft_s += finished * (0.1 + 0.01 * (running + waiting))
        return Replica(
            name=self.name,
            requests_running=running,
            requests_waiting=waiting,
            kv_cache_usage=min(1.0, 0.02 + 0.03 * running * rng.uniform(0.8, 1.2)),
            kv_blocks=20_000.0,
            kv_block_tokens=16.0,
            steps_total=self.steps,
            prompt_tokens_total=self.prompt,
            generation_tokens_total=self.generated,
            requests_finished_total=self.finished,
            itl_sum_s=self.itl_s,
            itl_count=self.generated,
            ttft_sum_s=self.ttft_s,
            ttft_count=self.finished,
            gpu_memory_used_mib=60_000.0 + 100 * running,
            gpu_memory_free_mib=20_000.0 - 100 * running,
            gpu_utilization=min(1.0, 0.3 + running / 30),
        )


class _Workload:
    """A workload under way: waves and bursts; pods that come, go, restart and fall silent."""

    def __init__(self, seed: int, interval_s: float) -> None:
        self.rng = random.Random(seed)
        rng = self.rng
        self.interval_s = interval_s
        self.start_s = 1_700_000_000 // 60 * 60 + seed * 7200
        self.has_gateway, self.counts_arrivals = rng.random() < 0.5, rng.random() < 0.3
        self.wave_s, self.level = rng.uniform(200, 900), rng.uniform(2, 40)
        self.pods = [_Pod(f"llm-{number}", rng) for number in range(rng.randint(1, 3))]
        self.started = len(self.pods)
        self.arrived = self.burst = 0.0

    def _happens(self, share: float) -> bool:
        return self.rng.random() < share

    def next(self, k: int) -> Sample | None:
        """Let the next bucket pass; None: it was not scraped."""
        if self._happens(0.01):
            self.burst = self.rng.uniform(20, 120)
        self.burst *= 0.9
        wave = math.sin(k * self.interval_s / self.wave_s)
        load = self.level * (1.2 + wave) + self.burst
        self._move_pods()
        if self._happens(0.01):
            return None
        seen = [pod.serve(load / len(self.pods), self.interval_s) for pod in self.pods]
        self.arrived += max(0.0, round(load * self.interval_s / 12))
        return self._sample(k, self._as_reported(seen))

    def _move_pods(self) -> None:
        pods = self.pods
        if self._happens(0.01) and len(pods) < 5:
            pods.append(_Pod(f"llm-{self.started}", self.rng))
            self.started += 1
        if self._happens(0.005) and len(pods) > 1:
            pods.pop(self.rng.randrange(len(pods)))
        if self._happens(0.005):  # restarted
            at = self.rng.randrange(len(pods))
            pods[at] = _Pod(pods[at].name, self.rng)

    def _as_reported(self, seen: list[Replica]) -> list[Replica]:
        if self._happens(0.02):
            seen = seen[:-1]
        if self._happens(0.01):
            seen = [dataclasses.replace(one, requests_running=None) for one in seen]
        if self._happens(0.01) and seen:
            seen = [dataclasses.replace(seen[0], sleeping=True), *seen[1:]]
        return sorted(seen, key=lambda one: one.name)

    def _sample(self, k: int, seen: list[Replica]) -> Sample:
        in_flight = sum((one.requests_running or 0) + (one.requests_waiting or 0) for one in seen)
        held = self.rng.randint(0, 3)
        return Sample(
            at_s=self.start_s + k * self.interval_s,
            replicas=tuple(seen),
            spec_replicas=len(self.pods),
            ready_replicas=len(self.pods),
            loading_replicas=int(self._happens(0.05)),
            gateway_in_flight=in_flight + held if self.has_gateway else None,
            arrivals_total=self.arrived if self.counts_arrivals else None,
            targets_up=len(seen),
        )


def samples(seed: int, count: int, *, interval_s: float = 5.0) -> list[Sample]:
    """Return a history of about ``count`` buckets."""
    workload = _Workload(seed, interval_s)
    made = (workload.next(k) for k in range(count))
    return [one for one in made if one is not None]


def window(made: list[Sample], end: int, *, fine: int = 200, **more: object) -> Window:
    """Return what is known after ``end`` samples, the older ones thinned to one in six."""
    first = max(0, end - fine)
    told = {"startup_s": (55.0, 70.0, 62.0), "bounds": ScaleBounds(max_replicas=30)}
    return Window(
        samples=tuple(made[first:end]),
        history=tuple(made[:first][::6]),
        interval_s=5.0,
        **(told | more),  # type: ignore[arg-type]
    )


LENGTHS = Lengths(
    prompt_tokens=Histogram(upper=(100.0, 500.0, 2000.0, math.inf), counts=(50.0, 40.0, 9.0, 1.0)),
    output_tokens=Histogram(upper=(50.0, 200.0, 1000.0, math.inf), counts=(30.0, 50.0, 19.0, 1.0)),
)


def random_polls() -> Iterator[Poll]:
    """Yield polls on random histories: each policy, pools that lend, tiers."""
    for seed in range(16):
        made = samples(seed, 400)
        policy = POLICIES[seed % len(POLICIES)]
        for end in (1, 2, 9, 40, 120, 200, 201, 203, 260, 331, len(made)):
            yield f"random-{seed}", window(made, end, lengths=LENGTHS), policy
    # A day of history, as the forecast reads it.
    made = samples(90, 5000)
    for end in range(4800, 4900, 9):
        yield "a-long-past", window(made, end), InferencePolicy(lead_time_s=120.0)
    yield from _zero()
    pairs = [(samples(30 + k, 300), _thirty_seeds_earlier(samples(60 + k, 300))) for k in range(4)]
    for number, (one, other) in enumerate(pairs):
        for end in (30, 120, 200, 240, 280):
            yield f"pool-{number}", _pool(one, other, end), LendingPolicy(pool_units=12)
            yield f"tiers-{number}", *_tiers(one, other, end)


def _zero() -> Iterator[Poll]:
    """Yield a workload at zero that is woken by its gateway."""
    made = [
        Sample(
            at_s=1_700_000_100 + 5 * k,
            spec_replicas=0,
            ready_replicas=0,
            gateway_in_flight=0.0 if k < 60 else float(k - 55),
        )
        for k in range(70)
    ]
    for end in (20, 60, 61, 70):
        yield "at-zero", window(made, end), DEFAULT


def _thirty_seeds_earlier(made: list[Sample]) -> list[Sample]:
    """Return a history moved to the time of the seed thirty before its own."""
    by_s = -30 * 7200.0
    return [dataclasses.replace(one, at_s=one.at_s + by_s) for one in made]


def _pool(one: list[Sample], other: list[Sample], end: int) -> PoolWindow:
    policy = dataclasses.replace(DEFAULT, units_per_replica=1)
    members = tuple(
        Member(name=name, policy=policy, window=window(made, min(end, len(made)), fine=120))
        for name, made in (("default/one", one), ("default/other", other))
    )
    at_s = max(member.window.now_s for member in members if member.window)
    return PoolWindow(at_s=at_s, members=members, workers=2, workers_since_s=at_s - 400)


def _tiers(one: list[Sample], other: list[Sample], end: int) -> tuple[TierWindow, InferencePolicy]:
    cheap = dataclasses.replace(DEFAULT, tier_group="llm", tier_cost=1.0, max_replicas=3)
    fast = dataclasses.replace(DEFAULT, tier_group="llm", tier_cost=3.0, tier_preference=1)
    members = (
        Member(
            name="default/cheap", policy=cheap, window=window(one, min(end, len(one)), fine=120)
        ),
        Member(
            name="default/fast", policy=fast, window=window(other, min(end, len(other)), fine=120)
        ),
    )
    return TierWindow(member="default/cheap", members=members), cheap


class _Timetable:
    """A fleet that is moved by the clock and keeps what could be read at each poll."""

    name = "timetable"
    every_s = 15.0
    lookback_s = DEFAULT.lookback_s
    history_s = 3600.0

    def __init__(self, from_s: float) -> None:
        self.from_s = from_s
        self.windows: list[Window] = []

    def act(self, view: View) -> int | None:
        """Keep the window; move by the minute."""
        known = view.window()
        if known is not None and view.now_s >= self.from_s:
            self.windows.append(known)
        return 6 + int(view.now_s // 240) % 5


TRACES = {"azure2023_conv": 10.0, "azure2023_code": 6.0}


def trace_polls(name: str) -> Iterator[Poll]:
    """Yield the polls of twelve minutes of a trace; skip the test where it is absent."""
    path = shared_data("traces", f"{name}.csv.gz")
    length_s, timetable = 2700.0, _Timetable(1980.0)
    rows = (Arrival(*row) for row in open_trace(path).requests())
    arrivals = [
        one._replace(prompt_tokens=min(14_000, one.prompt_tokens))
        for one in scaled(rows, TRACES[name], 0)
        if one.at_s < length_s
    ]
    simulate(Setup(cluster=one_fleet(gpus=40), length_s=length_s), arrivals, timetable)
    for known in timetable.windows:
        yield name, known, DEFAULT
