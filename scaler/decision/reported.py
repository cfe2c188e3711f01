"""
What the engines of a window report at all: a signal that rests says which readings it lacks.

"Not enough load yet" and "never told" look alike to a fit, and only one of them passes by itself.
"""

from collections.abc import Mapping, Sequence

from scaler.said import Said

from .sample import Sample
from .window import Window

WORK: Mapping[str, Sequence[str]] = {
    "finished requests": ("requests_finished_total",),
    "prompt tokens": ("prompt_tokens_total",),
    "generated tokens": ("generation_tokens_total",),
    "engine steps or inter-token latency": ("steps_total", "itl_count"),
}
"""What the law of work is fitted to: counters, any one of each line."""

_RECENT = 60
"""Samples that are looked at: what an engine reports, it reports in each."""


def lacking(window: Window, needed: Mapping[str, Sequence[str]]) -> list[str]:
    """Return which of some readings no replica has reported lately; none where none speaks."""
    recent = window.samples[-_RECENT:]
    replicas = [replica for sample in recent for replica in sample.replicas]
    if all(replica.requests_running is None for replica in replicas):
        return []
    return [
        what
        for what, fields in needed.items()
        if all(getattr(replica, field) is None for replica in replicas for field in fields)
    ]


def why_silent(sample: Sample, answering: int) -> Said:
    """Say of how many ready replicas an engine is heard, and what is there of the others."""
    told = {"answering": answering, "ready": sample.ready}
    asleep = sum(replica.sleeping for replica in sample.replicas)
    if asleep:
        return Said(
            "{answering} of {ready} ready replicas report, {asleep} sleep: requests that they hold"
            " show in no gauge",
            asleep=asleep,
            **told,
        )
    if answering:
        return Said("{answering} of {ready} ready replicas report", **told)
    if sample.targets_up:
        return Said(
            "{answering} of {ready} ready replicas report: of {up} the page is scraped and shows"
            " no fresh series of the engine (another engine, other names, frozen?)",
            up=sample.targets_up,
            **told,
        )
    return Said(
        "{answering} of {ready} ready replicas report: no page of their pods is seen scraped"
        " (labels that name them, a scrape job?)",
        **told,
    )


def of_sleepers(sample: Sample) -> Said | None:
    """Say what replicas that sleep count as; None: none does."""
    asleep = sum(replica.sleeping for replica in sample.replicas)
    if not asleep:
        return None
    if sample.gateway_in_flight is not None:
        return Said(
            "Replicas that sleep count as loading: {asleep}. Nobody here wakes them.",
            asleep=asleep,
        )
    return Said(
        "Replicas that sleep count as silent: {asleep}. What they hold shows in no gauge, and no"
        " gateway counts it.",
        asleep=asleep,
    )
