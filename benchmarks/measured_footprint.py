"""
What a live window tells about how many requests fit, against what really fits.

::

    .venv/bin/python -m benchmarks.measured_footprint    # a minute

Simulated engines run the requests of real traces, a few or many at once; a window holds what they
would report every five seconds. The count that the window leads to stands beside the true one, and
how often that count would really overflow.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from benchmarks.overflow import ASKED, UNIFORM
from benchmarks.slots import Ints, Slots, held_blocks, traced_lengths
from benchmarks.traced import TRACES, joint_footprint, read_trace
from scaler.capacity.concurrency.moments import fitting_requests
from scaler.capacity.concurrency.overflow import fitting_requests as truly_fitting
from scaler.capacity.concurrency.overflow import overflow_probability
from scaler.decision.concurrency.evidence import Reach
from scaler.decision.concurrency.measured import measured_footprint
from scaler.decision.facts.columns import Columns
from scaler.decision.sample import Replica, Sample

BLOCKS = 20_000
INTERVAL_S = 5.0
STEP_S = 0.04
"""One token of each running request."""
WINDOWS = 20
"""Windows of each kind."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    """How much a window saw."""

    running: int
    replicas: int
    minutes: int


KINDS = (
    Seen(running=5, replicas=1, minutes=10),
    Seen(running=5, replicas=1, minutes=30),
    Seen(running=20, replicas=1, minutes=3),
    Seen(running=20, replicas=2, minutes=30),
    Seen(running=100, replicas=4, minutes=30),
)


def samples(prompts: Ints, outputs: Ints, seen: Seen, rng: np.random.Generator) -> Iterator[Sample]:
    """Yield what replicas report that run so many of these requests at all times."""
    count = int(60 / INTERVAL_S * seen.minutes)
    held = held_blocks(
        traced_lengths(prompts, outputs, together=True),
        UNIFORM,
        Slots(slots=seen.running * seen.replicas, moments=count, every=int(INTERVAL_S / STEP_S)),
        rng,
    ).reshape(count, seen.replicas, seen.running)
    for at, blocks in enumerate(held.sum(axis=2)):
        yield Sample(
            at_s=at * INTERVAL_S,
            replicas=tuple(
                Replica(
                    name=f"llm-{number}",
                    requests_running=float(seen.running),
                    kv_cache_usage=float(used) / BLOCKS,
                )
                for number, used in enumerate(blocks)
            ),
        )


def main() -> None:
    """Print a line per trace and kind of window."""
    rng = np.random.default_rng(1)
    print(
        f"{'trace':28} {'running':>7} {'replicas':>8} {'minutes':>7} "
        f"{'fits':>5} {'told: least, median, most':>26} {'overflows: median, most':>24}"
    )
    for trace in TRACES:
        prompts, outputs = read_trace(trace)
        truth = joint_footprint(prompts, outputs, UNIFORM)
        fits = truly_fitting(truth, BLOCKS, ASKED)
        for seen in KINDS:
            told = []
            for _ in range(WINDOWS):
                held = measured_footprint(
                    Columns.of(list(samples(prompts, outputs, seen, rng))),
                    reach=Reach(interval_s=INTERVAL_S, samples=0),
                    service_time_s=float(outputs.mean()) * STEP_S,
                )
                if held is not None:
                    room = 1 - held.shared
                    told.append(fitting_requests(room, held.mean, held.deviation, ASKED))
            over = [overflow_probability(truth, count, blocks=BLOCKS) for count in told]
            print(
                f"{trace:28} {seen.running:7} {seen.replicas:8} {seen.minutes:7} {fits:5} "
                f"{min(told):10} {int(np.median(told)):7} {max(told):7} "
                f"{np.median(over):15.4f} {max(over):8.4f}"
            )


if __name__ == "__main__":
    main()
