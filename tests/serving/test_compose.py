"""What a decision is made of: one workload, a pool of them, a group of tiers."""

from collections.abc import Callable

import pytest

from scaler.configuration import Configuration
from scaler.decision.compose import lookback_s, reach_s, workers_of
from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.policy import Forecast
from scaler.decision.pool import Member, Node, PoolWindow, TierWindow
from scaler.decision.tier_demand import LATCH_LOOKBACK_S
from scaler.decision.window import Window
from scaler.documents.trigger import parse_trigger
from scaler.errors import ConfigurationError, NoDataError, Problem
from scaler.serving.compose import Elsewhere, Readings, fingerprint, newest_s
from scaler.source import Trigger, Workload
from tests.builders import inference, lending, sample, window
from tests.fakes.fake_rules import parse
from tests.fakes.fake_source import FakeSource

NOW_S = 1_000.0


def triggers(**metadata: dict[str, str]) -> dict[str, Trigger]:
    return {f"prod/{name}": parse("prod", name, stated) for name, stated in metadata.items()}


def composed(name: str, known: dict[str, Trigger], source: FakeSource):
    return Readings(source, known, NOW_S).subject(known[f"prod/{name}"])


@pytest.fixture
def source() -> FakeSource:
    made = FakeSource()
    made.windows["prod/chat"] = window(sample(990, running=3))
    made.windows["prod/code"] = window(sample(995, running=1))
    return made


POOL = {"role": "training", "pool": "prod/chat,prod/code"}


def pool_of(source: FakeSource, **more) -> PoolWindow:
    known = triggers(**{"chat": {}, "code": {}, "train": POOL, **more})
    pool = composed("train", known, source)
    assert isinstance(pool, PoolWindow)
    return pool


def test_a_workload_is_its_own_window(source):
    assert composed("chat", triggers(chat={}), source) is source.windows["prod/chat"]


def test_a_workload_without_data_says_why(source):
    source.windows["prod/chat"] = NoDataError("too old", newest_s=900)
    with pytest.raises(NoDataError, match="too old"):
        composed("chat", triggers(chat={}), source)


def test_a_pool_has_its_members_in_order_at_the_newest_instant(source):
    pool = pool_of(source)
    assert [member.name for member in pool.members] == ["prod/chat", "prod/code"]
    assert all(member.window and member.policy for member in pool.members)
    assert pool.at_s == 995


def test_a_member_that_fell_silent_says_since_when(source):
    source.windows["prod/code"] = NoDataError("too old", newest_s=700)
    silent = pool_of(source).members[1]
    assert (silent.window, silent.silent_since_s) == (None, 700)
    assert silent.policy is not None


def test_a_member_that_never_spoke_has_no_since(source):
    del source.windows["prod/code"]
    assert pool_of(source).members[1].silent_since_s is None


def test_a_member_at_odds_with_another_is_silent_and_not_the_pools_error(source):
    source.windows["prod/code"] = ConfigurationError(Problem(field="a", got="b", allowed="c"))
    assert pool_of(source).members[1].window is None


def test_a_member_that_was_never_heard_of_has_no_policy(source):
    known = triggers(chat={}, train=POOL)
    pool = composed("train", known, source)
    assert pool.members[1] == Member(name="prod/code", policy=None, window=None)


def test_a_pool_whose_members_are_all_silent_goes_by_the_clock(source):
    source.windows = {}
    assert pool_of(source).at_s == NOW_S


def test_the_pools_nodes_and_workers_come_along(source):
    source.gpu_nodes["nvidia.com/gpu"] = (Node(name="a", units=8),)
    source.windows["prod/train"] = window(
        sample(980, ready_replicas=2), sample(985, ready_replicas=4), sample(990, ready_replicas=4)
    )
    pool = pool_of(source)
    assert [node.name for node in pool.nodes] == ["a"]
    assert (pool.workers, pool.workers_since_s) == (4, 985)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([sample(5, ready_replicas=3)], (3, 5)),
        ([sample(5, ready_replicas=2, loading_replicas=1, terminating_replicas=1)], (3, 5)),
        ([sample(5, ready_replicas=None, spec_replicas=6)], (6, 5)),
        ([sample(5, ready_replicas=None)], (None, None)),
        ([sample(5, ready_replicas=1), sample(10, ready_replicas=0)], (0, 10)),
        ([sample(5, ready_replicas=0), sample(10, ready_replicas=0)], (0, 5)),
    ],
    ids=[
        "ready ones",
        "starting ones too, and none that was told to go",
        "what is asked for where nothing else is known",
        "not known",
        "a change",
        "none for long",
    ],
)
def test_workers_and_since_when(samples, expected):
    assert workers_of(window(*samples)) == expected


def test_a_tier_sees_every_tier_of_its_group_in_its_namespace(source):
    tier = {"tierGroup": "chat"}
    known = triggers(fast=tier, cheap=tier, other={"tierGroup": "code"}, plain={})
    known["else/far"] = parse("else", "far", tier)
    group = composed("fast", known, source)
    assert isinstance(group, TierWindow)
    assert group.member == "prod/fast"
    assert [member.name for member in group.members] == ["prod/cheap", "prod/fast"]


ELSEWHERE = {
    "prod/code": Elsewhere("kvtide-1:6000", None),
    "prod/slow": Elsewhere("kvtide-1:6000", "chat"),
    "else/far": Elsewhere("kvtide-1:6000", "chat"),
}


def test_a_member_of_a_pool_that_another_scaler_is_asked_about_is_named(source):
    known = triggers(chat={}, train=POOL)
    pool = Readings(source, known, NOW_S, elsewhere=ELSEWHERE).subject(known["prod/train"])
    assert isinstance(pool, PoolWindow)
    decision = decide(pool, known["prod/train"].policy)
    assert (decision.replicas, decision.reason) == (None, Reason.MEMBER_UNKNOWN)
    assert "prod/code (KEDA asks kvtide-1:6000)" in decision.detail


def test_a_tier_that_another_scaler_is_asked_about_holds_its_group(source):
    known = triggers(fast={"tierGroup": "chat"})
    source.windows["prod/fast"] = window(sample(995, running=1))
    group = Readings(source, known, NOW_S, elsewhere=ELSEWHERE).subject(known["prod/fast"])
    assert isinstance(group, TierWindow)
    decision = decide(group, known["prod/fast"].policy)
    assert (decision.replicas, decision.reason) == (None, Reason.MEMBER_UNKNOWN)
    assert "prod/slow (KEDA asks kvtide-1:6000)" in decision.detail
    assert "far" not in decision.detail


def test_to_a_pool_a_window_that_is_held_is_silence(source):
    source.windows["prod/chat"] = window(sample(990, running=3), silent_s=10.0)
    chat, code = pool_of(source).members
    assert (chat.window, chat.silent_since_s) == (None, 990)
    assert code.window is not None


def test_a_workload_of_its_own_has_its_silent_window(source):
    source.windows["prod/chat"] = window(sample(990, running=3), silent_s=10.0)
    known = triggers(chat={})
    found = Readings(source, known, NOW_S).subject(known["prod/chat"])
    assert isinstance(found, Window)
    assert found.silent_s == 10.0


def test_each_window_is_built_once_per_instant(source):
    asked: list[str] = []
    plain: Callable[..., Window] = source.window

    def counted(workload: Workload, lookback_s: float, now_s: float, **more: float) -> Window:
        asked.append(workload.key)
        return plain(workload, lookback_s, now_s, **more)

    source.window = counted
    known = triggers(chat={}, code={}, train=POOL)
    readings = Readings(source, known, NOW_S)
    for trigger in known.values():
        readings.subject(trigger)
    assert sorted(asked) == ["prod/chat", "prod/code", "prod/train"]


def test_lookbacks_cover_what_each_policy_reads():
    assert lookback_s(inference(hold_for_s=0)) == inference().lookback_s
    assert lookback_s(inference(hold_for_s=60)) == inference().lookback_s + 60
    assert reach_s(inference()) == inference().forecast_lookback_s
    assert lookback_s(lending(min_runtime_s=900)) >= 900
    assert reach_s(lending(latch_lookback_s=7200)) == 7200
    assert reach_s(inference(forecast=Forecast.OFF, hold_for_s=60)) == inference().lookback_s + 60
    assert reach_s(inference(forecast=Forecast.RISE, forecast_lookback_s=172_800)) == 172_800
    tier = inference(forecast=Forecast.OFF, tier_group="llm", tier_cost=1.0)
    assert reach_s(tier) == LATCH_LOOKBACK_S


def test_a_fingerprint_differs_when_something_new_is_known(source):
    before = pool_of(source)
    assert fingerprint(before) == fingerprint(pool_of(source))
    source.windows["prod/chat"] = window(sample(990, running=4))
    running = pool_of(source)
    source.windows["prod/code"] = NoDataError("gone", newest_s=995)
    silent = pool_of(source)
    prints = [fingerprint(pool) for pool in (before, running, silent)]
    assert len({str(one) for one in prints}) == 3


def test_the_newest_sample_of_a_group_is_that_of_its_newest_member(source):
    assert newest_s(pool_of(source)) == 995
    source.windows = {}
    assert newest_s(pool_of(source)) is None


def test_borrowers_that_name_one_another_are_lent_nothing(source):
    configuration = Configuration()
    stated = {"role": "training", "poolUnits": "8"}
    known = {
        f"prod/{name}": parse_trigger(
            "prod", name, {**stated, "poolWorkloads": f"prod/{other}"}, configuration
        )
        for name, other in (("chat", "code"), ("code", "chat"))
    }
    for trigger in known.values():
        decision = decide(Readings(source, known, NOW_S).subject(trigger), trigger.policy)
        assert (decision.replicas, decision.reason) == (None, Reason.MEMBER_UNKNOWN)
