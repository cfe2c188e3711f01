import pytest

from scaler.decision import demand
from scaler.decision.facts.bucket import reporting
from scaler.decision.facts.columns import Columns
from scaler.decision.sample import Replica, Sample
from tests.builders import replica, sample
from tests.decision.instants import held as held_of
from tests.decision.instants import increase, instant, surely_held, waiting

SILENT = Replica(name="llm-9")


def test_a_sleeping_engine_does_not_report():
    awake, asleep = replica("llm-0", running=3), replica("llm-1", running=3, sleeping=True)

    assert reporting(Sample(at_s=0, replicas=(awake, asleep))) == 1


@pytest.mark.parametrize(
    ("fields", "speaks"),
    [
        pytest.param({"replicas": 2}, True, id="all report"),
        pytest.param({"replicas": 2, "ready_replicas": 4}, True, id="half of the ready report"),
        pytest.param({"replicas": 2, "ready_replicas": 5}, False, id="fewer than half report"),
    ],
)
def test_an_instant_speaks_when_half_of_its_replicas_do(fields, speaks):
    assert bool(instant(sample(**fields)).speaks) is speaks


@pytest.mark.parametrize(
    ("fields", "speaks"),
    [
        pytest.param({}, False, id="nothing is known"),
        pytest.param({"spec_replicas": 0}, True, id="the scale target is at zero"),
        pytest.param(
            {"spec_replicas": 1, "ready_replicas": 0}, False, id="the first replica loads: silence"
        ),
        pytest.param(
            {"spec_replicas": 1, "ready_replicas": 0, "gateway_in_flight": 2.0},
            True,
            id="the first replica loads and a gateway reads",
        ),
        pytest.param({"ready_replicas": 2}, False, id="two are ready and neither reports"),
        pytest.param(
            {"ready_replicas": 1, "gateway_in_flight": 2.0}, False, id="whatever a gateway reads"
        ),
        pytest.param(
            {"gateway_in_flight": 2.0}, False, id="how many are ready is not known, nor is zero"
        ),
        pytest.param(
            {"ready_replicas": 0, "gateway_waiting": 2.0}, True, id="some wait for the first"
        ),
    ],
)
def test_an_instant_without_engine_series(fields, speaks):
    assert bool(instant(Sample(at_s=0, **fields)).speaks) is speaks


def test_of_the_few_the_silent_ones_are_empty():
    few = demand.of_the_few(sample(running=14, replicas=2, ready_replicas=6))

    assert instant(few).speaks
    assert (few.ready, instant(few).missing, instant(few).running) == (2, 0, 14)


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        pytest.param({"gateway_in_flight": 9.0}, 4, id="all report: what no engine knows of"),
        pytest.param({"gateway_in_flight": 9.0, "ready_replicas": 2}, 0, id="it may run there"),
        pytest.param({"gateway_waiting": 4.0, "ready_replicas": 2}, 4, id="only waiting ones"),
        pytest.param({"ready_replicas": 2}, 0, id="no gateway holds any"),
    ],
)
def test_what_is_held_for_sure_while_a_replica_is_silent(fields, held):
    assert surely_held(sample(running=3, waiting=2, **fields)) == held


def test_of_two_gauges_the_one_of_what_waits_counts():
    both = Sample(at_s=0, ready_replicas=2, gateway_in_flight=9.0, gateway_waiting=4.0)

    assert (held_of(both), surely_held(both)) == (4, 4)


def test_where_nothing_is_known_no_replica_is_missing():
    assert instant(Sample(at_s=0)).missing == 0


def test_what_is_held_is_what_no_engine_knows_of():
    assert held_of(sample(running=3, waiting=2, gateway_in_flight=9.0)) == 4
    assert held_of(sample(running=3, waiting=2, gateway_in_flight=4.0)) == 0
    assert held_of(sample(running=3, waiting=2, gateway_waiting=4.0)) == 4
    assert held_of(sample(running=3)) == 0


def test_service_time_by_littles_law():
    counted = [
        Sample(at_s=10.0 * k, replicas=(replica(running=8, requests_finished_total=4.0 * k),))
        for k in range(4)
    ]

    # Eight run at once and 12 finish in 30 s: each runs for 20 s.
    assert demand.service_time_s(Columns.of(counted)) == pytest.approx(20)
    assert demand.service_time_s(Columns.of(counted[:1])) is None


def test_service_time_is_of_the_time_that_was_counted():
    counted = [
        Sample(at_s=10.0 * k, replicas=(replica(running=8, requests_finished_total=4.0 * k),))
        for k in range(4)
    ]
    uncounted = [Sample(at_s=-600, replicas=(replica(running=100),)), Sample(at_s=-300)]

    assert demand.service_time_s(Columns.of([*uncounted, *counted])) == pytest.approx(20)


def test_service_time_through_a_rise_and_a_gap():
    counted = [
        Sample(at_s=at_s, replicas=(replica(running=running, requests_finished_total=finished),))
        for at_s, running, finished in [(0, 2, 0.0), (10, 4, 1.0), (40, 6, 10.0)]
    ]

    # 3 run for 10 s and 5 for 30 s while 10 finish.
    assert demand.service_time_s(Columns.of(counted)) == pytest.approx(18)


def test_mean_prompt_tokens_over_a_restart():
    readings = [(0, 0), (10, 1000), (2, 300)]  # the third is after a restart: 2 more, 300 more
    counted = [
        Sample(
            at_s=10.0 * k,
            replicas=(replica(requests_finished_total=float(n), prompt_tokens_total=float(p)),),
        )
        for k, (n, p) in enumerate(readings)
    ]

    assert demand.mean_prompt_tokens(Columns.of(counted)) == pytest.approx(1300 / 12)


def test_a_replica_without_a_past_does_not_count_its_whole_life_as_a_rise():
    before = Sample(at_s=0, replicas=(replica("old", requests_finished_total=5.0),))
    after = Sample(
        at_s=5,
        replicas=(
            replica("new", requests_finished_total=900.0),
            replica("old", requests_finished_total=7.0),
        ),
    )

    assert increase(before, after, "finished") == 2


def test_a_replica_that_does_not_say_what_it_runs_does_not_report():
    mute = replica("llm-1", running=None, waiting=3)

    assert reporting(Sample(at_s=0, replicas=(mute,))) == 0


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        pytest.param({"replicas": 2, "ready_replicas": 5}, 3, id="ready and silent"),
        pytest.param({"replicas": 2, "ready_replicas": 1}, 0, id="one reports before it is ready"),
        pytest.param({"replicas": 2, "ready_replicas": None}, 0, id="ready are those that report"),
        pytest.param({"replicas": 1, "ready_replicas": 0}, 0, id="none is ready"),
    ],
)
def test_how_many_ready_replicas_are_silent(fields, missing):
    assert instant(sample(**fields)).missing == missing


def test_what_waits_is_in_the_engines_and_at_the_gateway():
    partly = replica("llm-1", running=1, waiting=None)
    seen = Sample(at_s=0, replicas=(replica(running=1, waiting=3), partly), gateway_waiting=4.0)

    assert waiting(seen) == 3
    assert instant(seen).backlog == 7


@pytest.mark.parametrize(
    ("finished", "tokens"),
    [
        pytest.param((5, 5), (0, 900), id="nothing finished"),
        pytest.param((5, 9), (None, None), id="tokens are not counted"),
    ],
)
def test_the_mean_prompt_may_not_be_known(finished, tokens):
    counted = [
        Sample(at_s=5.0 * k, replicas=(replica(requests_finished_total=n, prompt_tokens_total=p),))
        for k, (n, p) in enumerate(zip(finished, tokens, strict=True))
    ]

    assert demand.mean_prompt_tokens(Columns.of(counted)) is None


def test_service_time_wherever_the_clock_starts():
    counted = [
        Sample(at_s=1e6 + 10.0 * k, replicas=(replica(running=8, requests_finished_total=4.0 * k),))
        for k in range(4)
    ]

    assert demand.service_time_s(Columns.of(counted)) == pytest.approx(20)
