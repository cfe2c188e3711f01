"""What kvtide said of an object, read back from the Prometheus that scrapes it."""

from collections.abc import Iterable, Mapping
from typing import Any

from scaler.readings import promql
from scaler.readings.prometheus import PrometheusApi
from scaler.readings.replies import Row
from scaler.report.moments import NO_DATA, Moment

_OF = {
    "kvtide_desired_replicas": "wanted",
    "kvtide_ready_replicas": "ran",
    "kvtide_load": "load",
    "kvtide_online_load": "load",
    "kvtide_safe_concurrency": "safe_concurrency",
    "kvtide_panic": "panic",
}
"""Metric to the field of a Moment; desired replicas and what is held carry the reason as well."""
_HELD = "kvtide_held"
_COUNTS = {"wanted", "ran", "safe_concurrency"}


async def recorded(
    api: PrometheusApi,
    namespace: str,
    name: str,
    *,
    span_s: float,
    step_s: float,
    now_s: float,
) -> list[Moment]:
    """
    Return one moment for each step of the last ``span_s`` seconds that was recorded, oldest first.

    Empty: this Prometheus does not scrape kvtide. Replicas of the scaler say the same; of copies
    the largest counts.

    Raises:
        SourceError: Prometheus does not answer.
    """
    chosen = promql.selector(
        [*_OF, _HELD], [("namespace", "=", namespace), ("scaledobject", "=", name)]
    )
    query = f"max by (__name__, reason, binding_limit) ({chosen})"
    rows = await api.query(promql.over(query, span_s, step_s=step_s), now_s)
    return moments_of(rows)


def moments_of(rows: Iterable[Row]) -> list[Moment]:
    """Return the moments that rows of our own metrics tell of, oldest first."""
    found: dict[float, dict[str, Any]] = {}
    for labels, points in rows:
        for at_s, value in points:
            _take(found.setdefault(at_s, {}), labels, value)
    return [
        Moment(at_s=at_s, detail="", **{"reason": NO_DATA, **fields})
        for at_s, fields in sorted(found.items())
    ]


def _take(fields: dict[str, Any], labels: Mapping[str, str], value: float) -> None:
    name = labels.get("__name__", "")
    if name == _HELD:
        if value > 0:
            fields["reason"] = labels.get("reason") or NO_DATA
        return
    field = _OF.get(name)
    if field is None:
        return
    fields[field] = bool(value) if field == "panic" else value
    if field in _COUNTS:
        fields[field] = round(value)
    if field == "wanted":
        fields["reason"] = labels.get("reason", "")
    if field == "safe_concurrency":
        fields["binding_limit"] = labels.get("binding_limit") or None
