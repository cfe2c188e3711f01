"""
A quarter of an hour that nobody waited for: the demo's exporters, the scaler's own telemetry and a
page of every engine, written as OpenMetrics for Prometheus' own tool to make blocks of.

The demo's cluster is advanced in its own time; counts are set here, so that there is a surge, a
reclaim and a hold. The scaler's page is its real telemetry over answers that are made up: a second
replica disagrees, cannot read and fails calls, which no demo has occasion for.
"""

import collections
import dataclasses
import pathlib
import re
from collections.abc import Iterator

from scaler.decision.decision import Decision, Reason, Step
from scaler.lab.cluster_page import cluster_page
from scaler.lab.gpus import GpuModel, Gpus
from scaler.lab.vllm_page import vllm_page
from scaler.simulation.cluster import Cluster
from scaler.simulation.fleet import Phase
from scaler.telemetry.observed import Observation, PagesRead
from scaler.telemetry.process import Telemetry
from tests.dashboards import engine_pages
from tests.lab.conftest import small_world

STEP_S = 15
STEPS = 60
_ROW = re.compile(r"^([\w:]+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)

INFERENCE = Observation(
    namespace="online",
    scaled_object="chat",
    role="inference",
    decision=Decision(
        at_s=0.0,
        steps=(Step(2, Reason.DEMAND, ""),),
        load=1.2,
        ready_replicas=2,
        safe_concurrency=8,
        binding_limit="kv",
    ),
    reason="Demand",
    detail="",
    newest_s=0.0,
    evaluated_s=0.0,
)
TRAINING = Observation(
    namespace="online",
    scaled_object="finetune",
    role="training",
    decision=Decision(at_s=0.0, steps=(Step(2, Reason.LENT, ""),), load=0.2, ready_replicas=2),
    reason="Lent",
    detail="",
    newest_s=0.0,
    evaluated_s=0.0,
    units={"serving": 2, "lent": 2, "free": 0},
)

PAGES = PagesRead(namespace="online", scaled_object="chat", read=1, unread=1, newest_s=0.0)


def write(path: pathlib.Path, begin_s: int) -> None:
    """Write the quarter of an hour that begins at a Unix time, series by series."""
    rows: dict[str, list[str]] = {}
    for at_s, text, target in _pages(begin_s):
        for name, labels, value in _ROW.findall(text):
            joined = ",".join(part for part in (labels, _missing(target, labels)) if part)
            rows.setdefault(f"{name}{{{joined}}}", []).append(f"{value} {at_s}\n")
    with path.open("w", encoding="utf-8") as out:
        for series, samples in rows.items():
            out.writelines(f"{series} {sample}" for sample in samples)
        out.write("# EOF\n")


def _missing(target: dict[str, str], labels: str) -> str:
    """Return the target's labels, those aside that a page states itself."""
    return ",".join(
        f'{name}="{text}"' for name, text in target.items() if f'{name}="' not in labels
    )


def _pages(begin_s: int) -> Iterator[tuple[int, str, dict[str, str]]]:
    world = small_world()
    world.start_ready("chat", 2)
    gpus, scalers = Gpus(world, GpuModel()), (Telemetry(), Telemetry())
    answers = [_answers(0, begin_s)] * 2
    scalers[0].show_objects(lambda: answers[0], lambda: begin_s)
    scalers[1].show_objects(lambda: answers[1], lambda: begin_s)
    pages: collections.Counter[str] = collections.Counter()
    scalers[0].show_pages(lambda: pages, lambda: (PAGES,), lambda: 1.0)
    for step in range(STEPS):
        at_s = begin_s + step * STEP_S
        world.set_workers("finetune", 0 if _is_surge(step) else 2)
        world.advance(step * STEP_S + 1.0)
        gpus.collect()
        pages.update(read=STEP_S, timeout=1)
        answers[0], answers[1] = _answers(step, at_s), _ill(at_s) if step > 50 else ()
        yield from ((at_s, text, target) for text, target in _exporters(world, gpus, begin_s))
        for number, telemetry in enumerate(scalers):
            _counted(telemetry, step, is_ill=number == 1)
            yield at_s, telemetry.exposition().decode(), {"instance": f"kvtide-{number}"}
        for engine in engine_pages.PROFILES:
            target = {"namespace": "peers", "pod": engine}
            yield at_s, engine_pages.page(engine, step + 1), target


def _exporters(world: Cluster, gpus: Gpus, begin_s: int) -> Iterator[tuple[str, dict[str, str]]]:
    for replica in world.fleets["chat"].replicas.values():
        if replica.phase is Phase.READY:
            yield vllm_page(replica, world.now_s), {"namespace": "online", "pod": replica.name}
    yield gpus.page(), {}
    yield cluster_page(world, (), started_s=begin_s), {}


def _is_surge(step: int) -> bool:
    """Longer than Prometheus' five minutes: blocks have no marks of series that ended."""
    return 20 <= step < 46


def _answers(step: int, at_s: float) -> tuple[Observation, ...]:
    """Return what the well replica says: calm, a surge with panic and a reclaim, calm, a hold."""
    inference, training = INFERENCE.decision, TRAINING.decision
    assert inference is not None
    assert training is not None
    if _is_surge(step):
        inference = dataclasses.replace(
            inference, steps=(Step(4, Reason.PANIC, ""),), panic=True, load=3.4
        )
        training = dataclasses.replace(training, steps=(Step(0, Reason.RECLAIMED, ""),), load=0.9)
    held = step >= 50
    return tuple(
        dataclasses.replace(
            one,
            decision=None if held else said,
            reason="NoData" if held else said.reason.value,
            newest_s=at_s,
        )
        for one, said in ((INFERENCE, inference), (TRAINING, training))
    )


def _ill(at_s: float) -> tuple[Observation, ...]:
    said = Decision(at_s=0.0, steps=(Step(9, Reason.DEMAND, ""),))
    return (dataclasses.replace(INFERENCE, decision=said, newest_s=at_s - 30),)


def _counted(telemetry: Telemetry, step: int, *, is_ill: bool) -> None:
    code = "UNAVAILABLE" if is_ill else "OK"
    telemetry.observe_rpc(method="GetMetrics", code=code, seconds=0.001)
    telemetry.observe_tick(phase="read", seconds=0.02)
    telemetry.observe_tick(phase="decide", seconds=0.01)
    if is_ill:
        telemetry.count_source_error("timeout")
    if step in (0, 25):
        telemetry.observe_reclaim(namespace="online", scaled_object="finetune", seconds=7.0)
