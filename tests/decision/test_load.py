import pytest

from scaler.decision.demand import Fill
from scaler.decision.load import read, wanted
from scaler.decision.policy import Phase, SignalName
from scaler.decision.sample import Sample
from tests.builders import inference, replica, sample, steady, window


def only(name, samples, fill=Fill.EMPTY, **more):
    (series,) = read(window(*samples), inference(metrics=(name,), **more), fill)
    return series


def counted(at_s, *, running=0.0, waiting=0.0, **counters):
    return Sample(
        at_s=at_s,
        replicas=(replica(running=running, waiting=waiting, **counters),),
        ready_replicas=1,
    )


@pytest.mark.parametrize(
    ("fields", "load"),
    [
        pytest.param({"running": 7}, 0.7, id="running over the safe concurrency"),
        pytest.param({"running": 7, "waiting": 5}, 1.2, id="waiting count whole while none finish"),
        pytest.param(
            {"running": 7, "waiting": 5, "gateway_in_flight": 14.0}, 1.4, id="and what is held"
        ),
        pytest.param({"running": 7, "replicas": 3, "ready_replicas": 3}, 0.7, id="spread or not"),
    ],
)
def test_concurrency(fields, load):
    assert only(SignalName.CONCURRENCY, [sample(**fields)]).latest == pytest.approx(load)


def test_waiting_requests_ask_for_what_drains_them_in_time():
    finishing = [
        counted(5.0 * k, running=10, waiting=20, requests_finished_total=5.0 * k) for k in range(5)
    ]

    # One a second finishes of ten: each runs 10 s, so a third of a slot drains one in 30 s.
    drained = only(SignalName.CONCURRENCY, finishing, backlog_drain_s=30)
    knative = only(SignalName.CONCURRENCY, finishing, backlog_drain_s=0)

    assert drained.latest == pytest.approx((10 + 20 * 10 / 30) / 10)
    assert knative.latest == pytest.approx(3.0)


def test_concurrency_without_a_limit_does_not_apply():
    series = only(SignalName.CONCURRENCY, [sample(running=3)], max_concurrency=None)

    assert series.latest is None
    assert series.abstention is not None
    assert not series.abstention.missing


def test_a_silent_replica_is_empty_or_full():
    quiet = [sample(running=14, replicas=2, ready_replicas=3)]

    assert only(SignalName.CONCURRENCY, quiet).latest == pytest.approx(1.4)
    assert only(SignalName.CONCURRENCY, quiet, Fill.FULL).latest == pytest.approx(2.4)


def test_silence_of_most_is_missing():
    series = only(SignalName.CONCURRENCY, [sample(running=14, replicas=1, ready_replicas=3)])

    assert series.abstention is not None
    assert series.abstention.missing
    assert series.as_signal().detail == "1 of 3 ready replicas report"


def test_prefill_counts_prompt_tokens_against_what_is_prefilled_in_time():
    samples = [
        counted(
            5.0 * k,
            running=2,
            waiting=8,
            requests_finished_total=10.0 * k,
            prompt_tokens_total=20_000.0 * k,
        )
        for k in range(4)
    ]

    series = only(SignalName.CONCURRENCY, samples, phase=Phase.PREFILL, ttft_target_s=2.0)

    # Ten requests of 2,000 tokens against 4,000 tokens/s for 2 s.
    assert series.latest == pytest.approx(10 * 2000 / (4000 * 2))
    assert series.target == 1


def test_prefill_abstains_before_a_prompt_was_seen():
    series = only(SignalName.CONCURRENCY, [sample()], phase=Phase.PREFILL, ttft_target_s=2.0)

    assert series.latest is None


def test_kv_cache_sees_long_contexts_and_what_waiting_prompts_need():
    samples = [
        counted(
            5.0 * k,
            running=10,
            waiting=4,
            kv_cache_usage=0.5,
            kv_blocks=1000.0,
            kv_block_tokens=16.0,
            requests_finished_total=1.0 * k,
            prompt_tokens_total=1600.0 * k,
        )
        for k in range(3)
    ]

    # 100 of 1,000 blocks for each of four waiting prompts.
    assert only(SignalName.KV_CACHE, samples).latest == pytest.approx(0.5 + 4 * 0.1)


def test_kv_cache_falls_back_on_what_a_running_request_holds():
    samples = [counted(5.0 * k, running=10, waiting=4, kv_cache_usage=0.5) for k in range(3)]

    assert only(SignalName.KV_CACHE, samples).latest == pytest.approx(0.5 + 4 * 0.05)


def test_kv_cache_needs_an_engine_that_reports_it():
    series = only(SignalName.KV_CACHE, [sample(running=3)])

    assert series.abstention is not None
    assert not series.abstention.missing


def test_batch_saturation():
    assert only(SignalName.BATCH, [sample(running=8)], max_num_seqs=16).latest == 0.5
    assert only(SignalName.BATCH, [counted(0, running=8, max_running=32.0)]).latest == 0.25
    assert only(SignalName.BATCH, [sample(running=8)]).latest is None


def test_queue_counts_busy_replicas_by_the_most_one_ran_while_it_had_a_queue():
    samples = [
        counted(0, running=16, waiting=3),
        counted(5, running=30),
        counted(10, running=8, waiting=10),
    ]

    series = only(SignalName.QUEUE, samples, queue_target=5.0)

    assert series.latest == pytest.approx(8 / 16 + 10 / 5)


def test_queue_never_asks_for_more_than_is_there_when_nothing_waits():
    samples = [sample(5.0 * k, running=60, replicas=3) for k in range(2)]

    assert only(SignalName.QUEUE, samples, queue_target=5.0).latest == pytest.approx(3)


def test_rps_counts_completions():
    samples = [counted(5.0 * k, requests_finished_total=200.0 * k) for k in range(3)]

    series = only(SignalName.RPS, samples, rps_target=20.0)

    assert series.loads == (None, pytest.approx(2), pytest.approx(2))
    assert only(SignalName.RPS, samples[:1], rps_target=20.0).latest is None


def test_signals_combine_by_what_they_ask_for():
    series = read(
        window(sample(running=7)),
        inference(metrics=(SignalName.CONCURRENCY, SignalName.BATCH), max_num_seqs=20),
    )

    assert [one.latest for one in series] == [pytest.approx(0.7), pytest.approx(0.35)]
    assert list(wanted(series)) == [pytest.approx(1.0)]


@pytest.mark.parametrize("name", [SignalName.CONCURRENCY, SignalName.BATCH])
def test_constant_traffic_does_not_ask_for_more_as_replicas_are_added(name):
    loads = [
        only(name, steady(60, running=24, replicas=n).samples, max_num_seqs=16).latest
        for n in (2, 3, 6)
    ]

    assert loads == [pytest.approx(loads[0])] * 3


def test_queue_holds_what_is_there_until_a_queue_shows_what_a_replica_can_run():
    never = [sample(5.0 * k, running=24, replicas=6) for k in range(3)]
    once = [sample(0, running=24, waiting=3, replicas=2), *never[1:]]

    assert only(SignalName.QUEUE, never, queue_target=4.0).latest == pytest.approx(6)
    assert only(SignalName.QUEUE, once, queue_target=4.0).latest == pytest.approx(2)
