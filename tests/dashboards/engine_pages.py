"""
A page of every engine that has a profile, whose counters grow from scrape to scrape.

Captured where there is a capture. Else each name of the profile is stated with labels of its
documentation: that shows that the panels ask for what the profiles name, not that engines have it.
"""

import functools
import pathlib
import re

from dashboards.engine_series import QUEUE_S
from scaler.readings.engines.profile import EngineProfile, shipped_profiles

FIXTURES = pathlib.Path(__file__).parents[1] / "readings/fixtures"
CAPTURED = {
    "vllm": "vllm-0.32.0.prom",
    "llamacpp": "llama.cpp-11434.prom",
}
GROWS = re.compile(r"^(\w[\w:]*_(?:total|count|sum|bucket)(?:\{.*\})?) ([0-9.e+-]+)$", re.MULTILINE)

STATED = {
    "vllm": (
        'vllm:prefix_cache_hits_total{engine="0",model_name="tiny"} 4',
        'vllm:prefix_cache_queries_total{engine="0",model_name="tiny"} 9',
    )
}
"""What the captures left out and the engine has."""

LACKING = {
    "ray-vllm": {"Prompt tokens found in a cache"},
    "sglang": {"Requests that ended, by reason", "Preemptions per second"},
    "ray-sglang": {
        "Requests that ended, by reason",
        "Prompt tokens found in a cache",
        "Preemptions per second",
    },
    "lmdeploy": {"Prompt tokens found in a cache", "Preemptions per second"},
    "tgi": {
        "Time to first token",
        "Requests that ended, by reason",
        "Prompt tokens found in a cache",
        "Preemptions per second",
    },
    "trtllm": {
        "Length of prompts and answers, tokens",
        "Prompt tokens found in a cache",
        "Preemptions per second",
    },
    "nim": {"Time in the queue", "Prompt tokens found in a cache", "Preemptions per second"},
    "triton": {
        "Inter-token latency",
        "Time in the queue",
        "Tokens per second",
        "Length of prompts and answers, tokens",
        "Requests that ended, by reason",
        "Prompt tokens found in a cache",
        "Preemptions per second",
    },
    "llamacpp": {
        "KV cache usage",
        "Time to first token",
        "End-to-end latency",
        "Time in the queue",
        "Length of prompts and answers, tokens",
        "Requests that ended, by reason",
        "Prompt tokens found in a cache",
        "Preemptions per second",
    },
}
"""Panels that an engine has nothing for."""


PROFILES = shipped_profiles()
SEEN = re.compile(r"running|requests|prompt|generation|token|cache|queue|latency|preempt|predicted")


def page(engine: str, scrape: int) -> str:
    """Return an engine's page as the ``scrape``-th reader sees it."""
    if engine in CAPTURED:
        return GROWS.sub(
            lambda row: f"{row[1]} {(float(row[2]) + 1) * scrape:g}", _captured(engine)
        )
    return _stated(PROFILES[engine], scrape)


@functools.cache
def _captured(engine: str) -> str:
    """Return a captured page, without what no panel asks for."""
    text = (FIXTURES / CAPTURED[engine]).read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if line[:1] != "#" and SEEN.search(line)]
    return "\n".join([*kept, *STATED.get(engine, ()), ""])


def _stated(profile: EngineProfile, scrape: int) -> str:
    lines: dict[str, float] = {}
    label = "model" if profile.name == "triton" else "model_name"
    for field, reading in profile.readings.items():
        for rows in (*reading.rows[:1], *reading.out_of[:1]):
            more = "".join(f',{name}="{value}"' for name, value in rows.match)
            grows = field.endswith(("_total", "_sum_s", "_count"))
            ended = ',finished_reason="stop"' if "finished" in field else ""
            lines[f'{rows.metric}{{{label}="m"{more}{ended}}}'] = scrape if grows else 0.5
    histograms = [
        rows.metric for rows in (*profile.prompt_lengths[:1], *profile.output_lengths[:1])
    ]
    histograms += [
        name.removesuffix("_sum") + "_bucket"
        for field, reading in profile.readings.items()
        if (name := reading.rows[0].metric).endswith("_sum") and field.endswith("_sum_s")
    ]
    if profile.name in QUEUE_S:
        histograms.append(f"{QUEUE_S[profile.name]}_bucket")
    for name in histograms:
        lines |= {f'{name}{{{label}="m",le="{le}"}}': scrape for le in ("1.0", "+Inf")}
    if profile.name == "sglang":
        lines |= {
            f'sglang:{name}_total{{{label}="m"}}': scrape
            for name in ("cached_tokens", "prompt_tokens")
        }
    return "".join(f"{series} {value:g}\n" for series, value in lines.items())
