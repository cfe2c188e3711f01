"""Whether an engine lives: frozen, idle before its first request, at a pace of its own."""

import math

import pytest

from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from tests.decision.instants import increase
from tests.readings.test_engines import observer_of, sglang
from tests.readings.worlds import NOW_S, STEP_S, Observer, busy, row


def played(observer, pages, step_s=STEP_S, pod="llm-0"):
    """Let an observer see a page per interval, the last one now; return its samples."""
    for age, page in enumerate(reversed(pages)):
        observer.round(NOW_S - age * step_s, {pod: page})
    return observer.window(lookback_s=len(pages) * step_s).samples[-len(pages) :]


def running(samples):
    return [one.replicas[0].requests_running if one.replicas else None for one in samples]


def sglang_page(at, *, every, moves=True):
    """Return a busy page whose scheduler writes its gauges down every so many intervals."""
    written = at // every
    return (
        sglang("num_running_reqs", 60)
        + sglang("num_queue_reqs", 20)
        + sglang("token_usage", 0.5 + written / 1000)
        + sglang("realtime_tokens_total", 1000 * written, mode="decode")
        + sglang("inter_token_latency_seconds_count", 4000 * (at if moves else 0))
    )


def test_any_counter_that_moves_is_a_sign_of_life():
    pages = [sglang_page(at, every=6) for at in range(30)]
    assert running(played(observer_of("sglang"), pages)) == [60] * 30


def test_a_page_is_frozen_by_its_own_pace():
    # Written down every 20 s, scraped every 5: told once the pace is known, and only then.
    pages = [sglang_page(at, every=4, moves=False) for at in range(40)]
    assert running(played(observer_of("sglang"), pages))[20:] == [60] * 20
    stuck = [*pages, *[pages[-1]] * 12]
    assert running(played(observer_of("sglang"), stuck))[-1] is None


def ray(at_s, *, gauges=True, counted=None):
    labels = {"model_name": "m", "engine": "0", "ReplicaId": "a", "WorkerId": "w"}
    counted = 100 * (at_s // 9) if counted is None else counted
    names = {"num_requests_running": 2, "num_requests_waiting": 1} if gauges else {}
    return "".join(
        row(f"ray_vllm_{name}", value, **labels)
        for name, value in {**names, "generation_tokens_total": counted}.items()
    )


def test_ray_s_page_changes_every_nine_seconds_and_is_not_frozen_between():
    timing = Timing(interval_s={Exporter.ENGINE: 1.0})
    observer = Observer(observer_of("ray-vllm").workloads[0], timing=timing)
    samples = played(observer, [ray(at) for at in range(60)], step_s=1.0)
    assert running(samples) == [2] * 60


def test_gauges_that_leave_after_the_last_request_mean_none():
    pages = [*[ray(9 * at) for at in range(4)], *[ray(0, gauges=False, counted=300)] * 12]
    samples = played(observer_of("ray-vllm"), pages)
    assert running(samples)[-3:] == [0, 0, 0]
    assert all(count in (None, 0, 2) for count in running(samples))


FRESH = "".join(
    row(f"vllm:{name}", 0, engine=engine, model_name="m")
    for engine in ("0", "1")
    for name in ("generation_tokens_total", "iteration_tokens_total_count")
)
"""What two data-parallel engines show before their first request: no row of a gauge."""


def test_an_engine_before_its_first_request_is_idle():
    for engine in ("vllm", "auto"):
        (last,) = played(observer_of(engine), [FRESH, FRESH])[-1].replicas
        assert (last.requests_running, last.requests_waiting) == (0, 0)


async def test_a_gauge_that_is_missing_while_its_engine_works_is_no_zero():
    pages = [FRESH.replace(" 0\n", f" {at}\n") for at in range(5)]
    observer = observer_of("vllm")
    for age, page in enumerate(reversed([*pages, *[pages[-1]] * 5])):
        observer.round(NOW_S - age * STEP_S, {"llm-0": page + row("up", 1)})
    assert not await observer.assembly.between(observer.workloads[0], NOW_S - 40, NOW_S)


async def test_a_page_whose_cache_is_in_use_is_not_idle():
    page = row("vllm:kv_cache_usage_perc", 0.5, engine="0", model_name="m")
    observer = observer_of("vllm")
    for age in (1, 0):
        observer.round(NOW_S - age * STEP_S, {"llm-0": page})
    assert not await observer.assembly.between(observer.workloads[0], NOW_S - 10, NOW_S)


def test_dynamo_s_own_gauge_stands_in_before_the_engine_has_any():
    page = row("dynamo_component_inflight_requests", 0, dynamo_endpoint="generate")
    page += row("dynamo_component_inflight_requests", 5, dynamo_endpoint="worker_kv_query")
    assert running(played(observer_of("vllm"), [page])) == [0]
    assert running(played(observer_of("vllm"), [page + busy(running=3)])) == [3]


BORN = row("vllm:request_success_total", 7, engine="0", model_name="m", finished_reason="stop")


@pytest.mark.parametrize(
    ("before", "rose"),
    [
        pytest.param(busy(running=0), 7, id="beside others of its page"),
        pytest.param(row("up", 0), None, id="with its page: its past is not ours"),
    ],
)
def test_a_counter_that_is_born_at_n_rose_from_zero(before, rose):
    scale = row("kube_statefulset_replicas", 1, namespace="serve", statefulset="llm")
    at_once, bit_by_bit = observer_of("vllm"), observer_of("vllm")
    for age, page in ((2, before), (1, before), (0, busy(running=0) + BORN)):
        at_s = NOW_S - age * STEP_S
        at_once.round(at_s, {"llm-0": page}, scale)
        bit_by_bit.round(at_s, {"llm-0": page}, scale)
        bit_by_bit.window(at_s)
    for observer in (at_once, bit_by_bit):
        earlier, later = observer.window().samples[-2:]
        found = increase(earlier, later, "finished")
        assert (None if math.isnan(found) else found) == rose
