"""
A planned replica as text and JSON: the steps, what fits, what gets more, what enforces it.

Nothing is computed here that the plan does not hold or ``alternatives`` does not answer.
"""

import math
from collections.abc import Sequence
from typing import Any

from scaler.capacity.alternatives import (
    Alternative,
    LengthRow,
    alternatives,
    if_declared,
    if_narrow,
    length_table,
)
from scaler.capacity.kv_cache import GIB, CapacityStep, Engine
from scaler.capacity.kv_cache.vllm_rules import version
from scaler.capacity.planned import Planned, token_share

ENFORCED_BY = {
    Engine.VLLM: "--max-num-seqs",
    Engine.SGLANG: "--max-running-requests",
    Engine.TGI: "--max-concurrent-requests",
    Engine.TRTLLM: "--max_batch_size",
}


def capacity_json(planned: Planned) -> dict[str, Any]:
    """Return the plan as one JSON document; sizes per GPU, requests per replica."""
    capacity, safe = planned.capacity, planned.safe
    return {
        "model": planned.architecture.name,
        "family": planned.architecture.family,
        "engine": planned.serving.engine,
        "engine_version": _version(planned),
        "gpus": planned.serving.gpus,
        "kv_cache_dtype": capacity.kv_dtype,
        "kv_bytes_per_token_per_gpu": _whole(capacity.bytes_per_token_per_gpu),
        "kv_constant_bytes_per_request_per_gpu": capacity.constant_bytes_per_request_per_gpu,
        "kv_cache_gib_per_gpu": capacity.cache_bytes_per_gpu / GIB,
        "num_blocks": capacity.num_blocks,
        "usable_blocks": capacity.usable_blocks,
        "block_tokens": capacity.layout.block_tokens,
        "growing_groups": capacity.layout.growing_groups,
        "constant_blocks": capacity.layout.constant_blocks,
        "block_bytes_per_gpu": capacity.layout.bytes_per_block_per_gpu,
        "kv_capacity_tokens": capacity.capacity_tokens,
        "engine_reported_tokens": capacity.reported_tokens,
        "max_model_len": capacity.max_model_len,
        "max_concurrency_at_max_model_len": capacity.max_concurrency,
        "needed_gib_for_max_model_len": _needed_gib(planned),
        "safe_concurrency": planned.requests if planned.lengths else None,
        "binding_limit": safe.binding if planned.lengths else None,
        "limits": [
            {"limit": bound.limit, "requests": bound.requests, "why": bound.detail}
            for bound in (safe.bounds if planned.lengths else ())
        ],
        "memory": _memory_json(planned),
        "steps": [
            {"name": step.name, "value": step.value, "unit": step.unit, "why": step.why}
            for step in steps(planned)
        ],
        "requests_by_length": [
            {"tokens": row.tokens, "requests": row.requests} for row in length_table(planned)
        ],
        "to_get_more": [
            {"change": one.change, "requests": one.requests, "gpus": one.gpus}
            for one in alternatives(planned)
        ],
        "enforced_by": enforcement(planned),
        "notes": notes(planned),
    }


def _memory_json(planned: Planned) -> dict[str, float] | None:
    memory = planned.memory
    if memory is None:
        return None
    low, high = memory.available_range_gib
    return {
        "gpu_gib": memory.total_gib,
        "gpu_memory_utilization": memory.utilization,
        "weights_gib": memory.weights_gib,
        "overhead_gib": memory.overhead_gib,
        "weights_and_overhead_low_gib": memory.low_gib,
        "weights_and_overhead_high_gib": memory.high_gib,
        "kv_cache_low_gib": low,
        "kv_cache_high_gib": high,
    }


def capacity_text(planned: Planned) -> str:
    """Return the plan as a person reads it; no trailing blanks, no final newline."""
    blocks = (
        _headline(planned),
        _steps_table(steps(planned)),
        _lengths_table(length_table(planned)),
        _list("To get more:", [_alternative(planned, one) for one in alternatives(planned)]),
        _list("To enforce it:", enforcement(planned)),
        _list("Notes:", notes(planned)),
    )
    text = "\n\n".join(block for block in blocks if block)
    return "\n".join(line.rstrip() for line in text.splitlines())


def steps(planned: Planned) -> tuple[CapacityStep, ...]:
    """Return the whole chain: memory, blocks, requests."""
    gib = planned.capacity.cache_bytes_per_gpu / GIB
    cache = CapacityStep(name="KV cache", value=gib, unit="GiB per GPU", why=_origin(planned))
    memory = planned.memory.steps if planned.memory is not None else ()
    if planned.lengths is None:
        return (*memory, cache, *planned.capacity.steps)
    limits = (
        CapacityStep(
            name=f"limit: {bound.limit}",
            value=bound.requests,
            unit="requests",
            why=bound.detail,
        )
        for bound in planned.safe.bounds
    )
    safe = CapacityStep(
        name="safe concurrency",
        value=planned.requests,
        unit="requests",
        why=f"the least of the limits: {planned.safe.binding}",
    )
    return (*memory, cache, *planned.capacity.steps, *limits, safe)


def _origin(planned: Planned) -> str:
    """Return where the cache's memory comes from."""
    if planned.memory is None:
        return "as stated"
    share = token_share(planned.architecture, planned.serving)
    states = f", {share:.1%} of it for tokens and the rest for states" if share < 1 else ""
    return f"budget less weights and overhead{states}"


def enforcement(planned: Planned) -> list[str]:
    """Return the settings that hold a replica to its number; none without lengths."""
    requests, engines = planned.requests, planned.serving.data_parallel
    if not requests or planned.lengths is None:
        return []
    flag = ENFORCED_BY[planned.serving.engine]
    each = f" on each of the {engines} engines" if engines > 1 else ""
    gateway = (
        f"gateway: at most {requests} requests in flight per replica (Envoy and Istio: "
        f"http2MaxRequests {requests} × replicas; nginx: max_conns={requests})"
    )
    return [
        f"engine: {flag} {max(1, requests // engines)}{each}; further requests wait in its queue",
        gateway,
        f"kvtide: maxConcurrency: '{requests}' in the trigger's metadata",
    ]


def notes(planned: Planned) -> list[str]:
    """Return what was assumed and what to watch."""
    found = [f"shapes: {planned.architecture.source}"]
    serving, capacity, memory = planned.serving, planned.capacity, planned.memory
    if not planned.kv_requests:
        found.append(_too_small(planned))
    if serving.version is None and (assumed := _version(planned)) is not None:
        found.append(f"no engine version stated: {assumed} is assumed")
    if memory is not None:
        low, high = memory.available_range_gib
        found.append(
            f"weights and overhead are told, not measured: {memory.low_gib:.1f} to "
            f"{memory.high_gib:.1f} GiB, which leaves {low:.1f} to {high:.1f} GiB of cache; "
            "state --available-kv-gib from the engine's log to be exact"
        )
    if serving.kv_dtype == "auto" and planned.architecture.kv_dtype is not None:
        found.append(f"auto means {capacity.kv_dtype}: the checkpoint declares it")
    if memory is None and serving.gpus > serving.data_parallel:
        found.append(
            f"blocks are the least over the {serving.gpus // serving.data_parallel} GPUs of an "
            "engine: state what the log prints for the one that has least"
        )
    found += _if_otherwise(planned)
    if planned.lengths is None:
        found.append(
            "no lengths stated: how many requests fit depends on them; state --prompt-tokens and "
            "--output-tokens"
        )
    if capacity.layout.constant_blocks:
        found.append("tokens are no measure of this model's cache: compare blocks")
    return found


def _if_otherwise(planned: Planned) -> list[str]:
    """Return what holds if the checkpoint's files or the engine's flags say what is not told."""
    found = []
    model, engine = planned.architecture, planned.serving.engine
    if engine is Engine.SGLANG and model.family == "sliding hybrid" and not model.windows_apart:
        found.append("SGLang 0.5.23 has no pool for this family's windows: all tokens are kept")
    if (declared := if_declared(planned)) is not None:
        found.append(
            f"a name is no proof of the cache's type: {planned.capacity.kv_dtype} is assumed; if "
            "the checkpoint's hf_quant_config.json or config.json declares fp8 "
            "(kv_cache_quant_algo, kv_cache_scheme), state --kv-cache-dtype fp8: "
            + _certain(declared)
        )
    if (narrow := if_narrow(planned)) is not None:
        found.append(
            "states are taken in 32 bits, as the configuration says; if the engine is started with "
            f"--mamba-ssm-cache-dtype float16, state it too: {_certain(narrow)}"
        )
    return found


def _too_small(planned: Planned) -> str:
    tokens = planned.capacity.capacity_tokens
    if not planned.capacity.num_blocks:
        return "the model does not fit: nothing is left for a cache"
    return f"not one request fits: the cache holds {tokens:,} tokens; lower max_model_len to that"


def _version(planned: Planned) -> str | None:
    if planned.serving.engine is Engine.VLLM:
        return str(version(planned.serving))
    return planned.serving.version


def _needed_gib(planned: Planned) -> float | None:
    blocks = planned.capacity.longest_request_blocks
    if blocks is None:
        return None
    return blocks * planned.capacity.layout.bytes_per_block_per_gpu / GIB


def _headline(planned: Planned) -> str:
    serving = planned.serving
    engine = " ".join(filter(None, (serving.engine, _version(planned))))
    gpus = f"{serving.gpus} GPU" + ("s" if serving.gpus > 1 else "")
    where = f"{planned.architecture.name} ({planned.architecture.family}) on {gpus} with {engine}"
    if planned.lengths is None:
        return f"{where}: {_certain(planned)}"
    return f"{where}: {_count(planned.requests)} at once, limited by {planned.safe.binding}"


def _certain(planned: Planned) -> str:
    """Return what holds whatever the lengths: the tokens that fit, and the worst case as such."""
    capacity = planned.capacity
    tokens = capacity.capacity_tokens * capacity.data_parallel
    held = f"{tokens:,} tokens of cache"
    if capacity.max_model_len is None:
        return held
    worst = f"{_count(planned.kv_requests)} of the full {capacity.max_model_len:,} tokens"
    return f"{held}; at worst {worst}"


def _count(requests: int) -> str:
    return f"{requests:,} request" + ("" if requests == 1 else "s")


def _alternative(planned: Planned, one: Alternative) -> str:
    gpus = f" on {one.gpus} GPUs" if one.gpus > 1 else ""
    worst = "" if planned.lengths else " of the full length"
    return f"{one.change}: the cache holds {_count(one.requests)}{worst}{gpus}"


def _steps_table(lines: Sequence[CapacityStep]) -> str:
    rows = [(step.name, _number(step.value), step.unit, step.why) for step in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{name:{widths[0]}}  {value:>{widths[1]}} {unit:{widths[2]}}  {why}"
        for name, value, unit, why in rows
    )


def _lengths_table(rows: Sequence[LengthRow]) -> str:
    if not rows:
        return ""
    dtypes = list(rows[0].requests)
    lines = ["Requests at once, all of one length, by KV dtype:"]
    lines.append(f"{'tokens':>10}" + "".join(f"{dtype:>14}" for dtype in dtypes))
    lines += [
        f"{row.tokens:>10,}" + "".join(f"{row.requests[dtype]:>14,}" for dtype in dtypes)
        for row in rows
    ]
    return "\n".join(lines)


def _list(title: str, lines: Sequence[str]) -> str:
    return "\n".join((title, *(f"  {line}" for line in lines))) if lines else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _whole(value: float) -> float:
    return int(value) if math.isclose(value, round(value)) else value
