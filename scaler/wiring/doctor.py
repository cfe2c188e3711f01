"""
What a person who sets kvtide up wants to know first: what is there, what is not, what that costs.

The same sources read the same way as a server does; what is added is only what they found.
"""

import asyncio
import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

from scaler.check.many import too_many
from scaler.configuration import Configuration
from scaler.decision.compose import lookback_s
from scaler.decision.decide import decide
from scaler.errors import KvtideError, SourceError
from scaler.readings.examination import Examination, FoundReading
from scaler.readings.prometheus_source import PrometheusSource
from scaler.readings.several import SeveralSources
from scaler.report.decision_json import decision_json
from scaler.serving.compose import Readings
from scaler.source import Role, Trigger

from .sources import servers

Document = Mapping[str, Any]
_POLL_S = 0.25
_FINE_S = 600.0
"""How far back is read where nothing says how much is needed."""


async def examined(
    triggers: Mapping[str, Trigger],
    *,
    configuration: Configuration,
    watch_s: float,
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """
    Return what there is of every trigger (by ``namespace/scaledobject``), as a document.

    Without triggers it is of every server of the configuration alone.

    For ``watch_s`` seconds it is watched how late samples become visible.

    Raises:
        ConfigurationError: a server is missing, or the triggers are at odds with one another.
    """
    sources = servers(configuration)
    try:
        return await _examined(triggers, sources, configuration, watch_s=watch_s, clock=clock)
    finally:
        for source in sources.values():
            await source.close()


async def _examined(
    triggers: Mapping[str, Trigger],
    sources: Mapping[str, PrometheusSource],
    configuration: Configuration,
    *,
    watch_s: float,
    clock: Callable[[], float],
) -> dict[str, Any]:
    workloads = [trigger.workload for trigger in triggers.values()]
    fine_s = max((lookback_s(trigger.policy) for trigger in triggers.values()), default=_FINE_S)
    failed: dict[str, str] = {}
    now_s = clock()
    for name, source in sources.items():
        reads = [one for one in workloads if one.prometheus == name]
        try:
            await source.refresh(reads, fine_s, now_s)
        except SourceError as error:
            failed[name] = str(error)
    readings = Readings(SeveralSources(sources), triggers, now_s)
    objects = [
        _object(key, trigger, sources.get(trigger.workload.prometheus), readings, now_s)
        for key, trigger in triggers.items()
    ]
    used = {trigger.workload.prometheus for trigger in triggers.values()} & sources.keys()
    told = {}
    for name in sorted(used if triggers else sources):
        own = (one for one in triggers.values() if one.workload.prometheus == name)
        first = next(own, None)
        told[name] = {
            "url": configuration.prometheus[name].shown_url,
            "ingestion_delay_s": configuration.prometheus[name].ingestion_delay_s,
            "error": failed.get(name),
            **await _server(sources[name], first, watch_s, clock),
        }
    for one in objects:
        _add_pages(one, triggers[one["object"]], told.get(one["server"]))
    return {
        "ok": not failed and all(one["replicas"] is not None for one in objects),
        "servers": told,
        "objects": objects,
    }


async def _server(
    source: PrometheusSource,
    trigger: Trigger | None,
    watch_s: float,
    clock: Callable[[], float],
) -> dict[str, Any]:
    late_s = None
    try:
        facts = await source.about_server(clock)
        if trigger is not None:
            late_s = await _lateness_s(source, trigger, watch_s, clock)
    except SourceError as error:
        return {"error": str(error)}
    return {
        "kind": facts.kind.name,
        "version": facts.kind.version,
        "clock_ahead_s": None if facts.clock_ahead_s is None else round(facts.clock_ahead_s, 3),
        "exact_names": facts.exact_names,
        "kube_state_metrics": facts.has_cluster,
        "dcgm_exporter": facts.has_gpus,
        "objects_served": facts.objects_served,
        "warning": too_many(facts.objects_served or 0),
        "pages_read": facts.pages_read,
        "watched_s": watch_s if trigger is not None else 0.0,
        "visible_after_s": late_s,
    }


def _add_pages(document: dict[str, Any], trigger: Trigger, server: Document | None) -> None:
    """Tell of an object that has its pods' pages read whether kvtide says that it does."""
    if trigger.workload.direct_scrape_port is None:
        return
    told = (server or {}).get("pages_read", {})
    document["between_scrapes"] = {
        "port": trigger.workload.direct_scrape_port,
        "pods": told.get(document["object"]),
    }


async def _lateness_s(
    source: PrometheusSource, trigger: Trigger, watch_s: float, clock: Callable[[], float]
) -> float | None:
    """Return how long the newest samples took at most to become visible; None: none came."""
    seen = await source.newest_s(trigger.workload, clock()) if watch_s else None
    found: list[float] = []
    for _ in itertools.takewhile(
        lambda end_s: clock() < end_s, itertools.repeat(clock() + watch_s)
    ):
        await asyncio.sleep(_POLL_S)
        asked_s = clock()
        newest_s = await source.newest_s(trigger.workload, asked_s)
        if newest_s is not None and seen is not None and newest_s > seen:
            found.append(asked_s - newest_s)
        seen = newest_s if seen is None else max(seen, newest_s or seen)
    return round(max(found), 3) if found else None


def _object(
    key: str,
    trigger: Trigger,
    source: PrometheusSource | None,
    readings: Readings,
    now_s: float,
) -> dict[str, Any]:
    """Return one object: its decision, and where each of its readings was found."""
    document: dict[str, Any] = {
        "object": key,
        "role": str(trigger.role),
        "server": trigger.workload.prometheus,
        "target": f"{trigger.workload.kind}/{trigger.workload.name}",
        "gateway_name": trigger.workload.gateway,
        "arrival_query": trigger.workload.arrival_query,
    }
    try:
        decision = decide(readings.subject(trigger), trigger.policy)
    except KvtideError as error:
        document |= {"replicas": None, "reason": "NoData", "detail": str(error), "decision": None}
    else:
        told = decision_json(decision)
        document |= {
            "replicas": decision.replicas,
            "reason": str(decision.reason),
            "detail": decision.detail,
            "decision": told,
        }
    if source is None or trigger.role is not Role.INFERENCE:
        return document
    return document | _found(source.examine(trigger.workload, now_s))


def _found(found: Examination) -> dict[str, Any]:
    document = dataclasses.asdict(found)
    every = (*found.readings, *found.gpus)
    document["missing"] = [
        {"readings": [one.field for one in absent], "switches_off": what}
        for fields, what in SWITCHES.items()
        if (absent := _absent(every, fields))
    ]
    return document


def _absent(readings: tuple[FoundReading, ...], fields: tuple[str, ...]) -> list[FoundReading]:
    """Return the readings of some fields where none of them was found; else none."""
    known = [one for one in readings if one.field in fields]
    return [] if any(one.series for one in known) else known


SWITCHES: Mapping[tuple[str, ...], str] = {
    ("requests_running",): "every signal: a replica that does not say what it runs does not report",
    ("requests_waiting",): "what waits in the engines: nothing is scaled out for it",
    ("kv_cache_usage",): "the signal kv-cache, and what safe concurrency learns from real use",
    ("kv_capacity_tokens", "kv_blocks"): "the cache's size as the engine has it: state"
    " maxConcurrency, or model and gpu",
    ("steps_total",): "the costs of a step, and with them the signal work",
    ("prompt_tokens_total",): "the signal work, and the mean prompt",
    ("generation_tokens_total",): "the signal work, and the mean answer",
    ("requests_finished_total",): "the signals work and rps, and how long a request runs",
    ("itl_sum_s", "itl_count"): "itlTarget",
    ("ttft_sum_s", "ttft_count"): "ttftTarget",
    ("gpu_memory_used_mib", "gpu_memory_free_mib"): "the signal gpu-memory",
    ("gpu_engine_active", "gpu_utilization"): "the signal gpu-utilization",
}
"""What rests while all of some readings are missing."""
