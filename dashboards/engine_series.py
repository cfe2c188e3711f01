"""
The expressions behind the engines' panels, made of the profiles that the scaler itself reads by.

Each asks for one thing under every engine's own name, as exposed and as collectors and platforms
respell it; what it asks for under the names of another engine than the row's is empty.
"""

import re
from collections.abc import Iterable, Iterator

from scaler.readings.engines.profile import EngineProfile, shipped_profiles
from scaler.readings.readings import Combine, Reading, Rows

from .panels import Query

_PROFILES = shipped_profiles()
_NONE = Reading(rows=())
_WHO = "model_name, model"
"""The labels that name a model: the engines have one or the other."""
LEGEND = "{{model_name}}{{model}}"

QUEUE_S = {
    "vllm": "vllm:request_queue_time_seconds",
    "ray-vllm": "ray_vllm_request_queue_time_seconds",
    "sglang": "sglang:queue_time_seconds",
    "ray-sglang": "ray_sglang_queue_time_seconds",
    "lmdeploy": "lmdeploy:request_queue_time_seconds",
    "tgi": "tgi_request_queue_duration",
    "trtllm": "trtllm_request_queue_time_seconds",
}
"""Histograms of the time before the first step; no decision is made by them."""

_FINISHED = {"vllm": "finished_reason", "ray-vllm": "finished_reason"} | dict.fromkeys(
    ("trtllm", "nim", "lmdeploy"), "finished_reason"
)
"""Where the counter of requests that ended says why they did."""

_CACHE_HITS = {
    "vllm": ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total"),
    "ray-vllm": ("ray_vllm_prefix_cache_hits_total", "ray_vllm_prefix_cache_queries_total"),
    "sglang": ("sglang:cached_tokens_total", "sglang:prompt_tokens_total"),
}
"""Prompt tokens that were found in a cache, and all of them."""


def signs() -> str:
    """Return a pattern of the names by which an engine is known to be there."""
    return "|".join(sign(profile) for profile in _PROFILES.values())


def buckets(what: str) -> str:
    names = "|".join(_name(profile, f"{name}_bucket") for profile, name in _histogrammed(what))
    return f'__name__=~"{names}", namespace=~"$namespace"'


def slo_share(what: str, objective: str, over: str = "$__rate_interval") -> str:
    """Return the share at or below the bucket that a variable names, by namespace and model."""
    parts = []
    for profile, name in _histogrammed(what):
        within = _selected(profile, Rows(metric=f"{name}_bucket"), f'le="${objective}"')
        every = _selected(profile, Rows(metric=f"{name}_count"))
        part, whole = (f"sum by (namespace, {_WHO}) (rate({s}[{over}]))" for s in (within, every))
        parts.append(f"({part} / ({whole} > 0))")
    return _or(parts)


def _histogrammed(what: str) -> Iterator[tuple[EngineProfile, str]]:
    """Yield the names of a latency's histograms, with whose they are."""
    for profile in _PROFILES.values():
        for rows in _as_exposed(profile.readings.get(f"{what}_sum_s", _NONE).rows):
            if rows.metric.endswith("_sum") and not rows.match:
                yield profile, rows.metric.removesuffix("_sum")


def every(field: str, how: str) -> str:
    """Return one reading under the names of all engines."""
    return _or(
        _only(profile, _reading(profile, reading, how))
        for profile in _PROFILES.values()
        if (reading := profile.readings.get(field))
    )


def _reading(profile: EngineProfile, reading: Reading, how: str) -> str:
    """Return what of several spellings there is, by model."""
    found = " or ".join(_row(profile, reading, rows, how) for rows in _as_exposed(reading.rows))
    return f"({found})"


def _row(profile: EngineProfile, reading: Reading, rows: Rows, how: str) -> str:
    series = _selected(profile, rows)
    if how == "rate":
        series = _rate(series)
    if reading.ranks:
        series = f"max without ({', '.join(reading.ranks)}) ({series})"
    if reading.out_of:
        series = f"({series} / {_selected(profile, reading.out_of[0])})"
    gather = "max" if how == "fullest" or reading.combine is Combine.MAX else "sum"
    scaled = "" if reading.scale == 1 else f" * {reading.scale:g}"
    return f"{gather} by ({_WHO}) ({series}){scaled}"


def latency(what: str) -> tuple[Query, ...]:
    """Return the median and the 95th percentile, or the mean of engines without a histogram."""
    with_buckets: dict[str, list[str]] = {}
    means = []
    for name, profile in _PROFILES.items():
        total, count = (profile.readings.get(f"{what}_{end}") for end in ("sum_s", "count"))
        if total is None or count is None:
            continue
        exposed = [rows.metric for rows in _as_exposed(total.rows) if not rows.match]
        if total.scale == 1 and exposed and all(metric.endswith("_sum") for metric in exposed):
            with_buckets[name] = [metric.removesuffix("_sum") for metric in exposed]
            continue
        sums, counts = (_reading(profile, reading, "rate") for reading in (total, count))
        means.append(_only(profile, f"{sums} / {counts}"))
    queries = [
        (
            _or(
                _only(_PROFILES[name], _quantile(_PROFILES[name], histograms, share))
                for name, histograms in with_buckets.items()
            ),
            f"p{100 * share:.0f} {LEGEND}",
        )
        for share in (0.5, 0.95)
    ]
    return (*queries, *([(_or(means), f"mean {LEGEND}")] if means else []))


def queue_time(share: float) -> str:
    """Return a quantile of the time before the first step."""
    return _or(
        _only(_PROFILES[engine], _quantile(_PROFILES[engine], [name], share))
        for engine, name in QUEUE_S.items()
    )


def lengths(field: str, share: float) -> str:
    found = []
    for profile in _PROFILES.values():
        names = [one.metric.removesuffix("_bucket") for one in _as_exposed(getattr(profile, field))]
        if names:
            found.append(_only(profile, _quantile(profile, names, share)))
    return _or(found)


def _quantile(profile: EngineProfile, histograms: Iterable[str], share: float) -> str:
    return " or ".join(
        f"histogram_quantile({share}, sum by (le, {_WHO}) "
        f"({_rate(_selected(profile, Rows(metric=f'{name}_bucket')))}))"
        for name in histograms
    )


def finished() -> str:
    by = []
    for name, profile in _PROFILES.items():
        label = _FINISHED.get(name)
        reading = profile.readings.get("requests_finished_total", _NONE)
        for rows in _as_exposed(reading.rows) if label else ():
            series = _rate(_selected(profile, rows))
            by.append(_only(profile, f"sum by (finished_reason) ({series})"))
    return _or(by)


def cache_hits() -> str:
    parts = []
    for name, (hits, queries) in _CACHE_HITS.items():
        found, asked = (
            f"sum by ({_WHO}) ({_rate(_selected(_PROFILES[name], Rows(metric=metric)))})"
            for metric in (hits, queries)
        )
        parts.append(_only(_PROFILES[name], f"{found} / ({asked} > 0)"))
    return _or(parts)


def _or(parts: Iterable[str]) -> str:
    return "\nor ".join(parts)


def _only(profile: EngineProfile, expression: str) -> str:
    """Return the same in the row of this engine, and nothing in another's."""
    return f'(({expression}) and on () group({{__name__=~"{sign(profile)}", __name__=~"$engine"}}))'


def sign(profile: EngineProfile) -> str:
    """Return a pattern of the names that say that an engine runs."""
    rows = _as_exposed(profile.readings["requests_running"].rows)
    own = [one for one in rows if not one.match] or rows
    return "|".join(dict.fromkeys(_name(profile, one.metric) for one in own))


def _as_exposed(rows: Iterable[Rows]) -> list[Rows]:
    """Leave out what collectors make of a name: :func:`_name` matches those too."""
    named = [one for one in rows if one.spelling_of is None]
    made = {one.metric.replace(":", "_") for one in named if ":" in one.metric}
    return [one for one in named if one.metric not in made]


def _name(profile: EngineProfile, metric: str) -> str:
    """Return a pattern: as exposed, with a platform's prefix, with an underscore for a colon."""
    prefix = "|".join(map(re.escape, profile.prefixes))
    return (f"({prefix})?" if prefix else "") + metric.replace(":", "[:_]")


def _selected(profile: EngineProfile, rows: Rows, *more: str) -> str:
    model = "model" if "model" in profile.readings["requests_running"].over else "model_name"
    matched = [f'{label}="{value}"' for label, value in rows.match]
    chosen = ", ".join(('namespace=~"$namespace"', f'{model}=~"$model"', *matched, *more))
    name = _name(profile, rows.metric)
    if name == rows.metric:
        return f"{name}{{{chosen}}}"
    return f'{{__name__=~"{name}", {chosen}}}'


def _rate(series: str) -> str:
    return f"rate({series}[$__rate_interval])"
