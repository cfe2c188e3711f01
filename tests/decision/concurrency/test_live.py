from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.concurrency.result import Limit, SafeConcurrency
from scaler.decision.concurrency.live import safe_concurrency
from scaler.decision.policy import ConcurrencyMode, InferencePolicy
from scaler.decision.window import Window
from tests.builders import inference, replica, sample_of, window

Row = Sequence[tuple[float | None, float | None]]
"""Requests running and cache usage, per replica."""


def cached(*rows: Row) -> Window:
    """Return a window of one sample per row."""
    return window(
        *(
            sample_of(
                *(
                    replica(f"llm-{number}", running=running, kv_cache_usage=usage)
                    for number, (running, usage) in enumerate(row)
                ),
                at_s=1000 + 5 * at,
            )
            for at, row in enumerate(rows)
        )
    )


def measured(**more: Any) -> InferencePolicy:
    """Return a policy that states no concurrency."""
    return inference(max_concurrency=None, **more)


def safe(of: Window, policy: InferencePolicy) -> SafeConcurrency:
    """Return what must be known here."""
    known = safe_concurrency(of, policy)
    assert known is not None
    return known


BUSY: list[Row] = [[(40, 0.20)]] * 24
"""Two minutes of forty requests that hold a fifth of the cache: half a percent each."""


def test_nothing_known_is_not_a_number():
    assert safe_concurrency(window(), measured()) is None


def test_what_was_stated_is_a_limit():
    known = safe(window(), inference(max_concurrency=10))

    assert known.requests == 10
    assert known.binding is Limit.EXPLICIT
    assert known.detail == "stated: at most 10 requests at once"


@pytest.mark.parametrize(
    ("policy", "reported", "requests", "detail"),
    [
        pytest.param({"max_num_seqs": 256}, None, 256, "as stated", id="stated by its owner"),
        pytest.param({}, 128.0, 128, "as it reports", id="reported by the engine"),
        pytest.param({"max_num_seqs": 256}, 128.0, 128, "as it reports", id="both: the lower"),
        pytest.param({}, 1.0, 1, "as it reports", id="one at a time"),
        pytest.param({"max_num_seqs": 64}, 128.0, 64, "as stated", id="both: the lower, stated"),
    ],
)
def test_the_engine_limit(policy, reported, requests, detail):
    known = safe(window(sample_of(replica(max_running=reported))), measured(**policy))

    assert (known.requests, known.binding) == (requests, Limit.ENGINE)
    assert known.detail == f"the engine runs at most {requests} requests at once, {detail}"


def test_the_least_limit_binds_and_all_are_told():
    known = safe(cached(*BUSY), inference(max_concurrency=50, max_num_seqs=64))

    assert known.binding is Limit.EXPLICIT
    assert [bound.limit for bound in known.bounds] == [Limit.KV, Limit.ENGINE, Limit.EXPLICIT]


@pytest.mark.parametrize(
    ("mode", "requests"),
    [
        pytest.param(ConcurrencyMode.MEAN, 200, id="the mean fills the cache to the brim"),
        pytest.param(ConcurrencyMode.STATISTICAL, 175, id="the spread keeps some room"),
    ],
)
def test_the_measured_footprint_says_how_many_fit(mode, requests):
    known = safe(cached(*BUSY), measured(concurrency_mode=mode))

    assert known.binding is Limit.KV
    assert known.requests == pytest.approx(requests, rel=0.03)
    assert "a running request holds 0.50% of the cache on average" in known.detail


def test_explicit_mode_asks_no_cache():
    policy = inference(max_concurrency=500, concurrency_mode=ConcurrencyMode.EXPLICIT)

    assert safe(cached(*BUSY), policy).requests == 500


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([[(1, 0.005)]] * 24, id="one request in two minutes says too little"),
        pytest.param([[(0, 0.3)]] * 24, id="blocks without a request say nothing"),
        pytest.param([[(40, 0.0)]] * 24, id="requests without blocks say nothing"),
        pytest.param([[(40, None)]] * 24, id="usage is not reported"),
        pytest.param([[(None, 0.2)]] * 24, id="running is not reported"),
    ],
)
def test_too_little_evidence_is_no_footprint(rows):
    assert safe_concurrency(cached(*rows), measured()) is None


def test_one_sample_alone_is_not_learned_from():
    assert safe_concurrency(cached([(4000, 0.9)]), measured()) is None


def test_what_all_requests_share_does_not_grow_with_them():
    # A tenth of the cache is a prefix of all; each request adds half a percent.
    rows = [[(running, 0.1 + 0.005 * running)] for running in (10, 20, 40, 80)] * 15

    known = safe(cached(*rows), measured(concurrency_mode=ConcurrencyMode.MEAN))

    assert known.requests == pytest.approx(180, abs=2)
    assert known.detail.endswith("all of them share 10.00%")


def test_without_spread_in_load_nothing_counts_as_shared():
    rows = [[(running, 0.1 + 0.005 * running)] for running in (40, 50, 60, 80)] * 15

    known = safe(cached(*rows), measured(concurrency_mode=ConcurrencyMode.MEAN))

    assert known.requests == pytest.approx(148, abs=3)
    assert "share" not in known.detail.removeprefix("a running request holds")


def test_usage_that_falls_with_the_load_is_not_shared():
    rows = [[(running, 0.5 - 0.005 * running)] for running in (10, 20, 40, 80)] * 15

    known = safe(cached(*rows), measured(concurrency_mode=ConcurrencyMode.MEAN))

    assert "share" not in known.detail


def test_a_service_time_tells_how_often_requests_were_seen_anew():
    quick, slow = (
        window(
            *(
                sample_of(
                    replica(running=40, kv_cache_usage=0.2, requests_finished_total=rate * at),
                    at_s=1000 + 5 * at,
                )
                for at in range(24)
            )
        )
        for rate in (40, 4)
    )

    assert "seen on 920 requests" in safe(quick, measured()).detail
    assert "seen on 92 requests" in safe(slow, measured()).detail


def test_idle_replicas_do_not_dilute_a_footprint():
    alone = safe(cached(*BUSY), measured())
    beside_idle = safe(cached(*([*row, (0, 0.0), (0, 0.4)] for row in BUSY)), measured())

    assert beside_idle == alone


def test_replicas_that_differ_leave_room_for_it():
    alike = cached(*[[(40, 0.20), (40, 0.20)]] * 60)
    differing = cached(*[[(40, 0.12), (40, 0.28)]] * 60)

    known = safe(differing, measured())

    assert known.requests < safe(alike, measured()).requests


def test_a_request_too_long_to_be_safe_still_runs_alone():
    known = safe(cached(*[[(1, 0.9)]] * 1000), measured())

    assert known.requests == 1


@given(st.floats(0.05, 1.0), st.floats(0.05, 1.0), st.integers(2, 200))
def test_longer_requests_never_leave_room_for_more(usage, other, running):
    light, heavy = sorted((usage, other))
    fits = [safe(cached(*[[(running, use)]] * 200), measured()) for use in (light, heavy)]

    assert fits[0].requests >= fits[1].requests
