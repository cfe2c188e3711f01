"""The page of one object: why this number, what happened, and of a pool who holds which unit."""

import dataclasses
import urllib.parse
from collections.abc import Sequence
from typing import Any

from scaler.decision.decision import Decision
from scaler.serving.history import History
from scaler.serving.units import Picture, Strip, Use
from scaler.telemetry.observed import Observation

from .banner import Links
from .past import Limits, past
from .row import Row, number, row
from .words import Words

SPANS_S = {"hour": 3600.0, "day": 86_400.0}
"""What ``?span=`` may ask for, seconds; the first where nothing is asked."""

_ALERTS = {"held": "KvtideHolding", "wrong": "KvtideWrongMetadata"}
"""By state. Of one that is answered: what most likely brings a person to the page."""
_ANSWERED_ALERTS = {"training": "KvtideNotReclaimed"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What was gathered for the page beside the latest answer."""

    history: History | str
    """A text: why there is none."""
    limits: Limits = dataclasses.field(default_factory=Limits)
    pool: Picture | None = None


def values(
    one: Observation, shown: Shown, words: Words, links: Links, *, span: str, now_s: float
) -> dict[str, Any]:
    """Return what the template names."""
    told = row(one, words, now_s=now_s)
    decision = one.decision
    return {
        "row": told,
        "runbook": links.runbook(_alert(told), words.language),
        "dashboard": _dashboard(links, one),
        "pool": None if shown.pool is None else _pool(shown.pool, words),
        "uses": tuple(use.value for use in Use),
        "steps": [] if decision is None else _steps(decision, words),
        "signals": [] if decision is None else _signals(decision, words, one.role),
        "counted": words("col_workers" if one.role == "training" else "col_replicas"),
        "loaded": words("col_online" if one.role == "training" else "col_signal_load"),
        "safe": "" if decision is None else _safe(decision, words),
        "notes": () if decision is None else tuple(map(words.sentence, decision.notes)),
        "error": "" if one.error is None else words.sentence(one.error.said),
        "spans": [
            {"title": words(f"last_{name}"), "link": _link(words, name), "chosen": name == span}
            for name in SPANS_S
        ],
        "history": past(shown.history, shown.limits, words, is_training=one.role == "training"),
    }


def _alert(told: Row) -> str:
    return _ALERTS.get(told.state) or _ANSWERED_ALERTS.get(told.role, "KvtideOverload")


def _link(words: Words, span: str) -> str:
    return urllib.parse.urlencode({"lang": words.language, "span": span})


def _dashboard(links: Links, one: Observation) -> str | None:
    if links.dashboard is None:
        return None
    quote = urllib.parse.quote
    return links.dashboard.replace("{namespace}", quote(one.namespace)).replace(
        "{scaledobject}", quote(one.scaled_object)
    )


def _steps(decision: Decision, words: Words) -> list[dict[str, str]]:
    return [
        {
            "replicas": number(step.replicas),
            "reason": step.reason.value,
            "gloss": words.reason(step.reason.value),
            "detail": words.sentence(step.detail),
        }
        for step in decision.steps
    ]


def _signals(decision: Decision, words: Words, role: str) -> list[dict[str, str]]:
    """Return the signals: of inference in replicas, of training as a share of the pool."""
    load, target = ("{:.0%}", "{:.0%}") if role == "training" else ("{:.2f}", "{:g}")
    return [
        {
            "name": signal.name,
            "load": words("abstains") if signal.load is None else load.format(signal.load),
            "target": target.format(signal.target),
            "detail": words.sentence(signal.detail),
        }
        for signal in decision.signals
    ]


def _safe(decision: Decision, words: Words) -> str:
    if decision.safe_concurrency is None:
        return ""
    if decision.binding_limit is None:
        return words("safe", n=decision.safe_concurrency)
    return words("safe_bound", n=decision.safe_concurrency, limit=decision.binding_limit)


def _pool(pool: Picture, words: Words) -> dict[str, Any]:
    strips: Sequence[Strip] = (pool.whole, *pool.nodes)
    return {
        "has_nodes": bool(pool.nodes),
        "has_reserved": Use.RESERVED in dict(pool.whole.uses),
        "strips": [
            {
                "name": strip.name,
                "schedulable": strip.schedulable,
                "uses": [(use.value, count) for use, count in strip.uses],
                "words": ", ".join(f"{count} {words(f'use_{use}')}" for use, count in strip.uses),
            }
            for strip in strips
        ],
    }
