"""How the process is, in one sentence: what a person must know before reading any number."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

from scaler.telemetry.observed import Observation, Standing

from .words import Words, catalogue

STALE_AFTER_S = 30.0
"""No round of decisions for so long, and the page says so."""

_OURS = "/docs/runbooks.md"
"""Where a copy of the repository has its runbooks; what is elsewhere is somebody's own page."""
_TRANSLATED = {"zh": "/docs/zh-CN/runbooks.md"}
"""By language, where it is not English."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where help is."""

    runbooks: str
    """Address of the page of runbooks; an alert's name in small letters is an anchor of it."""
    dashboard: str | None = None
    """Address of the Grafana dashboard; ``{namespace}`` and ``{scaledobject}`` are filled in."""

    def runbook(self, alert: str, language: str) -> str:
        """Return the address of an alert's runbook: in the reader's language, where it is ours."""
        ours = self.runbooks.endswith(_OURS)
        told = _TRANSLATED.get(language, _OURS)
        page = self.runbooks.removesuffix(_OURS) + told if ours else self.runbooks
        return f"{page}#{alert.lower()}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """A sentence, how grave it is, and what to do next."""

    kind: str
    """``ok``, ``dim`` (nothing to do), ``warn`` or ``bad``."""
    text: str
    command: str | None = None
    runbook: str | None = None
    stale: bool = False
    """Whether what the page shows is of before."""


def banner(
    words: Words, seen: Sequence[Observation], standing: Standing, links: Links, *, now_s: float
) -> Banner:
    """Return the sentence; the gravest that holds."""
    age_s = now_s - standing.ticked_s
    if standing.draining:
        return Banner(kind="dim", text=words("draining"))
    if age_s > STALE_AFTER_S:
        return Banner(
            kind="bad",
            text=words("stuck", ago=words.ago(age_s), at=_clock(standing.ticked_s)),
            stale=True,
            runbook=links.runbook("KvtideDecisionStale", words.language),
        )
    if standing.failure:
        key = "failing" if standing.ready else "starting_failing"
        return Banner(
            kind="bad",
            text=words(key, cause=_cause(words, standing)),
            command="kvtide doctor --config FILE",
            runbook=links.runbook("KvtideSourceErrors", words.language),
        )
    return _of_objects(words, seen, standing, links)


def _of_objects(
    words: Words, seen: Sequence[Observation], standing: Standing, links: Links
) -> Banner:
    held = [one for one in seen if one.held]
    if not standing.ready:
        return Banner(kind="dim", text=words("starting"))
    if held:
        return Banner(
            kind="bad",
            text=words("held_some", held=len(held), all=len(seen)),
            command=f"kubectl -n {held[0].namespace} describe scaledobject {held[0].scaled_object}",
            runbook=links.runbook("KvtideHolding", words.language),
        )
    if not seen:
        return Banner(kind="dim", text=words("idle_server"))
    return Banner(kind="ok", text=words("well", all=len(seen)))


def _cause(words: Words, standing: Standing) -> str:
    """Return why the source fails, in words, with its own detail and since when."""
    kind = f"cause_{standing.failure_kind}"
    cause = words(kind if kind in catalogue() else "cause_other")
    detail = words.sentence(standing.failure_detail)
    told = words("cause_told", cause=cause, detail=detail) if detail else cause
    if standing.failing_since_s is None:
        return told
    return words("since", cause=told, at=_clock(standing.failing_since_s))


def _clock(at_s: float) -> str:
    return f"{dt.datetime.fromtimestamp(at_s, dt.UTC):%H:%M:%S} UTC"
