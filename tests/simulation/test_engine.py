"""The engine: exact in its closed form, and nothing gets lost."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.policy import StepCost
from scaler.errors import ConfigurationError
from scaler.simulation.engine import Engine, EngineConfig
from scaler.simulation.request import Request
from scaler.simulation.traffic import Arrival
from tests.simulation.step_by_step import SlowEngine

COST = StepCost(a_s=0.008, b_s=0.0001, c_s=0.00003)


def config(**more) -> EngineConfig:
    return EngineConfig(
        **{
            "step_cost": COST,
            "num_blocks": 1000,
            "block_tokens": 16,
            "max_num_seqs": 32,
            "max_num_batched_tokens": 512,
            "max_model_len": 1024,
            **more,
        }
    )


def run(engine_config: EngineConfig, arrivals: list[Arrival]) -> tuple[Engine, list[Request]]:
    """Feed an engine with arrivals and let it finish; return the requests as they arrived."""
    finished: list[Request] = []
    engine = Engine(engine_config, finished.append)
    requests = []
    for arrival in arrivals:
        while engine.due_s <= arrival.at_s:
            engine.turn()
        requests.append(
            Request(
                arrived_s=arrival.at_s,
                prompt_tokens=arrival.prompt_tokens,
                output_tokens=arrival.output_tokens,
            )
        )
        engine.add(requests[-1], arrival.at_s)
        assert engine.open_requests + len(finished) == len(requests)
        assert 0 <= engine.blocks_used <= engine_config.usable_blocks
    while engine.due_s < math.inf:
        engine.turn()
        assert 0 <= engine.blocks_used <= engine_config.usable_blocks
    assert len(finished) == len(requests)
    return engine, requests


engines = st.builds(
    lambda blocks, size, seqs, budget: config(
        num_blocks=math.ceil(120 / size) + 1 + blocks,
        block_tokens=size,
        max_num_seqs=seqs,
        max_num_batched_tokens=seqs + budget,
        max_model_len=120,
    ),
    blocks=st.integers(0, 30),
    size=st.sampled_from([1, 4, 16]),
    seqs=st.integers(1, 12),
    budget=st.integers(1, 80),
)
traffic = st.lists(
    st.tuples(st.floats(0, 0.3), st.integers(1, 80), st.integers(1, 40)), min_size=1, max_size=25
).map(
    lambda rows: [
        Arrival(sum(gap for gap, _, _ in rows[: n + 1]), prompt, output)
        for n, (_, prompt, output) in enumerate(rows)
    ]
)


@given(engines, traffic)
def test_the_closed_form_agrees_with_an_engine_that_runs_step_by_step(engine_config, arrivals):
    fast_engine, fast = run(engine_config, arrivals)
    slow_engine = SlowEngine(engine_config)
    slow = slow_engine.run(arrivals)
    assert fast_engine.preemptions_total == slow_engine.preemptions
    for mine, reference in zip(fast, slow, strict=True):
        assert mine.preemptions == reference.preemptions
        assert mine.first_token_s == pytest.approx(reference.first_token_s, abs=1e-9)
        assert mine.finished_s == pytest.approx(reference.finished_s, abs=1e-9)


@given(engines, traffic)
def test_tokens_are_conserved_and_every_block_comes_back(engine_config, arrivals):
    engine, requests = run(engine_config, arrivals)
    reading = engine.read(1e9)
    assert reading.generation_tokens_total == sum(r.output_tokens for r in requests)
    assert reading.prompt_tokens_total == sum(r.prompt_tokens for r in requests)
    assert engine.step_tokens.total == (
        reading.generation_tokens_total + reading.prompt_tokens_total
    )
    assert reading.itl_count == sum(r.output_tokens - 1 for r in requests)
    assert reading.ttft_count == reading.requests_finished_total == len(requests)
    assert reading.kv_cache_usage == 0
    assert reading.requests_running == reading.requests_waiting == 0


@given(engines, traffic, st.lists(st.floats(0, 8), max_size=20))
def test_looking_changes_nothing_and_counters_never_fall(engine_config, arrivals, looks):
    unseen, _ = run(engine_config, arrivals)
    engine = Engine(engine_config, lambda _: None)
    events = sorted(
        [(arrival.at_s, 1, arrival) for arrival in arrivals] + [(t, 2, None) for t in looks],
        key=lambda event: event[:2],
    )
    readings = []
    for at_s, _, arrival in events:
        while engine.due_s <= at_s:
            engine.turn()
        if arrival is None:
            readings.append(engine.read(at_s))
        else:
            engine.add(
                Request(
                    arrived_s=at_s,
                    prompt_tokens=arrival.prompt_tokens,
                    output_tokens=arrival.output_tokens,
                ),
                at_s,
            )
    while engine.due_s < math.inf:
        engine.turn()
    assert engine.read(1e9) == unseen.read(1e9)
    for before, after in itertools.pairwise([*readings, engine.read(1e9)]):
        for counter in (
            "steps_total",
            "generation_tokens_total",
            "prompt_tokens_total",
            "itl_count",
            "requests_finished_total",
            "busy_s_total",
            "itl_sum_s",
        ):
            assert getattr(before, counter) <= getattr(after, counter) + 1e-9
        assert 0 <= before.kv_cache_usage <= 1


def test_a_lone_request_takes_its_prefill_and_one_step_per_further_token():
    _, (request,) = run(config(), [Arrival(1.0, 100, 11)])
    prefill_s = COST.a_s + COST.b_s + 100 * COST.c_s
    assert request.ttft_s == pytest.approx(prefill_s)
    assert request.itl_s == pytest.approx(COST.a_s + COST.b_s)


def test_a_prompt_longer_than_the_budget_is_computed_in_chunks():
    _, (request,) = run(config(max_num_batched_tokens=64), [Arrival(0.0, 200, 1)])
    assert request.ttft_s == pytest.approx(4 * (COST.a_s + COST.b_s) + 200 * COST.c_s)


def test_more_requests_than_seats_wait_for_a_seat():
    engine, requests = run(config(max_num_seqs=4), [Arrival(0.0, 16, 32)] * 8)
    done = sorted(request.finished_s or 0 for request in requests)
    admitted = sorted(request.admitted_s or 0 for request in requests)
    assert all(late >= early for late, early in zip(admitted[4:], done[:4], strict=True))
    assert engine.preemptions_total == 0


def test_a_full_cache_preempts_the_newest_and_recomputes_it():
    tight = config(num_blocks=21, max_model_len=320)
    engine, requests = run(tight, [Arrival(0.0, 100, 100), Arrival(0.001, 100, 100)])
    assert [request.preemptions for request in requests] == [0, 1]
    assert (requests[0].finished_s or 0) < (requests[1].finished_s or 0)
    assert engine.generation_tokens_total == 200


def test_usage_counts_all_blocks_but_the_null_block():
    engine = Engine(config(num_blocks=101), lambda _: None)
    engine.add(Request(arrived_s=0.0, prompt_tokens=160, output_tokens=500), 0.0)
    engine.turn()
    assert engine.read(engine._from_s).kv_cache_usage == pytest.approx(10 / 100)


def test_work_at_the_margin_is_what_the_utilisation_law_says():
    """At rate λ concurrency is λ·O·a / (1 − λ·(P·c + O·b)): ALGORITHMS' law of steps."""
    prompt, output, rate = 400, 100, 12.0
    big = config(num_blocks=100_000, max_num_seqs=500, max_num_batched_tokens=4096)
    engine = Engine(big, lambda _: None)
    at_s, area = 0.0, 0.0
    last_s = 0.0
    for number in range(12_000):
        at_s = number / rate
        while engine.due_s <= at_s:
            area += (engine.due_s - last_s) * len(engine.running)
            last_s = engine.due_s
            engine.turn()
        area += (at_s - last_s) * len(engine.running)
        last_s = at_s
        engine.add(Request(arrived_s=at_s, prompt_tokens=prompt, output_tokens=output), at_s)
    rho = rate * (prompt * COST.c_s + output * COST.b_s)
    expected = rate * output * COST.a_s / (1 - rho)
    assert area / at_s == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("num_blocks", 64, id="too few blocks for the longest request"),
        pytest.param("max_num_batched_tokens", 31, id="a budget below one token per seat"),
        pytest.param("max_num_seqs", 0, id="no seat"),
    ],
)
def test_an_engine_that_could_get_stuck_is_refused(field, value):
    with pytest.raises(ConfigurationError, match=field):
        config(**{field: value})
