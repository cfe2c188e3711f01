"""The newest bucket: read once all have reported in it, so that asking often changes no answer."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.decision.decide import decide
from scaler.readings.assemble import Assembly
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.gateways.profile import parse_gateways
from scaler.readings.timing import Lateness, Timing
from scaler.readings.wanted import Exporter
from scaler.source import Workload
from tests.builders import inference
from tests.readings.worlds import LLM, NOW_S, Observer, busy, row

GATED = Workload(
    namespace="serve", scaled_object="llm", kind="StatefulSet", name="llm", gateway="door"
)
DOOR = {"select": {"namespace": "$namespace"}, "in_flight": "open", "arrivals": "came_total"}
RATE = 4.0
"""Requests a second at each replica."""


def watching(*workloads, every_s, gateway_s=None, delay_s=0.0):
    """Return an observer of workloads that are scraped so often."""
    timing = Timing(
        interval_s={
            Exporter.ENGINE: every_s,
            Exporter.CLUSTER: every_s,
            Exporter.GATEWAY: gateway_s or every_s,
        },
        ingestion_delay_s=delay_s,
    )
    gateways = parse_gateways({"door": DOOR})
    assembly = Assembly(profiles=shipped_profiles(), gateways=gateways, timing=timing)
    return Observer(*workloads, assembly=assembly)


def serving(at_s, running=8.0, rate=RATE):
    """Return the page of a replica that completes so many requests a second of 100 tokens each."""
    done = rate * (at_s - NOW_S + 10_000)
    return busy(
        running=running,
        waiting=0,
        generation_tokens_total=100 * done,
        prompt_tokens_total=400 * done,
        iteration_tokens_total_count=50 * (at_s - NOW_S + 10_000),
    ) + row("vllm:request_success_total", done, engine="0", model_name="m", finished_reason="stop")


def told(observer, every_s, phases, polls, pages, *, until_s, lookback_s=300.0):
    """
    Scrape each target at its own phase, and ask at each of the polls what is known then.

    ``pages`` are what a target says of an instant; the gateway is the target ``door``.
    """
    scrapes = [
        (begin_s + phase_s, name)
        for name, phase_s in phases.items()
        for begin_s in (NOW_S + n * every_s for n in range(math.ceil(until_s / every_s)))
    ]
    asked = [(NOW_S + at_s, None) for at_s in polls]
    answers = []
    for at_s, name in sorted([*scrapes, *asked], key=lambda event: (event[0], event[1] is None)):
        if name is None:
            answers.append(observer.window(at_s, lookback_s))
            continue
        observer.assembly.store.next_round()
        target = {"job": "door"} if name == "door" else {"pod": name}
        observer.scrape(at_s, pages[name](at_s), namespace="serve", **target)
        observer.assembly.settle(observer.workloads)
    return answers


def arrivals_per_s(window):
    return [
        (after.arrivals_total - before.arrivals_total) / (after.at_s - before.at_s)
        for before, after in itertools.pairwise(window.samples)
        if before.arrivals_total is not None and after.arrivals_total is not None
    ]


EVERY = st.sampled_from([1.0, 5.0, 15.0, 30.0, 60.0])
PHASE = st.floats(0.02, 0.98)


@settings(max_examples=25, deadline=None)
@given(EVERY, PHASE, PHASE, PHASE, st.lists(PHASE, min_size=3, max_size=6))
def test_asking_often_within_an_interval_gives_one_answer(every_s, one, other, door, polls):
    observer = watching(GATED, every_s=every_s)
    pages = {
        "llm-0": serving,
        "llm-1": serving,
        "door": lambda at_s: row("open", 16) + row("came_total", 2 * RATE * (at_s - NOW_S + 9)),
    }
    phases = {"llm-0": one * every_s, "llm-1": other * every_s, "door": door * every_s}
    asked = [(5 + n + share) * every_s for n in range(4) for share in polls]
    windows = told(observer, every_s, phases, asked, pages, until_s=10 * every_s)
    by_bucket: dict[float, object] = {}
    for at_s, window in zip(sorted(asked), windows, strict=True):
        assert NOW_S + at_s - 2 * every_s <= window.now_s <= NOW_S + at_s
        assert by_bucket.setdefault(window.latest.at_s, window) == window
        assert arrivals_per_s(window)[1:] == pytest.approx(
            [2 * RATE] * (len(window.samples) - 2), rel=1e-6
        )
    assert len(by_bucket) <= 5


@pytest.mark.parametrize("every_s", [5.0, 15.0, 30.0])
def test_a_decision_does_not_swing_between_two_scrapes(every_s):
    observer = watching(LLM, every_s=every_s)
    phases = {"llm-0": 0.2 * every_s, "llm-1": 0.7 * every_s}
    pages = dict.fromkeys(phases, serving)
    asked = [600 + 0.1 * n * every_s for n in range(40)]
    windows = told(observer, every_s, phases, asked, pages, until_s=1200, lookback_s=600)
    decisions = [decide(window, inference(max_num_seqs=32)) for window in windows]
    loads = {round(one.load or 0.0, 6) for one in decisions}
    assert len(loads) == 1
    assert all(
        decision.at_s <= NOW_S + at_s for at_s, decision in zip(asked, decisions, strict=True)
    )


@settings(max_examples=8, deadline=None)
@given(st.floats(1, 12), st.floats(0.01, 0.99))
def test_one_recorded_load_is_judged_alike_however_often_it_is_scraped(rate, phase):
    answers = {}
    for every_s in (5.0, 15.0, 30.0, 60.0):
        observer = watching(LLM, every_s=every_s)
        pages = {"llm-0": lambda at_s: serving(at_s, running=2 * rate, rate=rate)}
        (window,) = told(
            observer,
            every_s,
            {"llm-0": phase * every_s},
            [895],
            pages,
            until_s=900,
            lookback_s=600,
        )
        answers[every_s] = decide(window, inference(max_num_seqs=32))
    loads = [one.load or 0.0 for one in answers.values()]
    assert max(loads) == pytest.approx(min(loads), rel=0.02)
    assert len({one.replicas for one in answers.values()}) == 1


BURST = (900.0, 1200.0)
BURST_POLLS = range(880, 1340, 20)


def bursting(at_s, base=2.0, peak=10.0):
    """Return the page of a replica whose load is five times its base for five minutes."""
    since_s, (begin_s, end_s) = at_s - NOW_S, BURST
    rate = peak if begin_s <= since_s < end_s else base
    more = (peak - base) * min(max(since_s - begin_s, 0.0), end_s - begin_s)
    done = base * (since_s + 10_000) + more
    return busy(
        running=2 * rate,
        waiting=0,
        generation_tokens_total=100 * done,
        prompt_tokens_total=400 * done,
        iteration_tokens_total_count=50 * (since_s + 10_000),
    ) + row("vllm:request_success_total", done, engine="0", model_name="m", finished_reason="stop")


def answers_to_a_burst(every_s, phase):
    observer = watching(LLM, every_s=every_s)
    phases = {"llm-0": phase * every_s}
    pages = {"llm-0": bursting}
    windows = told(observer, every_s, phases, BURST_POLLS, pages, until_s=1340, lookback_s=900)
    decisions = [decide(window, inference(max_num_seqs=32)) for window in windows]
    return [(one.load or 0.0, one.replicas) for one in decisions]


@pytest.fixture(scope="module")
def finely():
    return dict(zip(BURST_POLLS, answers_to_a_burst(5.0, 0.4), strict=True))


@pytest.mark.parametrize(("every_s", "phase"), [(15.0, 0.1), (30.0, 0.9), (60.0, 0.5)])
def test_a_burst_is_answered_alike_but_for_what_an_interval_hides(finely, every_s, phase):
    """A seldom scraped load is one that was scraped often, as of one of the last two intervals."""
    seldom = dict(zip(BURST_POLLS, answers_to_a_burst(every_s, phase), strict=True))
    for at_s, (load, replicas) in seldom.items():
        past = [one for then_s, one in finely.items() if at_s - 2 * every_s - 20 <= then_s <= at_s]
        loads, counts = zip(*past, strict=True)
        assert min(loads) * 0.98 <= load <= max(loads) * 1.02, at_s
        assert min(counts) <= replicas <= max(counts), at_s
    assert max(load for load, _ in seldom.values()) == pytest.approx(2.0, rel=0.02)
    assert max(count for _, count in seldom.values()) == max(count for _, count in finely.values())


def test_a_target_that_is_gone_is_waited_for_until_its_bucket_is_over():
    observer = watching(LLM, every_s=15.0, delay_s=2.0)
    for begin_s in (0, 15, 30):
        observer.round(NOW_S + begin_s + 3, {"llm-0": serving(NOW_S + begin_s)})
        if begin_s < 30:
            observer.round(NOW_S + begin_s + 9, {"llm-1": serving(NOW_S + begin_s)})
    newest = [observer.window(NOW_S + at_s).latest.at_s - NOW_S for at_s in (34, 46, 47.5)]
    assert newest == [30, 30, 45]
    observer.round(NOW_S + 48, {"llm-0": serving(NOW_S + 48)})
    assert observer.window(NOW_S + 48.5).latest.at_s == NOW_S + 60


def test_a_workload_at_zero_waits_for_nobody():
    observer = watching(GATED, every_s=15.0)
    for at_s, waiting in ((3, 0), (18, 0), (33, 2)):
        observer.scrape(NOW_S + at_s, row("open", waiting), namespace="serve", job="door")
        observer.round(
            NOW_S + at_s + 5,
            {},
            row("kube_statefulset_replicas", 0, namespace="serve", statefulset="llm"),
        )
    observer.scrape(NOW_S + 48, row("open", 5), namespace="serve", job="door")
    observer.assembly.settle(observer.workloads)
    assert observer.window(NOW_S + 49).latest.gateway_in_flight == 5


def test_counts_of_a_gateway_that_is_scraped_seldom_are_left_to_the_engines():
    observer = watching(GATED, every_s=5.0, gateway_s=30.0)
    for at_s in range(1, 121, 5):
        pages = {"llm-0": serving(NOW_S + at_s)}
        if at_s % 30 == 1:
            page = row("came_total", RATE * at_s) + row("open", 8)
            observer.scrape(NOW_S + at_s, page, namespace="serve", job="door")
        observer.round(NOW_S + at_s, pages)
    samples = observer.window(NOW_S + 118, 100).samples
    assert {one.arrivals_total for one in samples} == {None}
    assert samples[-1].gateway_in_flight == 8


def test_lateness_is_the_worst_of_ten_minutes():
    lateness = Lateness()
    assert lateness.worst_s(0) == 0
    for at_s, late_s in ((10, 1.0), (20, 4.0), (30, 2.0), (40, 3.0)):
        lateness.note(at_s, late_s)
    assert [lateness.worst_s(at_s) for at_s in (50, 619, 620, 640, 700)] == [4, 4, 3, 0, 0]
