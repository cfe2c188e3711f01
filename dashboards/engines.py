"""
One row of panels for every engine.

The row repeats over the engines that Prometheus has series of: of the others nothing is shown.
"""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from . import engine_series as series
from .panels import choice, lines


def variables() -> tuple[dashboard.QueryVariable, ...]:
    """Return what the row repeats over, and whose models it shows."""
    there = f'{{__name__=~"{series.signs()}", namespace=~"$namespace"}}'
    engine = choice("engine", f"label_values({there}, __name__)").regex(
        r"/(?<value>(?<text>[a-z_]*(vllm|sglang|tgi|lmdeploy|llamacpp|nv_trt_llm|trtllm|num)).*)/"
    )
    return engine, choice("model", f"label_values({there}, model_name)")


def row(page: dashboard.Dashboard) -> dashboard.Dashboard:
    """Add the row that repeats."""
    return (
        page.with_row(dashboard.Row("Engine: ${engine:text}").repeat("engine"))
        .with_panel(
            lines(
                "Requests in flight",
                "Waiting above zero for long: replicas are full or still starting.",
                (series.every("requests_running", "value"), f"running {series.LEGEND}"),
                (series.every("requests_waiting", "value"), f"waiting {series.LEGEND}"),
            )
        )
        .with_panel(
            lines(
                "KV cache usage",
                "Share in use, the fullest replica. At 1.0 an engine preempts what it has begun.",
                (series.every("kv_cache_usage", "fullest"), series.LEGEND),
                unit="percentunit",
                most=1,
                thresholds=((0.9, "red"),),
            )
        )
        .with_panel(
            lines(
                "Time to first token",
                "Rises first when prompts queue. Where an engine has no histogram, its mean.",
                *series.latency("ttft"),
                unit="s",
            )
        )
        .with_panel(
            lines(
                "Inter-token latency",
                "Rises with requests running; its target bounds the safe concurrency.",
                *series.latency("itl"),
                unit="s",
            )
        )
        .with_panel(
            lines(
                "End-to-end latency",
                "Of whole requests: grows with what is generated, so read it beside the lengths.",
                *series.latency("e2e"),
                unit="s",
            )
        )
        .with_panel(
            lines(
                "Time in the queue",
                "Before a request's first step. Above zero: the engines are full.",
                (series.queue_time(0.5), f"p50 {series.LEGEND}"),
                (series.queue_time(0.95), f"p95 {series.LEGEND}"),
                unit="s",
            )
        )
        .with_panel(
            lines(
                "Tokens per second",
                "Prompt tokens that were computed, and tokens generated.",
                (series.every("prompt_tokens_total", "rate"), f"prompt {series.LEGEND}"),
                (series.every("generation_tokens_total", "rate"), f"generated {series.LEGEND}"),
            )
        )
        .with_panel(
            lines(
                "Length of prompts and answers, tokens",
                "What a request takes of the KV cache: longer ones lower the safe concurrency.",
                (series.lengths("prompt_lengths", 0.5), f"prompt p50 {series.LEGEND}"),
                (series.lengths("prompt_lengths", 0.95), f"prompt p95 {series.LEGEND}"),
                (series.lengths("output_lengths", 0.5), f"answer p50 {series.LEGEND}"),
                (series.lengths("output_lengths", 0.95), f"answer p95 {series.LEGEND}"),
            )
        )
        .with_panel(
            lines(
                "Requests that ended, by reason",
                "length: cut at a limit of tokens. abort: the client left, often for waiting.",
                (series.finished(), "{{finished_reason}}"),
                unit="reqps",
            )
        )
        .with_panel(
            lines(
                "Prompt tokens found in a cache",
                "Share that was not computed again. Falls when requests of one conversation "
                "reach different replicas. Empty where the engine caches no prefixes.",
                (series.cache_hits(), series.LEGEND),
                unit="percentunit",
                most=1,
            )
        )
        .with_panel(
            lines(
                "Preemptions per second",
                "A preempted request is computed again: lower the safe concurrency if they last.",
                (series.every("preemptions_total", "rate"), series.LEGEND),
            )
        )
    )


def objectives() -> tuple[dashboard.QueryVariable, ...]:
    """Return the choices of a bucket's bound: seconds to the first token, and between tokens."""
    return tuple(
        choice(name, f"label_values({{{series.buckets(latency)}}}, le)", many=False)
        .label(label)
        .sort(models.VariableSort.NUMERICAL_ASC)
        .current(models.VariableOption(text=at, value=at, selected=True))
        for name, latency, label, at in (
            ("ttft", "ttft", "First token within, s", "1.0"),
            ("gap", "itl", "Gap within, s", "0.05"),
        )
    )
