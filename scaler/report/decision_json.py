"""
A Decision as a JSON document, and back.

One shape for ``/api/decisions``, ``explain --json`` and the status page: the dataclass's own field
names, the derived answers (replicas, reason, detail, holds, active) beside them, and the instant
twice, as Unix seconds and as text. ``decision_from_json(decision_json(decision)) == decision``.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from scaler.decision.decision import Decision, Reason, Signal, Step
from scaler.errors import ConfigurationError, KvtideError, NoDataError


def decision_json(decision: Decision) -> dict[str, Any]:
    """Return the document of a decision: plain dicts, lists, text, numbers and None."""
    derived = {
        "at": instant(decision.at_s),
        "replicas": decision.replicas,
        "reason": str(decision.reason),
        "detail": decision.detail,
        "holds": decision.holds,
        "active": decision.active,
    }
    return derived | _fields(decision)


def decision_from_json(document: Mapping[str, Any]) -> Decision:
    """Return the decision that a document came from; fields this version does not know rest."""
    known = {field.name for field in dataclasses.fields(Decision)}
    fields = {name: value for name, value in document.items() if name in known}
    fields["steps"] = tuple(
        Step(step["replicas"], Reason(step["reason"]), step["detail"]) for step in fields["steps"]
    )
    fields["signals"] = tuple(Signal(**signal) for signal in fields.get("signals", ()))
    fields["notes"] = tuple(fields.get("notes", ()))
    return Decision(**fields)


def answer_json(
    key: str,
    role: str | None,
    *,
    decision: Decision | None = None,
    error: KvtideError | None = None,
) -> dict[str, Any]:
    """
    Return what an object is answered: its decision, or why there is none.

    ``key`` is ``namespace/scaledobject``. ``role`` is None where its metadata could not be read.
    ``error`` has the kind ``configuration`` (what a person wrote is wrong) or ``no-data`` (KEDA
    keeps what is), and every problem as a sentence of its own.
    """
    return {
        "object": key,
        "role": role,
        "decision": None if decision is None else decision_json(decision),
        "error": None if error is None else _error_json(error),
    }


def instant(at_s: float) -> str:
    """Return Unix seconds as a person reads them: UTC, to the second."""
    moment = dt.datetime.fromtimestamp(at_s, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _error_json(error: KvtideError) -> dict[str, Any]:
    if isinstance(error, ConfigurationError):
        return {"kind": "configuration", "problems": [str(problem) for problem in error.problems]}
    kind = "no-data" if isinstance(error, NoDataError) else "refused"
    return {"kind": kind, "problems": [str(error)]}


def _fields(decision: Decision) -> dict[str, Any]:
    """Return every field as JSON has it: parts as dicts, tuples as lists."""
    document = dataclasses.asdict(decision)
    document["steps"] = [{**step, "reason": str(step["reason"])} for step in document["steps"]]
    return document | {name: list(document[name]) for name in ("signals", "notes")}
