import math

import pytest

from scaler.capacity.latency_target import LatencyTarget
from scaler.decision.policy import ConcurrencyMode, Phase, SignalName, StepCost
from scaler.errors import ConfigurationError
from tests.builders import inference, lending


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        pytest.param("target_utilization", 0.0, "got 0; allowed: above 0 and at most 1", id="zero"),
        pytest.param("target_utilization", math.nan, "got nan", id="NaN never passes"),
        pytest.param("panic_threshold", 100, "at least 110 and at most 1000", id="Knative's range"),
        pytest.param(
            "max_scale_up_rate", 1.0, "above 1 and finite", id="a rate of one never moves"
        ),
        pytest.param("queue_target", math.inf, "above 0 and finite", id="infinity is no target"),
        pytest.param("overflow_probability", 1.0, "above 0 and below 1", id="an open ceiling"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(field, value, message):
    with pytest.raises(ConfigurationError) as caught:
        inference(**{field: value})

    assert str(caught.value).startswith(f"{field}: ")
    assert message in str(caught.value)


def test_all_problems_come_at_once():
    with pytest.raises(ConfigurationError) as caught:
        inference(target_utilization=2, min_replicas=5, max_replicas=3, concurrency_mode="explicit")

    assert [p.field for p in caught.value.problems] == ["target_utilization", "min_replicas"]


@pytest.mark.parametrize(
    "thresholds", [(0.7, 0.3), (0.5, 0.5)], ids=["crossed", "equal: nothing would ever be stable"]
)
def test_lending_thresholds_leave_a_band(thresholds):
    below, above = thresholds
    with pytest.raises(ConfigurationError, match="lend_below: .* below reclaim_above"):
        lending(lend_below=below, reclaim_above=above)


def test_the_panic_window_is_whole_seconds_and_at_least_one():
    assert inference(stable_window_s=60).panic_window_s == 6
    assert inference(stable_window_s=6, panic_window_percentage=1).panic_window_s == 1
    assert inference(stable_window_s=3600, panic_window_percentage=33).panic_window_s == 1188


def test_auto_scale_down_delay_follows_the_lead_time():
    assert inference().effective_scale_down_delay_s(None) == 300
    assert inference().effective_scale_down_delay_s(30) == 120
    assert inference().effective_scale_down_delay_s(240) == 480
    assert inference(scale_down_delay_s=0).effective_scale_down_delay_s(240) == 0


def test_workers_are_bounded_by_what_the_pool_could_ever_hold():
    assert lending(reserved_units=3, units_per_worker=2).most_workers == 2
    assert lending(max_workers=1).most_workers == 1


@pytest.mark.parametrize(
    ("field", "values"),
    [
        pytest.param("overflow_probability", "(0 1)", id="the share of overflows"),
        pytest.param("target_utilization", "(0 1]", id="the target utilisation"),
        pytest.param("gpu_memory_threshold", "(0 1]", id="the memory threshold"),
        pytest.param("gpu_utilization_target", "(0 1]", id="the utilisation of GPUs"),
        pytest.param("forecast_quantile", "(0 1)", id="the quantile of a forecast"),
        pytest.param("panic_window_percentage", "[1 100]", id="the panic window"),
        pytest.param("panic_threshold", "[110 1000]", id="the panic threshold"),
        pytest.param("stable_window_s", "[6 3600]", id="the stable window"),
        pytest.param("scale_down_delay_s", "[0 3600]", id="the scale-down delay"),
        pytest.param("panic_horizon_s", "(0 86400]", id="the panic horizon"),
        pytest.param("backlog_drain_s", "[0 3600]", id="the time to drain a backlog"),
        pytest.param("forecast_lookback_s", "[600 1209600]", id="a forecast's lookback"),
        pytest.param("lead_time_s", "[0 7200]", id="the lead time"),
        pytest.param("hpa_tolerance", "[0 1)", id="the HPA's tolerance"),
        pytest.param("activation_load", "[0 inf)", id="the activation load"),
        pytest.param("max_scale_up_rate", "(1 inf)", id="the rate up"),
        pytest.param("max_scale_down_rate", "(1 inf)", id="the rate down"),
        pytest.param("queue_target", "(0 inf)", id="the queue target"),
        pytest.param("rps_target", "(0 inf)", id="the completions per second"),
        pytest.param("max_concurrency", "[1 inf)", id="the stated concurrency"),
        pytest.param("max_model_len", "[1 inf)", id="the longest request"),
        pytest.param("max_num_seqs", "[1 inf)", id="the engine's limit"),
        pytest.param("units_per_replica", "[1 inf)", id="the units of a replica"),
        pytest.param("activation_scale", "[1 inf)", id="the activation scale"),
        pytest.param("min_replicas", "[0 inf)", id="the minimum"),
        pytest.param("max_replicas", "[1 inf)", id="the maximum"),
        pytest.param("tier_cost", "(0 inf)", id="the cost of a tier"),
        pytest.param("tier_peak_above", "(0 1]", id="the peak's beginning"),
        pytest.param("tier_peak_below", "(0 1)", id="the peak's end"),
    ],
)
def test_what_an_inference_policy_takes(field, values):
    # The other threshold of a peak stands wide open.
    wide = {"tier_peak_below": 1e-6, "tier_peak_above": 1.0}
    others = {name: value for name, value in wide.items() if name != field}

    check_edges(lambda value: inference(**others, **{field: value}), field, values)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        pytest.param("pool_units", "[1 inf)", id="the units of the pool"),
        pytest.param("reserved_units", "[0 1000000]", id="those reserved: all at most"),
        pytest.param("units_per_worker", "[1 inf)", id="those of a worker"),
        pytest.param("lend_below", "(0 1)", id="the threshold of lending"),
        pytest.param("reclaim_above", "(0 1]", id="the threshold of a reclaim"),
        pytest.param("latch_lookback_s", "[60 86400]", id="the latch's lookback"),
        pytest.param("lend_delay_s", "[0 86400)", id="the delay after a reclaim"),
        pytest.param("min_runtime_s", "[0 86400)", id="the minimum runtime"),
        pytest.param("min_workers", "[1 1000000]", id="the fewest workers: the most at most"),
        pytest.param("max_workers", "[1 inf)", id="the most workers"),
        pytest.param("headroom_units", "[0 inf)", id="the headroom"),
        pytest.param("blind_reclaim_after_s", "(0 86400)", id="how long a load may be unknown"),
        pytest.param("stable_window_s", "[6 3600]", id="the stable window"),
        pytest.param("panic_window_percentage", "[1 100]", id="the panic window"),
        pytest.param("reclaim_time_s", "[0 7200)", id="the time to give back"),
        pytest.param("forecast_quantile", "(0 1)", id="the quantile of the headroom"),
    ],
)
def test_what_a_lending_policy_takes(field, values):
    # What a field is compared with stands wide open.
    wide = {
        "pool_units": 10**6,
        "max_workers": 10**6,
        "lend_below": 1e-6,
        "reclaim_above": 1.0,
    }
    others = {name: value for name, value in wide.items() if name != field}

    check_edges(lambda value: lending(**others, **{field: value}), field, values)


def check_edges(make, field, values):
    """Hold a field to its interval: ``[`` takes the edge, ``(`` does not; nothing is past it."""
    low, high = map(float, values[1:-1].split())
    inside, outside = 1 + 1e-5, 1 - 1e-5
    taken = [low * inside or 1e-5, high * outside] + [low] * (values[0] == "[")
    refused = [low * outside or -1e-5, high * inside, math.nan] + [low] * (values[0] == "(")
    (taken if values[-1] == "]" else refused).append(high)

    for value in taken:
        if math.isfinite(value):
            make(value)
    for value in refused:
        with pytest.raises(ConfigurationError) as caught:
            make(value)
        assert field in {problem.field for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"metrics": ()}, "metrics: missing; state at least one signal"),
        pytest.param(
            {"metrics": (SignalName.RPS,)},
            "rps_target: missing, since the rps signal is chosen",
        ),
        pytest.param(
            {"metrics": (SignalName.QUEUE,)},
            "queue_target: missing, since the queue signal is chosen",
        ),
        pytest.param(
            {"concurrency_mode": ConcurrencyMode.EXPLICIT, "max_concurrency": None},
            "max_concurrency: missing, since concurrency_mode is explicit",
        ),
        pytest.param(
            {"phase": Phase.PREFILL},
            "ttft_target: missing, since phase is prefill",
        ),
        pytest.param({"tier_group": "chat"}, "tier_cost: missing, since tier_group is"),
    ],
    ids=[
        "no signal",
        "a rate without its target",
        "a queue without its target",
        "explicit and not stated",
        "prefill without a deadline",
        "a tier without a cost",
    ],
)
def test_what_one_choice_needs_of_another(fields, message):
    with pytest.raises(ConfigurationError) as caught:
        inference(**fields)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"metrics": (SignalName.RPS,), "rps_target": 1.0}, id="a rate and its target"),
        pytest.param({"metrics": (SignalName.QUEUE,), "queue_target": 1.0}, id="a queue and its"),
        pytest.param({"concurrency_mode": ConcurrencyMode.EXPLICIT}, id="explicit, and stated"),
        pytest.param({"max_concurrency": None}, id="not stated, and not explicit"),
        pytest.param(
            {"phase": Phase.PREFILL, "ttft_target": LatencyTarget(seconds=1.0)},
            id="prefill and its deadline",
        ),
        pytest.param({"tier_group": "chat", "tier_cost": 1.0}, id="a tier and its cost"),
        pytest.param({"min_replicas": 2, "max_replicas": 2}, id="a single count"),
    ],
)
def test_what_goes_together(fields):
    inference(**fields)


@pytest.mark.parametrize("cost", ["a_s", "b_s", "c_s"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_the_cost_of_a_step_is_above_zero(cost, value):
    with pytest.raises(ConfigurationError) as caught:
        StepCost(**{**dict.fromkeys(("a_s", "b_s", "c_s"), 1e-9), cost: value})

    name = cost.removesuffix("_s")
    assert str(caught.value) == f"step_cost.{name}: got {value:g}; allowed: above 0, seconds"


def test_orders_name_what_they_are_compared_with():
    with pytest.raises(ConfigurationError) as caught:
        inference(min_replicas=5, max_replicas=3)

    assert str(caught.value) == "min_replicas: got 5; allowed: at most max_replicas (3)"


def test_the_panic_horizon_is_ten_minutes_or_five_stable_windows():
    assert inference(stable_window_s=120).effective_panic_horizon_s == 600
    assert inference(stable_window_s=300).effective_panic_horizon_s == 1500
    assert inference(panic_horizon_s=30, stable_window_s=300).effective_panic_horizon_s == 30


def test_the_automatic_delay_is_an_hour_at_most():
    assert inference().effective_scale_down_delay_s(1790) == 3580
    assert inference().effective_scale_down_delay_s(7200) == 3600


@pytest.mark.parametrize(
    ("fields", "delay_s"),
    [
        pytest.param({}, 1800, id="a lead time may yet be learned: the longest likely delay"),
        pytest.param({"scale_down_delay_s": 60}, 60, id="stated"),
        pytest.param({"lead_time_s": 400}, 800, id="by a stated lead time"),
    ],
)
def test_the_lookback_is_the_delay_the_horizon_and_both_windows(fields, delay_s):
    assert inference(**fields).lookback_s == delay_s + 600 + 60 + 6


def test_the_panic_window_of_lending():
    assert lending(stable_window_s=120, panic_window_percentage=25).panic_window_s == 30
    assert lending(stable_window_s=6, panic_window_percentage=1).panic_window_s == 1
