"""Probes, metrics, JSON and the page over real HTTP."""

import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import aiohttp
import pytest
from aiohttp import web

from scaler.decision.decision import Decision, Reason, Signal, Step
from scaler.errors import ConfigurationError, NoDataError, Problem
from scaler.status.app import STUCK_AFTER_S, View, application
from scaler.telemetry.observed import Observation, Standing
from scaler.telemetry.process import Telemetry

NOW_S = 1_700_000_000.0
WELL = Standing(ready=True, draining=False, failure=None, ticked_s=NOW_S)

ANSWERED = Observation(
    namespace="prod",
    scaled_object="chat",
    role="inference",
    decision=Decision(
        at_s=NOW_S - 4,
        steps=(
            Step(6, Reason.PANIC, "load 4.2 over 0.7"),
            Step(4, Reason.TOO_MANY_REPLICAS, "4 at most"),
        ),
        signals=(
            Signal(name="concurrency", load=4.2, target=0.7, detail="42 of 10"),
            Signal(name="work", load=None, target=0.7, detail="too little spread"),
        ),
        load=4.2,
        ready_replicas=3,
        safe_concurrency=10,
        binding_limit="kv",
        panic=True,
        notes=("The tolerance of the HPA is not known.",),
    ),
    reason="TooManyReplicas",
    detail="4 at most",
    newest_s=NOW_S - 4,
    bounds=(1, 4),
    evaluated_s=NOW_S,
)
SILENT = Observation(
    namespace="prod",
    scaled_object="code",
    role="inference",
    decision=None,
    reason="NoData",
    detail="newest sample is 300 s old",
    newest_s=NOW_S - 300,
    evaluated_s=NOW_S,
    error=NoDataError("newest sample is 300 s old"),
)
WRONG = Observation(
    namespace="prod",
    scaled_object="typo",
    role="unknown",
    decision=None,
    reason="WrongMetadata",
    detail="<script>alert(1)</script>: got 1; allowed: 2",
    newest_s=None,
    evaluated_s=NOW_S,
    error=ConfigurationError(Problem(field="<script>alert(1)</script>", got="1", allowed="2")),
)
LENT = Observation(
    namespace="ml",
    scaled_object="train",
    role="training",
    decision=Decision(at_s=NOW_S, steps=(Step(5, Reason.LENT, "5 of 8 are free"),), load=0.22),
    reason="Lent",
    detail="5 of 8 are free",
    newest_s=NOW_S - 7500,
    evaluated_s=NOW_S,
)


Past = Callable[[str, float], Awaitable[Decision]]


@contextlib.asynccontextmanager
async def site(
    *seen: Observation, standing: Standing = WELL, past: Past | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    telemetry = Telemetry()
    observations: Sequence[Observation] = seen
    telemetry.show_objects(lambda: observations, lambda: NOW_S)
    view = View(
        observations=lambda: observations,
        standing=lambda: standing,
        exposition=telemetry.exposition,
        clock=lambda: NOW_S,
        past=past,
    )
    runner = web.AppRunner(application(view))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        yield session
    await runner.cleanup()


async def get(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with session.get(path) as response:
        return response.status, await response.text()


@pytest.mark.parametrize(
    ("standing", "alive", "ready", "word"),
    [
        (WELL, 200, 200, "ok"),
        (dataclasses.replace(WELL, ready=False), 200, 503, "under way"),
        (dataclasses.replace(WELL, ready=False, failure="timeout: 5 s"), 200, 503, "timeout: 5 s"),
        (dataclasses.replace(WELL, ready=False, draining=True), 200, 503, "draining"),
        (dataclasses.replace(WELL, failure="timeout: 5 s"), 200, 200, "ok"),
        (dataclasses.replace(WELL, ticked_s=NOW_S - STUCK_AFTER_S - 1), 503, 200, "ok"),
    ],
    ids=[
        "well",
        "starting",
        "the first read fails",
        "draining",
        "a later read fails",
        "the rounds stopped",
    ],
)
async def test_probes(standing, alive, ready, word):
    async with site(standing=standing) as session:
        assert (await get(session, "/healthz"))[0] == alive
        status, text = await get(session, "/readyz")
        assert status == ready
        assert word in text


async def test_every_decision_is_there_as_json():
    async with site(LENT, ANSWERED, WRONG) as session, session.get("/api/decisions") as response:
        document = await response.json()
    assert document["at"] == "2023-11-14T22:13:20Z"
    train, chat, typo = document["decisions"]
    assert (train["object"], train["role"], train["decision"]["replicas"]) == (
        "ml/train",
        "training",
        5,
    )
    assert [step["reason"] for step in chat["decision"]["steps"]] == ["Panic", "TooManyReplicas"]
    assert (typo["role"], typo["decision"], typo["error"]["kind"]) == (None, None, "configuration")


async def test_one_decision_is_there_as_json():
    async with site(LENT, SILENT) as session:
        async with session.get("/api/decisions/prod/code") as response:
            document = await response.json()
        assert document["error"] == {"kind": "no-data", "problems": ["newest sample is 300 s old"]}
        async with session.get("/api/decisions/prod/nobody") as response:
            assert response.status == 404
            assert "prod/nobody" in (await response.json())["error"]["problems"][0]


async def decided_then(key: str, at_s: float) -> Decision:
    """Decide as of any time but the first hour, which nobody kept."""
    if at_s < 3600:
        raise NoDataError(f"{key}: no sample")
    return Decision(at_s=at_s, steps=(Step(2, Reason.DEMAND, "then"),))


async def test_a_decision_can_be_asked_for_as_of_a_past_time():
    async with site(ANSWERED, past=decided_then) as session:
        status, text = await get(session, "/api/decisions/prod/chat?at=1700000000")
        then = json.loads(text)
        _, text = await get(session, "/api/decisions/prod/chat?at=1970-01-01T00:10:00Z")
        unkept = json.loads(text)

    assert status == 200
    assert (then["decision"]["at_s"], then["decision"]["replicas"]) == (NOW_S, 2)
    assert unkept["decision"] is None
    assert unkept["error"] == {"kind": "no-data", "problems": ["prod/chat: no sample"]}


@pytest.mark.parametrize(
    ("past", "at", "why"),
    [
        pytest.param(None, "1700000000", "keeps no past", id="a source without a past"),
        pytest.param(decided_then, "yesterday", "no past time: 'yesterday'", id="no time"),
        pytest.param(decided_then, "1700000001", "no past time", id="the future"),
        pytest.param(decided_then, "-1e300", "no past time", id="before all time"),
        pytest.param(decided_then, "nan", "no past time", id="no number"),
        pytest.param(decided_then, "0001-01-01", "no past time", id="the first day"),
        pytest.param(
            decided_then, "9999-12-31T23:59:59-14:00", "no past time", id="after the last day"
        ),
    ],
)
async def test_a_time_that_cannot_be_answered_is_refused(past, at, why):
    async with site(ANSWERED, past=past) as session:
        status, text = await get(session, f"/api/decisions/prod/chat?at={at}")

    assert status == 400
    assert why in text


async def test_metrics_are_prometheus_text():
    async with site(ANSWERED) as session, session.get("/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await response.text()
    assert 'kvtide_desired_replicas{namespace="prod",reason="TooManyReplicas"' in text


async def test_how_the_cluster_is_heard_is_said_at_every_door():
    words = "Kubernetes API: watched, but not Node (forbidden): it would tell the nodes of a pool."
    standing = dataclasses.replace(WELL, cluster=words)
    async with site(ANSWERED, standing=standing) as session:
        for path in ("/", "/api/decisions", "/api/decisions/prod/chat"):
            assert words in (await get(session, path))[1]
