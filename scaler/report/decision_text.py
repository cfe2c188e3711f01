"""
A Decision as a person reads it: the chain of steps with the numbers that led to each.

Nothing is computed here; what is not in the Decision is not in the text.
"""

from collections.abc import Mapping
from typing import Any

from scaler.decision.decision import Decision, Signal, Step

from .decision_json import decision_from_json, instant


def decision_text(key: str, decision: Decision) -> str:
    """
    Return the explanation of one object's decision.

    ``key`` is ``namespace/scaledobject``. Lines end without trailing blanks, the text without a
    newline.
    """
    blocks = [
        _headline(key, decision),
        _table(
            ("signal", "load", "target", ""),
            [_signal_row(signal) for signal in decision.signals],
        ),
        _table(
            ("replicas", "reason", ""),
            [_step_row(step) for step in decision.steps],
        ),
        "\n".join(f"note: {note}" for note in decision.notes),
    ]
    return "\n\n".join(block for block in blocks if block)


def answer_text(answer: Mapping[str, Any]) -> str:
    """
    Return the explanation of an answer as ``answer_json`` made it: its decision, or its error.

    An error is told with its problems, since for the reader it is the reason. A server also says
    how it hears of the cluster.
    """
    if answer.get("cluster"):
        return f"{answer_text({**answer, 'cluster': None})}\n\n{answer['cluster']}"
    if answer["decision"] is not None:
        return decision_text(answer["object"], decision_from_json(answer["decision"]))
    wrong = answer["error"] or {"kind": "no-data", "problems": ["not decided yet"]}
    heads = {"configuration": "the trigger's metadata is wrong", "no-data": "hold what is"}
    head = f"{answer['object']}: {heads.get(wrong['kind'], wrong['kind'])}"
    return "\n".join([head, *(f"  {problem}" for problem in wrong["problems"])])


def _headline(key: str, decision: Decision) -> str:
    answer = "hold what is" if decision.holds else str(decision.replicas)
    facts = [f"{key}: {answer} ({decision.reason})", f"at {instant(decision.at_s)}"]
    readings = (
        ("load", None if decision.load is None else f"{decision.load:.2f}"),
        ("ready", decision.ready_replicas),
        ("asked for", decision.spec_replicas),
        ("safe concurrency", _safe(decision)),
        ("told to the HPA", None if decision.reported is None else f"{decision.reported:g}"),
        ("panic", "yes" if decision.panic else None),
    )
    facts += [f"{name} {value}" for name, value in readings if value is not None]
    return facts[0] + "\n" + ", ".join(facts[1:])


def _safe(decision: Decision) -> str | None:
    if decision.safe_concurrency is None:
        return None
    limit = f" (limited by {decision.binding_limit})" if decision.binding_limit else ""
    return f"{decision.safe_concurrency}{limit}"


def _signal_row(signal: Signal) -> tuple[str, ...]:
    load = "abstains" if signal.load is None else f"{signal.load:.2f}"
    return (signal.name, load, f"{signal.target:.2f}", signal.detail)


def _step_row(step: Step) -> tuple[str, ...]:
    return (_count(step.replicas), str(step.reason), step.detail)


def _count(replicas: int | None) -> str:
    return "hold" if replicas is None else str(replicas)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return aligned columns, the last one free; empty without rows."""
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    )
