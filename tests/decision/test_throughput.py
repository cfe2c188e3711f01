"""Throughput at the limit: what prefill-bound engines say that no count of requests does."""

import dataclasses

import pytest

from scaler.decision.decide import decide
from scaler.decision.demand import Fill
from scaler.decision.facts.columns import Columns
from scaler.decision.load import read
from scaler.decision.policy import SignalName
from scaler.decision.sample import Sample
from scaler.decision.throughput import queued_completions_per_s
from tests.builders import inference, replica, window


def at(at_s, waiting, finished, *, running=28.0, name="llm-0", **more):
    counters = {"requests_finished_total": float(finished), **more}
    return Sample(
        at_s=float(at_s),
        ready_replicas=1,
        spec_replicas=1,
        replicas=(replica(name, running=running, waiting=waiting, **counters),),
    )


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        pytest.param([at(5 * k, 9, 15 * k) for k in range(4)], 3.0, id="a queue for 15 s"),
        pytest.param([at(5 * k, 9, 15 * k) for k in range(3)], None, id="for too short a time"),
        pytest.param([at(5 * k, 1, 15 * k) for k in range(4)], None, id="one may just have come"),
        pytest.param(
            [at(5 * k, 9 * (k != 2), 15 * k) for k in range(5)], None, id="not without a break"
        ),
        pytest.param(
            [at(0, 9, 90), *(at(5 * k, 9, 10 * k) for k in range(1, 5))], 2.0, id="after a restart"
        ),
        pytest.param(
            [at(5 * k, 9, 15 * min(k, 4)) for k in range(9)], 3.0, id="the most it did is its limit"
        ),
        pytest.param([at(5 * k, 9, 7) for k in range(9)], None, id="nothing was completed"),
        pytest.param([at(5 * k, 2, 15 * k) for k in range(4)], 3.0, id="two are a queue"),
        pytest.param(
            [at(5 * k, None, 15 * k) for k in range(4)], None, id="what waits is not known"
        ),
        pytest.param(
            [Sample(at_s=5.0 * k, replicas=(replica(waiting=9),)) for k in range(4)],
            None,
            id="completions are not known",
        ),
        pytest.param(
            [at(5 * k, 9, n) for k, n in enumerate([90, 0, 60, 120])],
            None,
            id="not across a restart, though the counter is past where it was",
        ),
        pytest.param(
            [at(5 * k, 9, n) for k, n in enumerate([0, 15, 15, 30])],
            2.0,
            id="a moment without a completion is no restart",
        ),
        pytest.param(
            [at(5 * k, 9, n) for k, n in enumerate([0, 5, 10, 15, 25, 35, 45])],
            2.0,
            id="over the last 15 s, however long the queue has stood",
        ),
    ],
)
def test_what_a_replica_completes_while_it_has_a_queue(samples, rate):
    assert queued_completions_per_s(Columns.of(samples)) == (
        None if rate is None else pytest.approx(rate)
    )


def collapsing(seconds=120):
    """One replica bound by prefill: it completes 3 a second of 10 that come, and 28 run of 512."""
    return window(
        *(
            at(
                5 * k,
                35.0 * k,
                15 * k,
                prompt_tokens_total=30_000.0 * k,
                generation_tokens_total=420.0 * k,
            )
            for k in range(seconds // 5 + 1)
        )
    )


@pytest.mark.parametrize("signal", [SignalName.WORK, SignalName.CONCURRENCY])
def test_a_prefill_bound_fleet_is_scaled_for_what_waits(signal):
    policy = inference(metrics=(signal,), max_concurrency=512, hpa_tolerance=0.0)

    decision = decide(collapsing(), policy)

    # 840 wait: drained in 30 s that is 9 replicas at 3 a second; they and what comes need more.
    assert decision.replicas is not None
    assert decision.replicas >= 9
    assert decision.panic


def test_work_says_what_it_was_measured_on():
    policy = inference(metrics=(SignalName.WORK,), max_concurrency=512)

    (signal,) = decide(collapsing(), policy).signals

    assert "a replica with a queue completes 3 a second" in signal.detail


def test_a_replica_that_does_not_report_is_empty_or_full_of_work():
    policy = inference(metrics=(SignalName.WORK,), max_concurrency=512)
    seen = collapsing()
    two = dataclasses.replace(
        seen, samples=tuple(dataclasses.replace(one, ready_replicas=2) for one in seen.samples)
    )

    (alone,), (empty,), (full,) = (
        read(seen, policy),
        read(two, policy),
        read(two, policy, Fill.FULL),
    )

    assert alone.latest is not None
    assert (empty.latest, full.latest) == (alone.latest, alone.latest + 1)
