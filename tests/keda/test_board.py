"""The board: who is served, how long, and what reads and decisions cost the others."""

import asyncio
import dataclasses
import gc
import json
import logging
import threading
import time
import weakref

import grpc
import pytest

from scaler.decision.decision import Decision
from scaler.decision.policy import Policy
from scaler.decision.pool import PoolWindow
from scaler.errors import NoDataError, SourceError
from scaler.log import JsonLines
from scaler.serving.board import Limits
from scaler.serving.compose import Subject
from scaler.serving.listed import MOST_WAITING, Listed
from tests.builders import sample, window
from tests.fakes.fake_rules import decide
from tests.keda.conftest import LIMITS, Clock, ref, refused, serve

TRAINING = {"role": "training", "pool": "prod/llm"}
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def metric(bench, name: str) -> float:
    """Return the sum of a metric's samples."""
    lines = bench.telemetry.exposition().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def test_it_is_ready_after_the_first_read_that_succeeds_and_stays_so():
    refusal = SourceError("refused", "no")
    async with serve() as bench:
        ready = []
        for failure in (refusal, None, refusal):
            bench.source.failure = failure
            await bench.tick()
            ready.append(bench.board.standing.ready)
        assert ready == [False, True, True]
        assert bench.board.standing.failure == "refused: no"


async def test_one_read_serves_all_objects(bench):
    for name in ("a", "b", "c"):
        bench.runs(f"prod/{name}", 1)
    await asyncio.gather(*(bench.metrics(ref(name)) for name in ("a", "b", "c")))
    before = len(bench.source.reads)
    await bench.tick()
    assert len(bench.source.reads) == before + 1
    assert sorted(bench.source.reads[-1][0]) == ["prod/a", "prod/b", "prod/c"]


async def test_there_is_never_a_second_read_beside_a_slow_one():
    async with serve(limits=dataclasses.replace(LIMITS, tick_s=0.02)) as bench:
        bench.runs("prod/llm", 3)
        assert await bench.count(ref()) == 3
        bench.source.gate.clear()
        await asyncio.sleep(0.05)
        before = len(bench.source.reads)
        await asyncio.sleep(0.1)
        assert len(bench.source.reads) == before


async def test_decisions_go_on_beside_a_slow_read_and_so_grow_old():
    async with serve(limits=dataclasses.replace(LIMITS, tick_s=0.02)) as bench:
        bench.runs("prod/llm", 3)
        assert await bench.count(ref()) == 3
        bench.source.gate.clear()
        bench.source.windows["prod/llm"] = NoDataError("newest sample is 40 s old")
        with refused(grpc.StatusCode.UNAVAILABLE, "newest sample is 40 s old"):
            for _ in range(100):
                await bench.metrics(ref())
                await asyncio.sleep(0.01)


async def test_nothing_is_decided_again_while_nothing_is_new(bench):
    bench.runs("prod/llm", 3)
    await bench.metrics(ref())
    (before,) = bench.board.evaluations()
    await bench.tick()
    (after,) = bench.board.evaluations()
    assert after is before


async def test_a_sample_that_changes_within_its_bucket_counts(bench):
    bench.runs("prod/llm", 3)
    await bench.metrics(ref())
    bench.source.windows["prod/llm"] = window(sample(bench.clock.now_s, running=5))
    await bench.tick()
    assert await bench.count(ref()) == 5


async def test_an_object_that_nobody_asks_about_is_dropped(bench):
    bench.runs("prod/llm", 3)
    await bench.metrics(ref())
    bench.clock.now_s += LIMITS.idle_s + 1
    await bench.tick()
    assert bench.board.evaluations() == ()
    assert metric(bench, "kvtide_board_objects") == 0


async def test_an_object_is_dropped_after_three_polls_that_did_not_come(bench):
    bench.runs("prod/llm", 3)
    for _ in range(5):
        await bench.metrics(ref())
        bench.clock.now_s += 60
    bench.clock.now_s += 115
    await bench.tick()
    assert len(bench.board.evaluations()) == 1
    bench.clock.now_s += 10
    await bench.tick()
    assert bench.board.evaluations() == ()


async def test_an_object_that_the_cluster_has_no_more_is_forgotten_at_once():
    listed: dict[str, bool | None] = {"old": True, "new": True}
    async with serve(listed=Listed(there=lambda _, name: listed[name])) as bench:
        for name in listed:
            bench.runs(f"prod/{name}", 3)
            await bench.metrics(ref(name))
        stream = bench.scaler.StreamIsActive(ref("old"))
        await anext(aiter(stream))
        await bench.tick()
        listed.update(old=None, new=None)  # the list is not current: nobody knows
        await bench.tick()
        assert len(bench.board.evaluations()) == 2
        listed.update(old=False, new=True)
        await bench.tick()
        assert {one.name for one in bench.board.evaluations()} == {"new"}
        assert [edge async for edge in stream] == []
        assert "prod/old" not in {*bench.board.triggers()}
        assert 'scaledobject="old"' not in bench.telemetry.exposition().decode()


async def test_what_is_being_deleted_is_not_served_again_and_claims_nothing():
    """KEDA asks about it until it has let go of it; under its name it may be made anew."""
    listed: dict[str, bool | None] = {"old": True}
    async with serve(listed=Listed(there=lambda _, name: listed[name])) as bench:
        bench.runs("prod/old", 3)
        await bench.metrics(ref("old"))
        await bench.tick()
        listed.update(old=False)
        await bench.tick()
        with refused(grpc.StatusCode.UNAVAILABLE, "the cluster has no ScaledObject prod/old"):
            await bench.metrics(ref("old"))
        assert {*bench.board.triggers()} == set()
        listed.update(old=True)
        await bench.metrics(ref("old"))
        assert {*bench.board.triggers()} == {"prod/old"}


async def test_two_hundred_objects_that_go_leave_nothing():
    listed = {f"llm-{number}" for number in range(200)}
    async with serve(listed=Listed(there=lambda _, name: name in listed)) as bench:
        for name in sorted(listed):
            bench.source.windows[f"prod/{name}"] = window(sample(bench.clock.now_s, running=2))
        await asyncio.gather(*(bench.metrics(ref(name)) for name in sorted(listed)))
        await bench.tick()
        assert metric(bench, "kvtide_board_objects") == 200
        answers = [weakref.ref(one) for one in bench.board.evaluations()]
        listed.clear()
        bench.source.windows.clear()
        await bench.tick()
        gc.collect()
        assert bench.board.evaluations() == ()
        assert bench.board.observations() == ()
        assert metric(bench, "kvtide_board_objects") == 0
        assert "scaledobject=" not in bench.telemetry.exposition().decode()
        # The thread has the error of the last one in hand until its next piece of work.
        assert sum(one() is not None for one in answers) <= 1


async def test_what_was_asked_about_before_the_list_was_heard_goes_when_it_is_not_in_it():
    heard: list[bool] = []
    async with serve(listed=Listed(there=lambda *_: False if heard else None)) as bench:
        bench.runs("prod/llm", 2)
        assert await bench.count(ref()) == 2
        heard.append(True)
        await bench.tick()
        assert bench.board.triggers() == {}
        assert metric(bench, "kvtide_board_objects") == 0


async def test_what_the_cluster_does_not_have_is_refused_and_costs_nothing():
    async with serve(listed=Listed(there=lambda _, name: name == "llm")) as bench:
        bench.runs("prod/llm", 3)
        assert await bench.count(ref()) == 3
        made_up = [ref(f"made-up-{number}") for number in range(2 * MOST_WAITING)]
        answers = await asyncio.gather(*map(bench.metrics, made_up), return_exceptions=True)
        for one, answer in zip(made_up, answers, strict=True):
            assert isinstance(answer, grpc.aio.AioRpcError)
            assert answer.code() is grpc.StatusCode.UNAVAILABLE
            assert f"the cluster has no ScaledObject prod/{one.name} (yet)" in str(answer.details())
        assert {*bench.board.triggers()} == {"prod/llm"}
        assert await bench.count(ref()) == 3


async def test_what_was_made_a_moment_ago_is_waited_for():
    """KEDA hears of it by a watch of its own, which may be the faster one."""
    looked: list[str] = []

    def there(_, name):
        looked.append(name)
        return len(looked) > 2

    async with serve(listed=Listed(there=there)) as bench:
        bench.runs("prod/llm", 3)
        assert await bench.count(ref()) == 3


async def test_the_clusters_metadata_counts_whatever_somebody_asks_with():
    def stated(_namespace, _name, metadata):
        return None if "mixed" in metadata else {"target": "of-the-cluster"}

    async with serve(listed=Listed(there=lambda *_: True, stated=stated)) as bench:
        bench.runs("prod/llm", 3)
        assert await bench.count(ref(target="of-somebody")) == 3
        with refused(grpc.StatusCode.UNAVAILABLE, "no trigger of the cluster's ScaledObject"):
            await bench.metrics(ref(mixed="1"))
        assert bench.board.triggers()["prod/llm"].workload.name == "of-the-cluster"


async def test_what_the_source_refuses_is_counted(bench):
    bench.source.refused = 3
    await bench.tick()
    bench.source.refused = 4
    await bench.tick()
    assert metric(bench, "kvtide_readings_refused_total") == 4


async def test_an_object_that_somebody_follows_stays(bench):
    bench.runs("prod/llm", 3)
    stream = bench.scaler.StreamIsActive(ref())
    await anext(aiter(stream))
    bench.clock.now_s += LIMITS.idle_s + 1
    await bench.tick()
    assert len(bench.board.evaluations()) == 1

    stream.cancel()
    async with asyncio.timeout(10):
        while bench.board.evaluations():  # until the server has noticed
            bench.clock.now_s += LIMITS.idle_s + 1
            await bench.scaler.GetMetricSpec(ref())
            await bench.tick()


async def test_one_object_too_many_is_refused_and_nobody_is_dropped():
    async with serve(limits=Limits(tick_s=60, first_answer_s=0.2, most_objects=1)) as bench:
        bench.runs("prod/llm", 3)
        assert await bench.count(ref()) == 3
        with refused(EXHAUSTED, "1 ScaledObjects are served, which is the limit"):
            await bench.metrics(ref("other"))
        assert await bench.count(ref()) == 3


async def test_without_memory_for_one_more_those_that_are_served_go_on():
    full: list[bool] = []
    async with serve(has_room=lambda: not full) as bench:
        bench.runs("prod/llm", 3)
        assert await bench.count(ref()) == 3
        full.append(True)
        with refused(EXHAUSTED, "1 ScaledObjects are served, and there is no memory for one more"):
            await bench.metrics(ref("other"))
        assert await bench.count(ref()) == 3
        full.clear()
        bench.runs("prod/other", 2)
        await bench.tick()
        assert await bench.count(ref("other")) == 2


async def test_training_gives_back_as_soon_as_its_pool_is_full(bench):
    bench.runs("prod/llm", 3)
    await bench.metrics(ref())
    assert await bench.count(ref("train", **TRAINING)) == 5
    bench.runs("prod/llm", 8)
    await bench.tick()
    assert await bench.count(ref("train", **TRAINING)) == 0
    assert (await bench.scaler.IsActive(ref("train", **TRAINING))).result is False


async def test_a_pool_holds_until_its_members_were_heard_of(bench):
    bench.runs("prod/llm", 3)
    with refused(grpc.StatusCode.UNAVAILABLE, "MemberUnknown: prod/llm"):
        await bench.metrics(ref("train", **TRAINING))
    await bench.metrics(ref())
    await bench.tick()
    assert await bench.count(ref("train", **TRAINING)) == 5


async def test_a_reclaim_is_timed_until_no_worker_is_left(bench):
    bench.runs("prod/llm", 3)
    bench.source.windows["prod/train"] = window(sample(bench.clock.now_s, ready_replicas=5))
    await bench.metrics(ref())
    await bench.metrics(ref("train", **TRAINING))
    bench.runs("prod/llm", 8)
    await bench.tick()
    bench.clock.now_s += 7
    await bench.tick()
    assert metric(bench, "kvtide_reclaim_seconds_count") == 0
    bench.source.windows["prod/train"] = window(sample(bench.clock.now_s, ready_replicas=0))
    await bench.tick()
    assert metric(bench, "kvtide_reclaim_seconds_count") == 1
    assert metric(bench, "kvtide_reclaim_seconds_sum") == 7


async def test_a_changed_answer_is_one_line_in_the_log(bench, caplog):
    caplog.set_level(logging.INFO, logger="kvtide.decision")
    bench.runs("prod/llm", 3)
    await bench.metrics(ref())
    bench.runs("prod/llm", 3)
    await bench.tick()
    bench.runs("prod/llm", 4)
    await bench.tick()
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    assert [(line["message"], line["replicas"]) for line in lines] == [
        ("decision", 3),
        ("decision", 4),
    ]


async def test_two_servers_over_one_source_agree(bench):
    bench.runs("prod/llm", 3)
    async with serve(clock=Clock(bench.clock.now_s)) as other:
        other.source.windows = bench.source.windows
        await bench.metrics(ref())
        bench.runs("prod/llm", 6)
        await bench.tick()
        assert await other.count(ref()) == await bench.count(ref()) == 6


@pytest.mark.parametrize("running", [3, 0])
async def test_silence_keeps_the_time_of_the_newest_sample(bench, running):
    bench.runs("prod/llm", running)
    await bench.metrics(ref())
    newest = bench.clock.now_s
    bench.source.windows["prod/llm"] = NoDataError("gone")
    await bench.tick()
    (after,) = bench.board.evaluations()
    assert (after.decision, after.newest_s) == (None, newest)


class Gate:
    """A decision that waits, so that a test can do something meanwhile; notes what it decided."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()
        self.decided: list[int] = []

    def decide(self, subject: Subject, policy: Policy) -> Decision:
        self.reached.set()
        self.open.wait(10)
        decision = decide(subject, policy)
        self.decided.append(decision.replicas or 0)
        return decision


async def test_whom_an_rpc_waits_for_is_decided_on_between_the_others():
    gate = Gate()
    async with serve(decide=gate.decide) as bench:
        for number in (1, 2, 3):
            bench.runs(f"prod/o{number}", number)
            await bench.metrics(ref(f"o{number}"))
        gate.decided.clear()
        gate.reached.clear()
        gate.open.clear()
        for number in (1, 2, 3):
            bench.runs(f"prod/o{number}", number + 20)
        round_ = asyncio.create_task(bench.tick())
        await asyncio.to_thread(gate.reached.wait, 10)
        bench.runs("prod/new", 7)
        first = asyncio.create_task(bench.count(ref("new")))
        await bench.source.until_read("prod/new")
        gate.open.set()
        assert await first == 7
        await round_
    assert gate.decided[1] == 7
    assert len(gate.decided) == 4


async def test_whom_an_rpc_waits_for_is_let_in_while_a_large_workload_is_assembled():
    answered = threading.Event()
    threads = set()

    def steps():
        threads.add(threading.current_thread())
        while not answered.is_set():
            time.sleep(0.001)
            yield

    async with serve(limits=dataclasses.replace(LIMITS, first_answer_s=10.0)) as bench:
        bench.runs("prod/large", 1)
        assert await bench.count(ref("large")) == 1
        bench.source.slices["prod/large"] = steps()
        bench.runs("prod/large", 2)
        bench.runs("prod/new", 3)
        round_ = asyncio.create_task(bench.tick())
        async with asyncio.timeout(10):
            assert await bench.count(ref("new")) == 3
            answered.set()
            await round_
        assert await bench.count(ref("large")) == 2
        assert threading.main_thread() not in threads


async def test_a_decision_under_old_metadata_is_dropped():
    gate = Gate()
    async with serve(decide=gate.decide) as bench:
        bench.runs("prod/llm", 3)
        await bench.metrics(ref())
        gate.reached.clear()
        gate.open.clear()
        bench.runs("prod/llm", 5)
        round_ = asyncio.create_task(bench.tick())
        await asyncio.to_thread(gate.reached.wait, 10)
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "nonsense"):
            await bench.metrics(ref(nonsense="1"))
        gate.open.set()
        await round_
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "nonsense"):
            await bench.metrics(ref(nonsense="1"))


def cluster_with(*listed):
    """Return what a cluster with these ScaledObjects says of them: address, name, metadata."""

    def named(addresses):
        return [
            ("prod", name, {"scalerAddress": address, **metadata})
            for address, name, metadata in listed
            if address in addresses
        ]

    return named


async def test_members_of_a_pool_are_known_before_keda_asks_about_them():
    named = cluster_with(("kvtide:6000", "llm", {}), ("other:6000", "foreign", {}))
    async with serve(listed=Listed(named=named)) as bench:
        bench.runs("prod/llm", 3)
        training = ref("train", scalerAddress="kvtide:6000", **TRAINING)
        assert await bench.count(training) == 5
        assert set(bench.board.triggers()) == {"prod/train", "prod/llm"}


async def test_a_member_that_another_shard_is_asked_about_is_named_with_its_address():
    def others(addresses):
        return [("prod", "llm", {"scalerAddress": "kvtide-1:6000"})] if addresses else []

    async with serve(listed=Listed(named=cluster_with(), others=others)) as bench:
        training = ref("train", scalerAddress="kvtide:6000", **TRAINING)
        with refused(grpc.StatusCode.UNAVAILABLE, "prod/llm"):
            await bench.metrics(training)
        await bench.tick()
        pool = await bench.board.held("prod/train")
        assert isinstance(pool, PoolWindow)
        assert [one.asked_at for one in pool.members] == ["kvtide-1:6000"]


async def test_what_keda_says_of_an_object_counts_before_what_the_cluster_does():
    named = cluster_with(("kvtide:6000", "llm", {"target": "as-written"}))
    async with serve(listed=Listed(named=named)) as bench:
        bench.runs("prod/llm", 3)
        await bench.metrics(ref("llm", scalerAddress="kvtide:6000", target="as-resolved"))
        await bench.tick()
        assert bench.board.triggers()["prod/llm"].workload.name == "as-resolved"


async def test_the_objects_of_another_scaler_are_not_taken_up_because_one_of_them_is_asked_about():
    named = cluster_with(*(("queue:6000", f"theirs-{number}", {}) for number in range(20)))
    async with serve(listed=Listed(named=named)) as bench:
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "nonsense"):
            await bench.metrics(ref("theirs-0", scalerAddress="queue:6000", nonsense="1"))
        await bench.tick()
        assert [one.key for one in bench.board.observations()] == ["prod/theirs-0"]


async def test_what_was_taken_up_for_an_address_goes_once_nobody_calls_by_it():
    named = cluster_with(("kvtide-1:6000", "llm", {}), ("kvtide-1:6000", "chat", {}))
    async with serve(listed=Listed(named=named)) as bench:
        bench.runs("prod/llm", 3)
        await bench.metrics(ref("llm", scalerAddress="kvtide-1:6000"))
        await bench.tick()
        assert set(bench.board.triggers()) == {"prod/llm", "prod/chat"}
        bench.clock.now_s += LIMITS.idle_s + 1
        await bench.tick()
        bench.clock.now_s += LIMITS.idle_s + 1
        await bench.tick()
        assert bench.board.triggers() == {}


async def test_before_keda_has_called_no_address_is_this_scalers():
    async with serve(listed=Listed(named=cluster_with(("kvtide:6000", "llm", {})))) as bench:
        await bench.tick()
        assert bench.board.triggers() == {}
