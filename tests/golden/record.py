"""
Write the golden decisions anew: ``python -m tests.golden.record``.

A change of a decision then shows as a change of these files, which a commit has to argue for.
"""

import json
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from scaler.decision.decide import decide
from scaler.decision.decision import Decision

from .histories import TRACES, Poll, random_polls, trace_polls

FOLDER = pathlib.Path(__file__).parent / "decisions"


def told(case: str, decision: Decision) -> dict[str, Any]:
    """Return what is kept of a decision: all of it, floats to nine digits."""
    return {
        "case": case,
        "at_s": decision.at_s,
        "replicas": decision.replicas,
        "reported": decision.reported,
        "panic": decision.panic,
        "woken": decision.woken,
        "load": None if decision.load is None else float(f"{decision.load:.9g}"),
        "safe": decision.safe_concurrency,
        "binding": decision.binding_limit,
        "steps": [[one.replicas, one.reason.value, one.detail] for one in decision.steps],
        "signals": [[one.name, one.detail] for one in decision.signals],
        "notes": len(decision.notes),
    }


def decisions(polls: Iterable[Poll]) -> Iterator[dict[str, Any]]:
    """Decide on each poll."""
    for case, known, policy in polls:
        yield told(case, decide(known, policy))


def kept(name: str) -> list[dict[str, Any]]:
    """Return what was recorded under a name."""
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def main() -> None:
    """Record every history; those of traces where the traces are."""
    FOLDER.mkdir(exist_ok=True)
    named = {"random": random_polls, **{name: _trace(name) for name in TRACES}}
    for name, polls in named.items():
        rows = [json.dumps(row, ensure_ascii=False) for row in decisions(polls())]
        (FOLDER / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _trace(name: str) -> Any:
    return lambda: trace_polls(name)


if __name__ == "__main__":
    main()
