"""The chain of an inference decision: where each count comes from, and when it holds."""

import dataclasses

import pytest

from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.policy import Forecast, SignalName
from scaler.decision.sample import Sample
from scaler.decision.window import ScaleBounds
from tests.builders import inference, lending, replica, sample, sample_of, steady, window

FAST = {"scale_down_delay_s": 0.0, "hpa_tolerance": 0.0}


def reasons(decision):
    return [step.reason for step in decision.steps]


def test_load_over_the_target():
    decision = decide(steady(600, running=21, replicas=3), inference(**FAST))

    assert decision.replicas == 3
    assert reasons(decision) == [Reason.DEMAND]
    assert decision.load == pytest.approx(2.1)
    assert decision.active
    assert decision.safe_concurrency == 10
    assert decision.binding_limit == "explicit"


def test_a_surge_panics_at_once():
    calm = steady(600, running=7, end_s=10_000).samples
    surge = (sample(10_005, running=60), sample(10_010, running=60))

    decision = decide(window(*calm, *surge), inference(**FAST))

    assert decision.panic
    assert decision.replicas == 9  # 60 / 7, not the minute's average of 16 / 7
    assert Reason.PANIC in reasons(decision)


def test_loading_replicas_count_as_there():
    half = [sample(9_400 + 5.0 * k, running=60, loading_replicas=8) for k in range(120)]

    assert not decide(window(*half), inference(**FAST)).panic


@pytest.mark.parametrize(
    ("newest", "reason"),
    [
        pytest.param(Sample(at_s=10_000, ready_replicas=2), Reason.NO_DATA, id="nobody reports"),
        pytest.param(
            sample(10_000, replicas=1, ready_replicas=3), Reason.NO_DATA, id="most do not report"
        ),
        pytest.param(Sample(at_s=10_000), Reason.NO_DATA, id="nothing is known at all"),
        pytest.param(
            Sample(at_s=10_000, ready_replicas=2, gateway_in_flight=500.0),
            Reason.NO_DATA,
            id="nobody reports, whatever the gateway says",
        ),
        pytest.param(
            Sample(at_s=10_000, spec_replicas=1, ready_replicas=0, loading_replicas=1),
            Reason.NO_DATA,
            id="the first replica loads",
        ),
    ],
)
def test_silence_holds(newest, reason):
    earlier = steady(600, running=21, replicas=3, end_s=9_995).samples

    decision = decide(window(*earlier, newest), inference())

    assert decision.holds
    assert decision.value is None
    assert decision.reason is reason
    assert not decision.active


def of_few(running, *, ready=6, spec=None):
    """Return calm minutes of two replicas, and six that are ready now, of which two report."""
    calm = steady(600, running=14, replicas=2, end_s=9_995).samples
    few = sample(10_000, running=running, replicas=2, ready_replicas=ready, spec_replicas=spec)
    return window(*calm, few)


@pytest.mark.parametrize(
    ("newest", "count"),
    [
        pytest.param({"running": 160}, 13, id="they alone ask for more: up"),
        pytest.param({"running": 40}, None, id="no more than is there, as far as they tell: hold"),
        pytest.param({"running": 160, "spec": 14}, None, id="or than is asked for already: hold"),
        pytest.param({"running": 2}, None, id="never down on their word"),
    ],
)
def test_most_of_the_ready_replicas_are_silent(newest, count):
    decision = decide(of_few(**newest), inference(**FAST))

    assert decision.replicas == count
    assert decision.holds == (count is None)


def test_going_up_by_the_few_says_so():
    decision = decide(of_few(160), inference(**FAST))

    assert decision.load == pytest.approx(16)
    assert decision.steps[-1].reason is Reason.PARTIAL_DATA
    assert decision.steps[-1].detail == "2 of 6 ready replicas report and alone ask for 13"


def test_holding_by_the_few_names_them_and_gives_no_load():
    decision = decide(of_few(40), inference(**FAST))

    assert (decision.reason, decision.load) == (Reason.NO_DATA, None)
    assert decision.detail == "concurrency: 2 of 6 ready replicas report"


def test_an_instant_of_the_few_is_a_gap_to_later_ones():
    seen = of_few(160)
    later = sample(10_005, running=14, replicas=2)

    assert decide(window(*seen.samples, later), inference(**FAST)).replicas == 2


def test_ready_replicas_are_never_offered_in_place_of_data():
    silent = Sample(at_s=0, ready_replicas=4, spec_replicas=4)

    assert decide(window(silent), inference()).replicas is None


def test_an_unknown_capacity_holds_and_says_so():
    decision = decide(steady(600, running=3), inference(max_concurrency=None))

    assert decision.holds
    assert decision.reason is Reason.NO_CAPACITY
    assert "no safe concurrency is known" in decision.steps[-1].detail


def test_gpu_readings_alone_set_no_count():
    decision = decide(steady(600, running=3), inference(metrics=(SignalName.GPU_MEMORY,)))

    assert decision.reason is Reason.NO_DATA


def test_at_zero_nothing_asks():
    zero = [Sample(at_s=5.0 * k, spec_replicas=0, ready_replicas=0) for k in range(3)]

    decision = decide(window(*zero), inference())

    assert (decision.replicas, decision.reason, decision.woken) == (0, Reason.KNOWN_ZERO, False)
    assert not decision.active


@pytest.mark.parametrize(
    ("held", "policy", "count"),
    [
        pytest.param(1.0, {}, 1, id="one request wakes one replica"),
        pytest.param(35.0, {}, 5, id="a backlog wakes what it needs"),
        pytest.param(1.0, {"activation_scale": 2}, 2, id="with no fewer than the activation scale"),
        pytest.param(9.0, {"max_concurrency": None}, 1, id="with one where capacity is unknown"),
    ],
)
def test_a_gateway_wakes_from_zero(held, policy, count):
    zero = [Sample(at_s=5.0 * k, spec_replicas=0, ready_replicas=0) for k in range(20)]
    asked = dataclasses.replace(zero[-1], at_s=100, gateway_in_flight=held)

    decision = decide(window(*zero, asked), inference(**policy))

    assert (decision.replicas, decision.reason, decision.woken) == (count, Reason.WOKEN, True)


def test_what_waited_before_does_not_ask_again():
    zero = [
        Sample(at_s=5.0 * k, spec_replicas=0, ready_replicas=0, gateway_waiting=held)
        for k, held in enumerate([0.0, 60.0, 1.0])
    ]

    assert decide(window(*zero), inference()).replicas == 1


def test_arrivals_wake_from_zero():
    zero = [
        Sample(at_s=5.0 * k, spec_replicas=0, ready_replicas=0, arrivals_total=float(k == 2))
        for k in range(3)
    ]

    assert decide(window(*zero), inference()).reason is Reason.WOKEN


@pytest.mark.parametrize(
    ("counts", "replicas"),
    [
        pytest.param([None] * 9 + [3], 1, id="a row that was never there before"),
        pytest.param([None] * 9 + [0], 0, id="a row that begins at nothing"),
        pytest.param([7] * 4 + [None] * 5 + [7], 0, id="one that was silent in between"),
        pytest.param([7] * 4 + [None] * 5 + [9], 1, id="one that rose in between"),
        pytest.param([7] * 9 + [1], 1, id="a gateway that began anew, and one request"),
        pytest.param([500] * 10, 0, id="one that stands still"),
        pytest.param([None] * 2 + [3] + [3] * 97, 0, id="a row that appeared long ago"),
    ],
)
def test_what_comes_to_the_gateway_of_a_sleeping_workload_wakes_it(counts, replicas):
    zero = [
        Sample(at_s=5.0 * k, spec_replicas=0, ready_replicas=0, arrivals_total=count)
        for k, count in enumerate(counts)
    ]
    assert decide(window(*zero), inference(stable_window_s=60.0)).replicas == replicas


def test_zero_by_the_gateway_and_no_target_up():
    quiet = Sample(at_s=0, gateway_in_flight=0.0, targets_up=0)

    assert decide(window(quiet), inference()).reason is Reason.KNOWN_ZERO


SILENT = "the gateway istio has no fresh series"


def test_a_gateway_that_says_nothing_holds_zero_and_says_so():
    zero = [Sample(at_s=5.0 * k, spec_replicas=0, ready_replicas=0) for k in range(3)]

    decision = decide(window(*zero, gateway_silent=SILENT), inference())

    assert (decision.replicas, decision.reason) == (None, Reason.NO_DATA)
    assert SILENT in decision.steps[-1].detail


def test_an_idle_workload_whose_gateway_says_nothing_stays_at_one():
    idle = steady(600, running=0, spec_replicas=1)

    decision = decide(dataclasses.replace(idle, gateway_silent=SILENT), inference())

    assert (decision.replicas, decision.reason) == (1, Reason.ZERO_UNPROVEN)
    assert SILENT in decision.steps[-1].detail
    assert decide(idle, inference()).replicas == 0


def test_the_minimum_also_holds_where_the_gateway_says_nothing():
    zero = Sample(at_s=0, spec_replicas=0, ready_replicas=0)
    bounds = ScaleBounds(min_replicas=2, max_replicas=8)

    decision = decide(window(zero, bounds=bounds, gateway_silent=SILENT), inference())

    assert decision.replicas == 2


def test_the_minimum_also_holds_at_zero():
    zero = Sample(at_s=0, spec_replicas=0, ready_replicas=0)
    bounds = ScaleBounds(min_replicas=2, max_replicas=4)

    decision = decide(window(zero, bounds=bounds), inference(hpa_tolerance=0.0))

    assert (decision.replicas, decision.reason) == (2, Reason.TOO_FEW_REPLICAS)


def test_idle_goes_to_zero_only_with_proof():
    unproven = decide(steady(600, running=0), inference(**FAST))
    proven = decide(steady(600, running=0, spec_replicas=1), inference(**FAST))

    assert (unproven.replicas, unproven.reason) == (1, Reason.ZERO_UNPROVEN)
    assert (proven.replicas, proven.reason) == (0, Reason.DEMAND)


def test_load_up_to_the_activation_load_is_idle():
    seen = steady(600, running=1, spec_replicas=1)

    assert decide(seen, inference(**FAST)).replicas == 1
    assert decide(seen, inference(activation_load=0.1, **FAST)).replicas == 0


def test_without_history_never_down_and_never_blind():
    short = steady(30, running=7, replicas=1, ready_replicas=1, spec_replicas=4)
    blind = steady(30, running=7)

    kept = decide(short, inference(**FAST))

    assert (kept.replicas, kept.reason) == (4, Reason.NO_HISTORY)
    assert decide(blind, inference(**FAST)).holds


@pytest.mark.parametrize(
    ("running", "spec", "count"),
    [
        pytest.param(27, 3, 4, id="up as far as the missing are empty"),
        pytest.param(14, 3, 3, id="between: stay"),
        pytest.param(2, 6, 2, id="down as far as is safe with the missing full"),
    ],
)
def test_partial_data_by_the_rule_of_the_hpa(running, spec, count):
    full = steady(600, running=running, replicas=2, ready_replicas=3, spec_replicas=spec)

    assert decide(full, inference(**FAST)).replicas == count


def test_partial_data_that_changes_nothing_is_no_step():
    seen = steady(600, running=21, replicas=2, ready_replicas=3, spec_replicas=3)

    decision = decide(seen, inference(**FAST))

    assert (decision.replicas, decision.reason) == (3, Reason.DEMAND)


def test_gpu_readings_alone_do_not_keep_a_workload_asleep():
    zero = Sample(at_s=10_000, spec_replicas=0, ready_replicas=0, gateway_waiting=3.0)
    policy = inference(metrics=(SignalName.GPU_MEMORY,))

    assert decide(window(zero), policy).replicas == 1


def test_partial_data_names_the_span():
    seen = steady(600, running=14, replicas=2, ready_replicas=3, spec_replicas=3)

    decision = decide(seen, inference(**FAST))

    assert decision.steps[-1].reason is Reason.PARTIAL_DATA
    assert "between 2 (they are idle) and 4 (they are full)" in decision.steps[-1].detail


def test_no_scale_down_while_a_chosen_signal_is_silent():
    policy = inference(metrics=(SignalName.CONCURRENCY, SignalName.RPS), rps_target=10.0, **FAST)
    counted = [
        Sample(
            at_s=5.0 * k,
            ready_replicas=4,
            spec_replicas=4,
            replicas=tuple(
                replica(f"llm-{n}", running=1, requests_finished_total=5.0 * k if k < 100 else None)
                for n in range(4)
            ),
        )
        for k in range(120)
    ]

    decision = decide(window(*counted), policy)

    assert (decision.replicas, decision.reason) == (4, Reason.SIGNAL_MISSING)


def test_a_signal_that_does_not_apply_blocks_nothing():
    policy = inference(metrics=(SignalName.CONCURRENCY, SignalName.WORK), **FAST)

    decision = decide(steady(600, running=7, replicas=3), policy)

    assert decision.replicas == 1
    assert any(note.startswith("work abstains") for note in decision.notes)


def test_memory_past_its_threshold_asks_for_one_more():
    policy = inference(metrics=(SignalName.CONCURRENCY, SignalName.GPU_MEMORY), **FAST)
    filling = [
        Sample(
            at_s=5.0 * k,
            ready_replicas=1,
            replicas=(
                replica(
                    running=1, gpu_memory_used_mib=500.0 * k, gpu_memory_free_mib=60_000 - 500.0 * k
                ),
            ),
        )
        for k in range(120)
    ]

    decision = decide(window(*filling), policy)

    assert (decision.replicas, decision.reason) == (2, Reason.GPU_MEMORY)


def test_utilization_past_its_target_raises_in_company():
    policy = inference(metrics=(SignalName.CONCURRENCY, SignalName.GPU_UTILIZATION), **FAST)
    seen = steady(600, running=7)
    busy = tuple(
        dataclasses.replace(s, replicas=(replica(running=7, gpu_engine_active=0.99),))
        for s in seen.samples
    )

    decision = decide(window(*busy), policy)

    assert (decision.replicas, decision.reason) == (2, Reason.GPU_UTILIZATION)


def test_bounds_come_last():
    decision = decide(steady(600, running=70), inference(max_replicas=4, **FAST))

    assert (decision.replicas, decision.reason) == (4, Reason.TOO_MANY_REPLICAS)


def test_a_window_and_a_policy_of_different_kinds_do_not_meet():
    with pytest.raises(TypeError, match="Window and LendingPolicy"):
        decide(steady(60, running=1), lending())


@pytest.mark.parametrize(
    ("forecast", "count"),
    [
        pytest.param("off", 2, id="off: what load asks for"),
        pytest.param("rise", 3, id="what it rose by within a lead time, several times"),
    ],
)
def test_a_forecast_raises_from_the_history(forecast, count):
    hours = tuple(
        sample(1_000.0 + 60 * k, running=30 if k % 5 == 4 else 10, spec_replicas=2)
        for k in range(120)
    )
    calm = steady(600, running=10, spec_replicas=2).samples
    policy = inference(forecast=Forecast(forecast), lead_time_s=60.0, **FAST)

    decision = decide(window(*calm, history=hours), policy)

    assert decision.replicas == count
    assert (Reason.FORECAST in reasons(decision)) == (forecast == "rise")


def test_a_learned_lead_time_lengthens_the_scale_down_delay():
    calm = steady(3000, running=1, spec_replicas=2).samples[-600:]
    surge = tuple(
        dataclasses.replace(one, replicas=(replica(running=30),)) for one in calm[480:500]
    )
    seen = window(*calm[:480], *surge, *calm[500:])
    policy = inference(hpa_tolerance=0.0)

    slow = dataclasses.replace(seen, startup_s=(400.0, 420.0, 440.0))

    assert decide(seen, policy).replicas == 1  # five minutes after the surge
    assert decide(slow, policy).replicas == 5  # twice the p90 of a start


def test_the_dead_band_and_the_bounds_end_the_chain():
    seen = steady(600, running=74, replicas=10, spec_replicas=10)

    decision = decide(seen, inference(scale_down_delay_s=0.0, max_replicas=11))

    assert reasons(decision) == [Reason.DEMAND, Reason.TOLERANCE, Reason.TOO_MANY_REPLICAS]
    assert [step.replicas for step in decision.steps] == [11, 12, 11]


def test_a_lower_count_is_under_reported_where_an_hpa_would_not_act_on_it():
    seen = steady(600, running=61, replicas=10, spec_replicas=10)

    decision = decide(seen, inference(scale_down_delay_s=0.0))

    assert (decision.replicas, decision.value) == (9, 8.999)


def test_it_shows_every_signal_and_the_most_loaded():
    policy = inference(
        metrics=(
            SignalName.BATCH,
            SignalName.GPU_MEMORY,
            SignalName.CONCURRENCY,
            SignalName.GPU_UTILIZATION,
        ),
        max_num_seqs=28,
        **FAST,
    )

    decision = decide(steady(600, running=14, replicas=2, spec_replicas=2), policy)

    assert [(one.name, one.load) for one in decision.signals] == [
        ("batch", 0.5),
        ("concurrency", 1.4),
        ("gpu-memory", None),
        ("gpu-utilization", None),
    ]
    assert decision.load == pytest.approx(1.4)
    assert (decision.ready_replicas, decision.spec_replicas) == (2, 2)


def test_guards_that_are_not_chosen_are_not_shown():
    decision = decide(steady(600, running=14), inference(**FAST))

    assert [one.name for one in decision.signals] == ["concurrency"]


NO_TARGET = (
    "The scale target is not known (neither kube-state-metrics nor the API): "
    "ready replicas are those with a live engine series."
)


NO_LEAD_TIME = "No cold start was seen and leadTime is not stated: the forecast rests."
NO_MAXIMUM = "maxReplicas is not known: the count has no bound here, KEDA's still holds."


@pytest.mark.parametrize(
    ("spec", "changes", "notes"),
    [
        pytest.param(2, {}, (), id="all is known"),
        pytest.param(None, {}, (NO_TARGET,), id="the scale target is not"),
        pytest.param(2, {"lead_time_s": None}, (NO_LEAD_TIME,), id="no cold start is"),
        pytest.param(
            2,
            {"lead_time_s": None, "forecast": Forecast.OFF},
            (),
            id="no cold start is, and no forecast asks for one",
        ),
        pytest.param(2, {"max_replicas": None}, (NO_MAXIMUM,), id="the maximum is not"),
    ],
)
def test_what_is_not_known_is_noted_with_what_rests(spec, changes, notes):
    known = {"lead_time_s": 60.0, "max_replicas": 20}
    policy = inference(**FAST | known | changes)
    decision = decide(steady(600, running=14, replicas=2, spec_replicas=spec), policy)

    assert decision.notes == notes


@pytest.mark.parametrize(
    ("at_zero", "detail"),
    [
        pytest.param(
            {"gateway_waiting": 3.0},
            "at zero replicas, and 3 requests wait at the gateway",
            id="waiting",
        ),
        pytest.param(
            {"arrivals_total": 5.0},
            "at zero replicas, and 5 requests arrived at the gateway",
            id="arrived and gone",
        ),
    ],
)
def test_what_wakes_a_workload_is_said(at_zero, detail):
    zero = [
        Sample(at_s=5.0 * k, spec_replicas=0, ready_replicas=0, arrivals_total=0.0)
        for k in range(3)
    ]
    asked = dataclasses.replace(zero[-1], at_s=15, **at_zero)

    decision = decide(window(*zero, asked), inference(hpa_tolerance=0.0))

    assert decision.detail == detail
    assert not decision.panic


def test_a_replica_that_goes_while_the_target_is_zero_is_no_silence():
    gone = Sample(at_s=0, spec_replicas=0, ready_replicas=2, loading_replicas=0)

    assert decide(window(gone), inference()).reason is Reason.KNOWN_ZERO


def test_one_of_two_signals_without_readings_is_missing_data():
    policy = inference(
        metrics=(SignalName.BATCH, SignalName.CONCURRENCY), max_concurrency=10, **FAST
    )

    decision = decide(window(*steady(600, running=3).samples, Sample(at_s=10_005)), policy)

    assert (decision.reason, decision.panic) == (Reason.NO_DATA, False)
    assert decision.detail.startswith("batch: max_num_seqs is not stated")


def test_the_few_without_a_capacity_hold_for_want_of_it():
    seen = of_few(160)

    decision = decide(seen, inference(max_concurrency=None, **FAST))

    assert (decision.reason, decision.panic) == (Reason.NO_CAPACITY, False)


def test_of_two_signals_the_few_may_speak_by_one():
    policy = inference(metrics=(SignalName.CONCURRENCY, SignalName.BATCH), **FAST)

    decision = decide(of_few(160), policy)

    assert decision.replicas == 13
    assert reasons(decision)[-2:] == [Reason.PANIC, Reason.PARTIAL_DATA]


def test_partial_data_is_a_step_of_its_own():
    seen = steady(600, running=14, replicas=2, ready_replicas=3, spec_replicas=3)

    decision = decide(seen, inference(**FAST))

    assert reasons(decision) == [Reason.DEMAND, Reason.PARTIAL_DATA]
    assert decision.detail == (
        "1 of 3 ready replicas do not report: between 2 (they are idle) and 4 (they are full) "
        "are needed"
    )


@pytest.mark.parametrize(
    ("seconds", "running", "spec", "expected"),
    [
        pytest.param(55, 7, 4, (4, Reason.NO_HISTORY), id="nearly a stable window: no fewer"),
        pytest.param(60, 7, 4, (1, Reason.DEMAND), id="a whole one: fewer"),
        pytest.param(30, 28, 4, (4, Reason.PANIC), id="as many: no step"),
        pytest.param(30, 35, 4, (5, Reason.PANIC), id="more: up"),
    ],
)
def test_before_one_stable_window(seconds, running, spec, expected):
    seen = steady(seconds, running=running, replicas=1, ready_replicas=1, spec_replicas=spec)

    decision = decide(seen, inference(max_scale_down_rate=100.0, **FAST))

    assert (decision.replicas, decision.steps[-1].reason) == expected


def test_history_that_is_too_short_is_said():
    kept = decide(steady(30, running=7, ready_replicas=1, spec_replicas=4), inference(**FAST))
    blind = decide(steady(30, running=7), inference(**FAST))

    assert kept.detail == "30 s of the 60 s stable window were seen so far: no fewer than now"
    assert blind.detail == "30 s of the 60 s stable window were seen so far"
    assert reasons(blind) == [Reason.DEMAND, Reason.NO_HISTORY]


def rates_that_stop(*, spec, ready=4, running=1):
    """Return four replicas whose completions are not counted any more."""
    return window(
        *(
            Sample(
                at_s=5.0 * k,
                ready_replicas=ready,
                spec_replicas=spec,
                replicas=tuple(
                    replica(
                        f"llm-{n}",
                        running=running,
                        requests_finished_total=5.0 * k if k < 100 else None,
                    )
                    for n in range(4)
                ),
            )
            for k in range(120)
        )
    )


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param({"spec": 6}, (6, Reason.SIGNAL_MISSING), id="no fewer than are asked for"),
        pytest.param({"spec": None}, (4, Reason.SIGNAL_MISSING), id="or than are ready"),
        pytest.param({"spec": 4, "running": 9}, (6, Reason.DEMAND), id="up by those that speak"),
        pytest.param({"spec": 2}, (2, Reason.SCALE_DOWN_LIMIT), id="as many: no step"),
    ],
)
def test_a_silent_signal_and_scale_down(seen, expected):
    policy = inference(metrics=(SignalName.CONCURRENCY, SignalName.RPS), rps_target=10.0, **FAST)

    decision = decide(rates_that_stop(**seen), policy)

    assert (decision.replicas, decision.steps[-1].reason) == expected


def test_a_silent_signal_is_named():
    policy = inference(metrics=(SignalName.CONCURRENCY, SignalName.RPS), rps_target=10.0, **FAST)

    assert decide(rates_that_stop(spec=6), policy).detail == (
        "no fewer than now without every signal (rps: the readings it needs are missing now)"
    )


def test_a_workload_that_is_woken_has_no_forecast_and_no_past_to_wait_for():
    zero = Sample(at_s=10_000, spec_replicas=0, ready_replicas=0, gateway_waiting=1.0)
    hours = tuple(
        sample(1_000.0 + 60 * k, running=90 if k % 5 == 4 else 10, spec_replicas=2)
        for k in range(120)
    )
    policy = inference(
        metrics=(SignalName.CONCURRENCY, SignalName.RPS),
        rps_target=1.0,
        forecast=Forecast.RISE,
        lead_time_s=60.0,
        **FAST,
    )

    decision = decide(window(zero, history=hours), policy)

    assert (decision.replicas, reasons(decision)) == (1, [Reason.WOKEN])


def test_without_a_forecast_the_history_asks_for_nothing():
    hours = tuple(
        sample(1_000.0 + 60 * k, running=90 if k % 5 == 4 else 10, spec_replicas=2)
        for k in range(120)
    )
    calm = steady(600, running=10, spec_replicas=2).samples

    policy = inference(forecast=Forecast.OFF, lead_time_s=60.0, **FAST)
    decision = decide(window(*calm, history=hours), policy)

    assert Reason.FORECAST not in reasons(decision)


def bursty(end_s, *, spacing_s=60.0, count=120):
    """Return samples up to ``end_s``: two replicas, one minute in five at three times the load."""
    return [
        sample(at_s, running=30 if at_s // 60 % 5 == 4 else 10, replicas=2, spec_replicas=2)
        for at_s in (end_s - spacing_s * k for k in range(count, -1, -1))
    ]


@pytest.mark.parametrize(
    ("forecast", "lead_time_s", "is_raised"),
    [
        pytest.param(Forecast.RISE, 60.0, True, id="bursts that were seen"),
        pytest.param(Forecast.RISE, None, False, id="no lead time is known"),
        pytest.param(Forecast.OFF, 60.0, False, id="off"),
    ],
)
@pytest.mark.parametrize("has_history", [True, False])
def test_a_forecast_looks_back_over_fine_samples_and_history(
    forecast, lead_time_s, is_raised, has_history
):
    past = bursty(9_960, spacing_s=60.0 if has_history else 5.0, count=100 if has_history else 720)
    calm = steady(40, running=10, replicas=2, spec_replicas=2).samples
    fine = calm if has_history else (*past, *calm)
    seen = window(*fine, history=tuple(past) if has_history else ())

    decision = decide(seen, inference(forecast=forecast, lead_time_s=lead_time_s, **FAST))

    assert (Reason.FORECAST in reasons(decision)) is is_raised
    assert not decision.woken


def test_a_slope_is_seen_over_history_and_fine_samples_together():
    climbing = [
        sample(at_s, running=(at_s - 8_980) / 10, replicas=12, spec_replicas=12)
        for at_s in range(9_000, 10_001, 10)
    ]
    policy = inference(forecast=Forecast.TREND, lead_time_s=300.0, target_utilization=0.95, **FAST)
    fine, before = tuple(climbing[-6:]), tuple(climbing[:-6])

    assert Reason.FORECAST in reasons(decide(window(*fine, history=before), policy))
    assert Reason.FORECAST not in reasons(decide(window(*fine), policy))


def test_a_workload_that_went_to_sleep_is_not_woken_by_a_forecast():
    asleep = [Sample(at_s=9_965.0 + 5 * k, spec_replicas=0, ready_replicas=0) for k in range(8)]
    seen = window(*asleep, history=tuple(bursty(9_960)))

    decision = decide(seen, inference(forecast=Forecast.RISE, lead_time_s=60.0, **FAST))

    assert (decision.replicas, decision.reason) == (0, Reason.KNOWN_ZERO)


def test_a_replica_that_sleeps_is_told_from_one_that_is_silent():
    asleep = replica(sleeping=True)
    held = Sample(at_s=10_000, replicas=(asleep,), ready_replicas=1, spec_replicas=1)

    decision = decide(window(held), inference())

    assert "1 sleep: requests that they hold show in no gauge" in decision.steps[0].detail


@pytest.mark.parametrize(
    ("in_flight", "counts_as"), [(None, "silent: 1"), (7.0, "loading: 1")], ids=["alone", "gateway"]
)
def test_what_a_sleeper_counts_as_is_noted(in_flight, counts_as):
    busy, asleep = replica("llm-0", running=7), replica("llm-1", sleeping=True)
    seen = sample_of(busy, asleep, at_s=10_000, gateway_in_flight=in_flight)

    notes = decide(window(seen), inference()).notes

    assert any(f"Replicas that sleep count as {counts_as}" in note for note in notes)


def test_a_gateway_that_says_nothing_is_noted_while_engines_are_busy():
    busy = dataclasses.replace(steady(600, running=21, replicas=3), gateway_silent=SILENT)

    decision = decide(busy, inference(**FAST))

    assert decision.replicas == 3
    assert f"Nobody would tell of a request: {SILENT}." in decision.notes
