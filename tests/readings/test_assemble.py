"""The grid: what a bucket holds, for how long, and that asking early or often changes nothing."""

import asyncio
import itertools
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.errors import ConfigurationError, NoDataError
from scaler.readings.refusals import MOST_PODS
from scaler.readings.timing import Timing, bucket_of
from scaler.readings.wanted import Exporter
from scaler.source import Workload
from tests.readings.worlds import LLM, NOW_S, STEP_S, Observer, busy, row


def running(window):
    return [
        (sample.at_s - NOW_S, sum(replica.requests_running or 0 for replica in sample.replicas))
        for sample in window.samples
    ]


def test_a_point_is_in_the_bucket_that_ends_at_or_after_it():
    assert [bucket_of(at_s, 5) for at_s in (10.0, 10.1, 15.0)] == [2, 3, 3]
    assert bucket_of(0.3, 0.1) == 3


def test_a_last_point_stands_until_it_is_two_and_a_half_intervals_old():
    observer = Observer()
    observer.round(NOW_S, {"llm-0": busy(running=3), "llm-1": busy(running=1)})
    observer.round(NOW_S + 15, {"llm-1": busy(running=1)})
    assert running(observer.window(NOW_S + 15)) == [(0, 4), (5, 4), (10, 4), (15, 1)]


def test_a_bucket_that_nobody_knows_of_is_a_gap_and_no_zero():
    observer = Observer()
    observer.round(NOW_S - 40, {"llm-0": busy(running=3)})
    observer.round(NOW_S, {"llm-0": busy(running=5)})
    assert running(observer.window()) == [(-40, 3), (-35, 3), (-30, 3), (0, 5)]


def test_what_is_older_than_the_lookback_is_left_out_to_the_minute():
    observer = Observer()
    for age_s in range(600, -1, -5):
        observer.round(NOW_S - age_s, {"llm-0": busy(running=1)})
    assert observer.window(lookback_s=60).samples[0].at_s == NOW_S - 55
    assert observer.window(lookback_s=90).samples[0].at_s == NOW_S - 115


def test_a_window_is_told_by_the_time_of_its_newest_reading():
    observer = Observer()
    observer.round(NOW_S + 1, {"llm-0": busy(running=3)})
    window = observer.window(NOW_S + 3)
    assert (window.now_s, window.latest.at_s) == (NOW_S + 1, NOW_S + 5)


def test_readings_come_late_where_ingestion_does():
    observer = Observer(timing=Timing(interval_s={Exporter.ENGINE: 5.0}, ingestion_delay_s=10))
    observer.round(NOW_S, {"llm-0": busy(running=3)})
    assert observer.window(NOW_S + 10).now_s == NOW_S


def test_silence_says_how_long_it_has_lasted():
    observer = Observer()
    with pytest.raises(
        NoDataError, match="serve/llm: no fresh readings of StatefulSet/llm, and none"
    ):
        observer.window()
    observer.round(NOW_S - 30, {"llm-0": busy()})
    with pytest.raises(
        NoDataError, match="newest ended 20 s ago .an engine's readings stand for 12"
    ):
        observer.window()


def test_a_workload_at_zero_is_known_by_its_scale_target():
    page = row("kube_statefulset_replicas", 0, namespace="serve", statefulset="llm")
    observer = Observer()
    observer.round(NOW_S, {}, page)
    assert observer.window().latest.is_known_zero


def test_the_scrape_interval_is_measured_where_it_is_not_stated():
    observer = Observer(timing=Timing())
    for age_s in (60, 30, 0):
        observer.round(NOW_S - age_s, {"llm-0": busy()})
    assert observer.window().interval_s == 30


def test_two_scaled_objects_on_one_workload_are_both_refused():
    twin = Workload(namespace="serve", scaled_object="twin", kind="StatefulSet", name="llm")
    observer = Observer(LLM, twin)
    observer.round(NOW_S, {"llm-0": busy()})
    for workload, other in ((LLM, "serve/twin"), (twin, "serve/llm")):
        with pytest.raises(ConfigurationError, match=f"pod llm-0 the ScaledObject {other} claims"):
            observer.window(workload=workload)


def test_an_engine_that_nobody_knows_is_named_with_those_that_are():
    odd = Workload(namespace="serve", scaled_object="llm", name="llm", engine="vlm")
    observer = Observer(odd, LLM)
    observer.round(NOW_S, {"llm-0": busy()})
    assert observer.window(workload=LLM)
    with pytest.raises(ConfigurationError, match="engine: got vlm; allowed: .*vllm"):
        observer.window(workload=odd)


def test_an_engine_left_to_be_found_out_is_found_by_its_metrics():
    found = Workload(
        namespace="serve", scaled_object="llm", kind="StatefulSet", name="llm", engine="auto"
    )
    observer = Observer(found)
    observer.round(NOW_S, {"llm-0": busy(running=7)})
    assert observer.window().latest.replicas[0].requests_running == 7


def test_a_group_is_one_replica_with_the_gpus_of_all_its_pods():
    group = Workload(namespace="serve", scaled_object="llm", kind="LeaderWorkerSet", name="llm")
    observer = Observer(group)
    gpus = "".join(
        row("DCGM_FI_DEV_FB_USED", used, UUID=f"GPU-{pod}", namespace="serve", pod=pod)
        for pod, used in (("llm-0", 10), ("llm-0-1", 30))
    )
    observer.round(NOW_S, {"llm-0": busy(running=7), "llm-0-1": row("up", 1)}, gpus)
    (replica,) = observer.window().latest.replicas
    assert (replica.name, replica.requests_running, replica.gpu_memory_used_mib) == ("llm-0", 7, 20)


SCRAPES = st.lists(
    st.tuples(
        st.integers(0, 40),  # half buckets before now
        st.sampled_from(["llm-0", "llm-1", "llm-2"]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda scrape: scrape[:2],
)


@given(SCRAPES, st.data())
def test_assembling_as_points_come_gives_what_assembling_at_the_end_does(scrapes, data):
    now_s = NOW_S + 120
    at_once, bit_by_bit = Observer(), Observer()
    for age, pod, load in scrapes:
        at_once.round(now_s - age * STEP_S / 2, {pod: busy(running=load)})
    for age, pod, load in scrapes:  # in the order drawn: many come late
        bit_by_bit.round(now_s - age * STEP_S / 2, {pod: busy(running=load)})
        if data.draw(st.booleans()):
            _ignoring_silence(bit_by_bit, now_s - data.draw(st.integers(0, 60)))
    expected = _ignoring_silence(at_once, now_s)
    assert _ignoring_silence(bit_by_bit, now_s) == expected
    assert _ignoring_silence(bit_by_bit, now_s) == expected


def _ignoring_silence(observer, now_s):
    try:
        return observer.window(now_s, lookback_s=120)
    except NoDataError:
        return None


@settings(max_examples=15)
@given(
    steps=st.lists(st.integers(0, 12), min_size=1, max_size=6),
    values=st.lists(st.integers(0, 9), min_size=6, max_size=6),
)
def test_readings_that_come_in_while_a_window_is_assembled_change_nothing(steps, values):
    whole, meanwhile = Observer(), Observer()
    for k, value in enumerate(values):
        at_s = NOW_S - STEP_S * (len(values) - k)
        page = {"llm-0": busy(running=value), "llm-1": busy(running=value % 3)}
        for observer in (whole, meanwhile):
            observer.round(at_s, page if k else {"llm-0": page["llm-0"]})
        assembling = meanwhile.assembly.assembling(LLM, 60.0, at_s)
        for _ in range(steps[k % len(steps)]):
            next(assembling, None)
        meanwhile.scrape(at_s - 7, busy(running=8), namespace="serve", pod="llm-0")
        whole.scrape(at_s - 7, busy(running=8), namespace="serve", pod="llm-0")
        for _ in assembling:
            pass
    assert meanwhile.window(NOW_S).samples == whole.window(NOW_S).samples


@settings(max_examples=30)
@given(
    turns=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=4, max_size=20),
    values=st.lists(st.integers(0, 9), min_size=8, max_size=8),
)
def test_several_may_assemble_one_workload_at_once_or_give_up_midway(turns, values):
    alone, shared = Observer(), Observer()
    for k, value in enumerate(values):
        for observer in (alone, shared):
            observer.round(NOW_S - STEP_S * (len(values) - k), {"llm-0": busy(running=value)})
    under_way: dict[int, Iterator[None]] = {}
    for who, steps in turns:
        if who == 3:  # readings of late make the newest buckets anew
            for observer in (alone, shared):
                observer.round(NOW_S - steps * STEP_S, {"llm-0": busy(running=steps)})
            continue
        at_s = NOW_S - who * STEP_S
        assembling = under_way.setdefault(who, shared.assembly.assembling(LLM, 60.0, at_s))
        if sum(1 for _ in itertools.islice(assembling, steps)) < steps:
            del under_way[who]
    assert _ignoring_silence(shared, NOW_S) == _ignoring_silence(alone, NOW_S)
    for assembling in under_way.values():
        list(assembling)
    assert _ignoring_silence(shared, NOW_S) == _ignoring_silence(alone, NOW_S)


def test_windows_are_read_off_while_another_thread_takes_readings_in():
    observer, stop, faults = Observer(), threading.Event(), []

    def take():
        for k in range(400):
            if stop.is_set():
                return
            pods = {f"llm-{(k + n) % 20}": busy(running=n) for n in range(4)}
            observer.round(NOW_S + k, pods)
            observer.assembly.forget(NOW_S + k, lookback_s=60.0, history_s=0.0)

    observer.round(NOW_S, {"llm-0": busy()})
    reading = threading.Thread(target=take)
    reading.start()
    try:
        for k in range(200):
            window = observer.window(NOW_S + 2 * k)
            faults += [one for one in window.samples if one.at_s > NOW_S + 2 * k + STEP_S]
    except NoDataError:
        pass  # the writer is that far behind, or ahead
    finally:
        stop.set()
        reading.join()
    assert not faults


def test_more_pods_of_one_workload_than_can_be_read_are_refused_with_their_number():
    observer = Observer()
    observer.round(NOW_S, {f"llm-{n}": busy() for n in range(2)})
    wanted = observer.assembly.wanted([LLM])[1]
    for n in range(MOST_PODS + 1):
        labels = {"__name__": wanted.metrics[0], "namespace": "serve", "pod": f"llm-{n}"}
        observer.assembly.take(wanted, labels, [(NOW_S, 1.0)])
    observer.assembly.settle([LLM])
    assert list(observer.assembly.assembling(LLM, 60.0, NOW_S)) == []
    with pytest.raises(NoDataError, match=f"StatefulSet/llm has {MOST_PODS + 1} pods.*{MOST_PODS}"):
        observer.window()


def test_what_leaves_the_lookback_is_kept_thinned():
    observer = Observer()
    for age_s in range(600, -1, -5):
        now_s = NOW_S - age_s
        observer.round(now_s, {"llm-0": busy(running=age_s)})
        observer.window(now_s, lookback_s=60)
        observer.assembly.forget(now_s, lookback_s=60, history_s=300)
    window = observer.window()
    assert [NOW_S - sample.at_s for sample in window.history] == [
        295, 240, 235, 180, 175, 120, 115, 60
    ]  # fmt: skip
    assert window.history[-1].at_s < window.samples[0].at_s


def test_a_workload_that_is_gone_is_forgotten():
    observer = Observer()
    observer.round(NOW_S, {"llm-0": busy()})
    assert observer.window()
    observer.assembly.settle([])
    observer.assembly.forget(NOW_S, lookback_s=60, history_s=0)
    with pytest.raises(NoDataError):
        observer.window()


async def test_what_else_is_read_has_its_turn_between_two_buckets_of_an_old_hour():
    observer = Observer()
    for age in range(40, -1, -1):
        observer.round(NOW_S - age * STEP_S, {"llm-0": busy(running=1)})
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    found = await observer.assembly.between(LLM, NOW_S - 40 * STEP_S, NOW_S)
    beside.cancel()
    assert len(found) >= 39
    assert turns >= len(found)


async def test_days_before_the_first_reading_cost_nothing_and_change_nothing():
    observer, alike = Observer(), Observer()
    for age in range(5, -1, -1):
        for one in (observer, alike):
            one.round(NOW_S - age * STEP_S, {"llm-0": busy(running=1, generation_tokens_total=9)})
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    found = await observer.assembly.between(LLM, NOW_S - 4 * 86_400, NOW_S)
    beside.cancel()
    assert found == await alike.assembly.between(LLM, NOW_S - 40 * STEP_S, NOW_S)
    assert len(found) >= 5
    assert turns < 40
