"""What holds for every window: the promises of a pure decision."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.decide import decide
from scaler.decision.policy import Phase, SignalName
from scaler.decision.sample import Replica, Sample
from scaler.decision.window import ScaleBounds, Window
from tests.builders import INTERVAL_S, inference

COUNTS = st.none() | st.integers(0, 200).map(float)
SHARES = st.none() | st.floats(0, 1)
FEW = st.none() | st.integers(0, 8)


@st.composite
def replicas(draw):
    return tuple(
        Replica(
            name=f"llm-{number}",
            requests_running=draw(COUNTS),
            requests_waiting=draw(COUNTS),
            kv_cache_usage=draw(SHARES),
            kv_blocks=draw(st.sampled_from([None, 1000.0])),
            requests_finished_total=draw(COUNTS),
            prompt_tokens_total=draw(COUNTS),
            generation_tokens_total=draw(COUNTS),
            steps_total=draw(COUNTS),
            gpu_memory_used_mib=draw(COUNTS),
            gpu_memory_free_mib=draw(COUNTS),
            gpu_utilization=draw(SHARES),
            sleeping=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 3)))
    )


@st.composite
def windows(draw, least=1, most=20):
    count = draw(st.integers(least, most))
    start = draw(st.integers(0, 10**6)) * INTERVAL_S
    kept = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    times = [start + k * INTERVAL_S for k in range(count) if kept[k] or k == count - 1]
    return Window(
        samples=tuple(
            Sample(
                at_s=at_s,
                replicas=draw(replicas()),
                spec_replicas=draw(FEW),
                ready_replicas=draw(FEW),
                loading_replicas=draw(FEW),
                gateway_in_flight=draw(COUNTS),
                targets_up=draw(FEW),
            )
            for at_s in times
        ),
        interval_s=INTERVAL_S,
        bounds=ScaleBounds(max_replicas=draw(st.none() | st.integers(1, 20))),
    )


@st.composite
def policies(draw):
    signals = draw(st.lists(st.sampled_from(SignalName), min_size=1, max_size=8, unique=True))
    return inference(
        metrics=tuple(signals),
        phase=draw(st.sampled_from(Phase)),
        max_concurrency=draw(st.none() | st.integers(1, 50)),
        max_num_seqs=draw(st.none() | st.integers(1, 50)),
        queue_target=5.0,
        rps_target=10.0,
        ttft_target=LatencyTarget(seconds=2.0),
        itl_target=draw(
            st.none()
            | st.builds(
                LatencyTarget,
                seconds=st.floats(0.01, 1),
                percentile=st.none() | st.floats(50, 99.9),
            )
        ),
        scale_down_delay_s=draw(st.none() | st.just(0.0)),
        activation_scale=draw(st.integers(1, 3)),
        hpa_tolerance=draw(st.none() | st.just(0.0)),
    )


@given(windows(), policies())
def test_it_is_total_and_stays_in_range(window, policy):
    decision = decide(window, policy)

    assert decision.steps
    if decision.replicas is not None:
        assert decision.replicas >= 0
        if window.bounds.max_replicas is not None:
            assert decision.replicas <= window.bounds.max_replicas


def shifted(window, buckets):
    return dataclasses.replace(
        window,
        samples=tuple(
            dataclasses.replace(sample, at_s=sample.at_s + buckets * INTERVAL_S)
            for sample in window.samples
        ),
    )


@given(windows(), policies(), st.integers(1, 10**5))
def test_a_shift_of_the_clock_by_whole_buckets_changes_nothing(window, policy, buckets):
    here, there = decide(window, policy), decide(shifted(window, buckets), policy)

    assert here == dataclasses.replace(there, at_s=here.at_s)


def of_load_alone(window):
    """Return the window with nothing in it that one could learn of the engine."""
    return dataclasses.replace(
        window,
        samples=tuple(
            dataclasses.replace(
                sample,
                replicas=tuple(
                    Replica(
                        name=one.name,
                        requests_running=one.requests_running,
                        requests_waiting=one.requests_waiting,
                        sleeping=one.sleeping,
                    )
                    for one in sample.replicas
                ),
            )
            for sample in window.samples
        ),
    )


@given(windows(most=15), windows(most=15).map(of_load_alone), policies())
def test_what_is_older_than_the_lookback_cannot_change_the_count(window, older, policy):
    policy = dataclasses.replace(policy, metrics=(SignalName.CONCURRENCY,), phase=Phase.BOTH)
    gap_s = window.samples[0].at_s - policy.lookback_s - INTERVAL_S - older.now_s
    buckets = int(gap_s // INTERVAL_S) - 1
    ancient = shifted(older, buckets) if policy.max_concurrency else older
    if policy.max_concurrency is None or ancient.now_s >= window.samples[0].at_s:
        return
    whole = dataclasses.replace(window, samples=(*ancient.samples, *window.samples))
    bare = dataclasses.replace(policy, backlog_drain_s=0.0)

    with_past, without = decide(whole, bare), decide(window, bare)

    if window.span_s >= policy.stable_window_s:
        assert with_past.replicas == without.replicas


@given(
    windows(least=15),
    st.sampled_from([SignalName.CONCURRENCY, SignalName.QUEUE, SignalName.BATCH, SignalName.WORK]),
    st.integers(1, 500),
)
def test_more_load_at_the_newest_instant_never_means_fewer_replicas(window, signal, more):
    policy = inference(metrics=(signal, SignalName.CONCURRENCY), queue_target=3.0, max_num_seqs=40)
    newest = window.latest
    busier = tuple(
        dataclasses.replace(
            replica,
            requests_running=replica.requests_running + more,
            requests_waiting=(replica.requests_waiting or 0.0) + more,
        )
        if replica.requests_running is not None
        else replica
        for replica in newest.replicas
    )
    added = 2 * more * sum(replica.requests_running is not None for replica in newest.replicas)
    held = newest.gateway_in_flight  # counts what the engines hold as well
    louder = dataclasses.replace(
        window,
        samples=(
            *window.samples[:-1],
            dataclasses.replace(
                newest,
                replicas=busier,
                gateway_in_flight=None if held is None else held + added,
            ),
        ),
    )

    calm, loud = decide(window, policy), decide(louder, policy)

    if calm.replicas is not None and loud.replicas is not None:
        assert loud.replicas >= calm.replicas


@given(windows(least=15), policies())
def test_silence_holds(window, policy):
    policy = dataclasses.replace(policy, hold_for_s=0.0)
    mute = dataclasses.replace(
        window,
        samples=(*window.samples, Sample(at_s=window.now_s + INTERVAL_S, ready_replicas=2)),
    )

    assert decide(mute, policy).replicas is None
