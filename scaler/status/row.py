"""One object as the overview and its own page show it."""

import dataclasses

from scaler.decision.decision import Decision
from scaler.said import joined, pieces
from scaler.telemetry.observed import Observation

from .words import Words

NOTHING = "–"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Texts, and what to sort by."""

    key: str
    """``namespace/scaledobject``."""
    role: str
    state: str
    """``ok``, ``held``, ``wrong`` (its metadata)."""
    wanted: str
    ready: str
    bounds: str
    load: str
    safe: str
    reason: str
    gloss: str
    detail: str
    kept: str
    panic: bool
    age: str
    order: tuple[float | None, ...]
    """Wanted, ready, load, age."""

    @property
    def link(self) -> str:
        """The object's own page, from the overview."""
        return f"objects/{self.key}"


def row(one: Observation, words: Words, *, now_s: float, failure: str | None = None) -> Row:
    """Return an object's texts; a ``failure`` of the source is said once, above all of them."""
    decision = one.decision
    wanted = None if decision is None else decision.replicas
    ready = None if decision is None else decision.ready_replicas
    load = None if decision is None else share_of_target(decision, one.role)
    age_s = None if one.newest_s is None else now_s - one.newest_s
    return Row(
        key=one.key,
        role=one.role,
        state="wrong" if one.role == "unknown" else "held" if one.held else "ok",
        wanted=words("held_now") if wanted is None else str(wanted),
        ready=number(ready),
        bounds=_bounds(one.bounds),
        load=NOTHING if load is None else f"{load:.0%}",
        safe=_safe(decision),
        reason=one.reason,
        gloss=words.reason(one.reason),
        detail=words.sentence(_without(one.detail, failure)),
        kept=_kept(one, words) if one.held else "",
        panic=bool(decision and decision.panic),
        age=words("none_yet") if age_s is None else words.ago(age_s),
        order=(wanted, ready, load, age_s),
    )


def _without(detail: str, failure: str | None) -> str:
    if not failure:
        return detail
    told = pieces(detail)
    kept = [one for one in told if failure not in one]
    return joined("; ", kept) if 0 < len(kept) < len(told) else detail


def share_of_target(decision: Decision, role: str) -> float | None:
    """
    Return how full what is ready runs, 1.0 being its target; of training the pool's online load.

    None: no load is known, or nothing is ready.
    """
    if role == "training":
        return decision.load
    shares = [s.load / s.target for s in decision.signals if s.load is not None and s.target]
    if not shares or not decision.ready_replicas:
        return None
    return max(shares) / decision.ready_replicas


def number(value: int | None) -> str:
    """Return a count, or a dash where it is not known."""
    return NOTHING if value is None else str(value)


def _bounds(bounds: tuple[int, int | None] | None) -> str:
    if bounds is None:
        return NOTHING
    least, most = bounds
    return f"{least}–{'∞' if most is None else most}"


def _safe(decision: Decision | None) -> str:
    if decision is None or decision.safe_concurrency is None:
        return NOTHING
    limit = f" ({decision.binding_limit})" if decision.binding_limit else ""
    return f"{decision.safe_concurrency}{limit}"


def _kept(one: Observation, words: Words) -> str:
    """What KEDA keeps while there is no answer: what was seen last, and what was asked for."""
    before = one.before
    if before is None or before.replicas is None:
        return ""
    stands = before.spec_replicas if one.decision is None else one.decision.spec_replicas
    if stands is None:
        return words("kept_unknown", asked=before.replicas)
    return words("kept", kept=stands, asked=before.replicas)
