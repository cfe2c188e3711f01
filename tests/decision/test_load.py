import pytest

from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.demand import Fill
from scaler.decision.load import read, wanted
from scaler.decision.policy import Phase, SignalName
from scaler.decision.sample import Sample
from tests.builders import inference, replica, sample, sample_of, steady, window
from tests.decision.instants import listed


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


@pytest.mark.parametrize(
    ("name", "load"),
    [(SignalName.BATCH, 1.4), (SignalName.QUEUE, 2.0), (SignalName.KV_CACHE, 1.0)],
)
def test_of_every_signal_a_silent_replica_is_empty_or_full(name, load):
    quiet = [caching(0, 0.5, 0.5, waiting=0.0, ready_replicas=3)]
    if name is SignalName.BATCH:
        quiet = [sample(running=14, replicas=2, ready_replicas=3)]

    assert only(name, quiet, max_num_seqs=10, queue_target=5.0).latest == pytest.approx(load)
    assert only(name, quiet, Fill.FULL, max_num_seqs=10, queue_target=5.0).latest == (
        pytest.approx(load + 1)
    )


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

    series = only(
        SignalName.CONCURRENCY, samples, phase=Phase.PREFILL, ttft_target=LatencyTarget(seconds=2.0)
    )

    # Ten requests of 2,000 tokens against 4,000 tokens/s for 2 s.
    assert series.latest == pytest.approx(10 * 2000 / (4000 * 2))
    assert series.target == 1


def test_prefill_abstains_before_a_prompt_was_seen():
    series = only(
        SignalName.CONCURRENCY,
        [sample()],
        phase=Phase.PREFILL,
        ttft_target=LatencyTarget(seconds=2.0),
    )

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
        counted(0, running=12, waiting=1),
        counted(5, running=16, waiting=3),
        counted(10, running=30),
        counted(15, running=8, waiting=10),
    ]

    series = only(SignalName.QUEUE, samples, queue_target=5.0)

    assert series.latest == pytest.approx(8 / 16 + 10 / 5)
    assert list(wanted((series,)))[-1] == pytest.approx(2.5)  # busy is full: no share is left free


def test_queue_never_asks_for_more_than_is_there_when_nothing_waits():
    samples = [sample(5.0 * k, running=60, replicas=3) for k in range(2)]

    assert only(SignalName.QUEUE, samples, queue_target=5.0).latest == pytest.approx(3)


def test_rps_counts_completions():
    samples = [counted(5.0 * k, requests_finished_total=200.0 * k) for k in range(3)]

    series = only(SignalName.RPS, samples, rps_target=20.0)

    assert listed(series.loads) == (None, pytest.approx(2), pytest.approx(2))
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


def test_nobody_reports():
    series = only(SignalName.CONCURRENCY, [Sample(at_s=0)])

    assert series.abstention is not None
    assert (series.abstention.missing, series.abstention.why) == (True, "no replica reports")


def test_concurrency_says_what_it_counts():
    finishing = [
        counted(5.0 * k, running=10, waiting=20, requests_finished_total=5.0 * k) for k in range(5)
    ]

    drained = only(SignalName.CONCURRENCY, finishing[:3], backlog_drain_s=30)

    assert drained.as_signal().detail == "10 running + 20 waiting × 0.33, 10 per replica (explicit)"


def test_a_slow_request_waits_at_full_weight():
    slow = [
        counted(5.0 * k, running=10, waiting=20, requests_finished_total=0.5 * k) for k in range(3)
    ]

    assert only(SignalName.CONCURRENCY, slow, backlog_drain_s=30).latest == pytest.approx(3)


def prefilling(at_s, *rates, finished):
    """Return replicas that compute prompt tokens at these rates since the beginning of time."""
    return sample_of(
        *(
            replica(
                f"llm-{n}",
                running=2,
                waiting=8,
                requests_finished_total=finished * at_s,
                prompt_tokens_total=rate * at_s,
            )
            for n, rate in enumerate(rates)
        ),
        at_s=at_s,
    )


def test_prefill_is_as_fast_as_the_fastest_replica_was():
    samples = [prefilling(1_000.0 + 5 * k, 4_000.0, 1_000.0, finished=1.0) for k in range(4)]

    series = only(
        SignalName.CONCURRENCY, samples, phase=Phase.PREFILL, ttft_target=LatencyTarget(seconds=2.0)
    )

    # Twenty requests of 2,500 tokens against 4,000 tokens/s for 2 s.
    assert series.latest == pytest.approx(20 * 2_500 / (4_000 * 2))
    assert series.detail == "2500 prompt tokens a request, 4000 tokens/s, TTFT 2 s"


@pytest.mark.parametrize(
    ("rate", "finished"),
    [
        pytest.param(4_000.0, 0.0, id="nothing finished: no length of a prompt"),
        pytest.param(0.0, 1.0, id="nothing was computed: no rate"),
    ],
)
def test_prefill_needs_a_length_and_a_rate(rate, finished):
    samples = [prefilling(5.0 * k, rate, finished=finished) for k in range(4)]

    series = only(
        SignalName.CONCURRENCY, samples, phase=Phase.PREFILL, ttft_target=LatencyTarget(seconds=2.0)
    )

    assert (series.latest, series.target) == (None, 1)
    assert series.as_signal().detail == "no prompt was seen to be prefilled yet"


def caching(at_s, *usages, waiting=4.0, ready_replicas=None, **more):
    """Return replicas with ten running requests each and these shares of their cache in use."""
    return sample_of(
        *(
            replica(f"llm-{n}", running=10, waiting=waiting, kv_cache_usage=usage, **more)
            for n, usage in enumerate(usages)
        ),
        at_s=at_s,
        ready_replicas=len(usages) if ready_replicas is None else ready_replicas,
    )


@pytest.mark.parametrize(
    "usages", [(None, None), (0.5, None)], ids=["nobody says it now", "one of two does not"]
)
def test_a_cache_that_nobody_tells_of_is_not_empty(usages):
    series = only(SignalName.KV_CACHE, [caching(0, 0.5, 0.5), caching(5, *usages)])

    assert listed(series.loads) == (pytest.approx(1 + 8 * 1 / 20), None)
    assert series.abstention is not None
    assert series.abstention.missing
    assert series.abstention.why == "the readings it needs are missing now"


def test_while_no_prompt_has_finished_a_waiting_one_counts_as_one_that_runs():
    sizes = {"kv_blocks": 1_000.0, "kv_block_tokens": 16.0}

    series = only(SignalName.KV_CACHE, [caching(5.0 * k, 0.5, **sizes) for k in range(3)])

    assert series.latest == pytest.approx(0.5 + 4 * 0.5 / 10)


def test_kv_cache_adds_up_and_says_what_a_waiting_prompt_needs():
    series = only(SignalName.KV_CACHE, [caching(0, 0.5, 0.25), caching(5, 0.5, 0.25)])

    assert series.latest == pytest.approx(0.75 + 8 * 0.75 / 20)
    assert series.detail == "3.75 % of a replica's blocks per waiting prompt"


def test_an_empty_cache_adds_nothing_to_what_a_waiting_prompt_needs():
    series = only(SignalName.KV_CACHE, [caching(0, 0.5, 0.0), caching(5, 0.5, 0.0)])

    assert series.latest == pytest.approx(0.5 + 8 * 0.5 / 20)


def test_kv_cache_with_nothing_run_before_counts_what_is_used():
    assert only(SignalName.KV_CACHE, [caching(0, 0.5)]).latest == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("sizes", "share"),
    [
        pytest.param([(1_000.0, 16.0), (500.0, 16.0)], 0.2, id="the smallest replica's cache"),
        pytest.param([(1_000.0, 16.0), (None, 16.0)], 0.1, id="those whose blocks are known"),
        pytest.param([(1_000.0, 16.0), (100.0, None)], 0.1, id="and whose size is"),
        pytest.param([(1_000.0, None), (None, 16.0)], 0.05, id="else what a running one holds"),
    ],
)
def test_the_share_of_a_waiting_prompt(sizes, share):
    def at(at_s):
        return sample_of(
            *(
                replica(
                    f"llm-{n}",
                    running=10,
                    waiting=2,
                    kv_cache_usage=0.5,
                    kv_blocks=blocks,
                    kv_block_tokens=tokens,
                    requests_finished_total=at_s,
                    prompt_tokens_total=1_600 * at_s,
                )
                for n, (blocks, tokens) in enumerate(sizes)
            ),
            at_s=at_s,
        )

    series = only(SignalName.KV_CACHE, [at(0.0), at(5.0), at(10.0)])

    assert series.latest == pytest.approx(1 + 4 * share)


def test_batch_counts_against_the_least_limit():
    batches = sample_of(
        replica("a", running=8, max_running=32.0),
        replica("b", running=8, max_running=16.0),
        replica("c", running=0),
    )

    assert only(SignalName.BATCH, [batches]).latest == 1
    assert only(SignalName.BATCH, [batches]).detail == "max_num_seqs 16"


def test_a_queue_before_which_nothing_runs_shows_nothing_of_what_a_replica_can_run():
    samples = [counted(0, waiting=3), counted(5, running=8), counted(10, running=4)]

    assert only(SignalName.QUEUE, samples, queue_target=5.0).latest == pytest.approx(4 / 8)


def test_queue_counts_no_replica_as_more_than_busy():
    samples = [sample(0, running=10, waiting=1), sample(5, running=30)]

    assert only(SignalName.QUEUE, samples, queue_target=5.0).latest == 1


def test_queue_says_what_a_replica_runs():
    samples = [counted(0, running=16, waiting=3), counted(5, running=8)]

    detail = only(SignalName.QUEUE, samples, queue_target=5.0).detail

    assert detail == "a replica runs up to 16; 5 waiting are worth one more"


def test_queue_without_a_past_counts_replicas_that_run_anything():
    lone = sample_of(replica("a", running=1), replica("b", running=7), replica("c", running=0))

    assert only(SignalName.QUEUE, [lone], queue_target=5.0).latest == 2


@pytest.mark.parametrize(
    ("newest", "load"),
    [
        pytest.param(counted(10, requests_finished_total=None), None, id="not counted now"),
        pytest.param(Sample(at_s=10, spec_replicas=0), 0, id="known to be at zero"),
        pytest.param(Sample(at_s=10, ready_replicas=1), None, id="silent"),
        pytest.param(
            sample_of(replica(requests_finished_total=300.0), at_s=10, ready_replicas=2),
            1 + 1,
            id="a silent one beside it counts as full",
        ),
    ],
)
def test_rps_at_the_newest_instant(newest, load):
    samples = [counted(5.0 * k, requests_finished_total=200.0 * k) for k in range(2)]

    series = only(SignalName.RPS, [*samples, newest], Fill.FULL, rps_target=20.0)

    assert series.latest == load


def test_completions_that_no_engine_counts_block_no_scale_down():
    series = only(SignalName.RPS, [sample(5.0 * k, running=3) for k in range(3)], rps_target=20.0)

    assert series.abstention is not None
    assert (series.abstention.missing, series.abstention.why) == (
        False,
        "no completions were counted yet",
    )


def test_rps_says_its_target():
    samples = [counted(5.0 * k, requests_finished_total=200.0 * k) for k in range(3)]

    assert only(SignalName.RPS, samples, rps_target=20.0).detail == "20 completions/s per replica"


def test_where_no_signal_says_anything_nothing_is_wanted():
    series = read(
        window(sample(running=7), sample(5, running=14)),
        inference(metrics=(SignalName.BATCH, SignalName.RPS), rps_target=1.0),
    )

    assert listed(wanted(series)) == (None, None)


def test_guards_are_no_loads():
    policy = inference(metrics=(SignalName.GPU_MEMORY, SignalName.CONCURRENCY))

    assert [one.name for one in read(window(sample()), policy)] == [SignalName.CONCURRENCY]
