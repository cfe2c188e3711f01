"""What is asked next: all of the lookback once, then what is new, and gaps until filled."""

from hypothesis import given
from hypothesis import strategies as st

from scaler.readings.asks import Plan
from scaler.readings.wanted import Exporter, Wanted

RAW = Wanted(metrics=("m",), exporter=Exporter.ENGINE)
INFO = Wanted(metrics=("i",), exporter=Exporter.ENGINE, once_a_minute=True)
NODES = Wanted(metrics=("n",), exporter=Exporter.CLUSTER, about="node", namespaced=False)
LOOKBACK_S, OVERLAP_S = 1000.0, 60.0


def due(plan, now_s, *wanted, namespaces=("a", "b"), at_once=False):
    asks = plan.due(
        wanted or (RAW,),
        namespaces,
        now_s=now_s,
        lookback_s=LOOKBACK_S,
        overlap_s=lambda _: OVERLAP_S,
        at_once=at_once,
    )
    return [(ask.namespaces, ask.since_s, ask.at_s) for ask in asks], asks


def answer(plan, asks):
    for ask in asks:
        plan.answered(ask)


def test_new_namespaces_are_read_whole_and_known_ones_from_where_they_are():
    plan = Plan()
    first, asks = due(plan, 5000, namespaces=("a",))
    assert first == [(("a",), 4000, 5000)]
    answer(plan, asks)
    assert due(plan, 5010)[0] == [(("b",), 4010, 5010), (("a",), 4940, 5010)]


def test_what_was_not_answered_is_asked_for_again_and_does_not_drag_the_others_back():
    plan = Plan()
    answer(plan, due(plan, 5000)[1])
    for now_s in range(5010, 5400, 10):
        for ask in due(plan, now_s)[1]:
            halves = ask.halves_of_namespaces() or [ask]
            answer(plan, [half for half in halves if half.namespaces == ("a",)])
    again, _ = due(plan, 5400)
    assert again == [(("b",), 4940, 5400), (("a",), 5330, 5400)]


def test_a_gap_longer_than_the_lookback_is_not_read_in_full():
    plan = Plan()
    answer(plan, due(plan, 5000)[1])
    assert due(plan, 9000)[0] == [(("a", "b"), 8000, 9000)]


def test_a_longer_lookback_is_read_anew():
    plan = Plan()
    answer(plan, due(plan, 5000)[1])
    asks = plan.due((RAW,), ("a",), now_s=5010, lookback_s=4000, overlap_s=lambda _: OVERLAP_S)
    assert [ask.since_s for ask in asks] == [1010]


def test_what_changes_with_a_pod_is_asked_once_a_minute_or_when_one_appears():
    plan = Plan()
    answer(plan, due(plan, 5000, INFO)[1])
    assert due(plan, 5059, INFO)[0] == []
    assert due(plan, 5000, INFO, at_once=True)[0] == []
    assert due(plan, 5059, INFO, at_once=True)[0] == [(("a", "b"), 4759, 5059)]
    assert due(plan, 5060, INFO)[0] == [(("a", "b"), 4760, 5060)]


def test_what_is_of_no_namespace_is_asked_once():
    assert due(Plan(), 5000, NODES)[0] == [(("",), 4000, 5000)]


def test_a_shard_that_was_too_large_is_smaller_from_then_on():
    plan = Plan()
    namespaces = [f"n{number}" for number in range(8)]
    (ask,) = due(plan, 5000, namespaces=namespaces)[1]
    plan.too_large(ask)
    assert [len(names) for names, _, _ in due(plan, 5000, namespaces=namespaces)[0]] == [4, 4]


def test_namespaces_that_come_back_are_new():
    plan = Plan()
    answer(plan, due(plan, 5000)[1])
    plan.forget([RAW], ["a"])
    assert due(plan, 5010)[0] == [(("b",), 4010, 5010), (("a",), 4940, 5010)]


def test_a_large_reply_is_asked_for_in_halves_of_time_and_then_of_namespaces():
    (ask,) = due(Plan(), 5000)[1]
    older, newer = ask.halves_of_time()
    assert [(half.since_s, half.at_s) for half in (older, newer)] == [(4000, 4500), (4500, 5000)]
    assert older.halves_of_time() is None
    assert [half.namespaces for half in older.halves_of_namespaces()] == [("a",), ("b",)]
    assert older.halves_of_namespaces()[0].halves_of_namespaces() is None


@given(st.lists(st.tuples(st.integers(1, 300), st.booleans()), min_size=1, max_size=30))
def test_however_it_went_nothing_of_the_lookback_is_left_out(rounds):
    plan, now_s, read = Plan(), 5000.0, []
    for step_s, answered in rounds:
        now_s += step_s
        for ask in due(plan, now_s, namespaces=("a",))[1]:
            if answered:
                plan.answered(ask)
                read.append((ask.since_s, ask.at_s))
    read += [(ask.since_s, ask.at_s) for ask in due(plan, now_s, namespaces=("a",))[1]]
    reached = now_s - LOOKBACK_S
    for since_s, until_s in sorted(read):
        if since_s <= reached:
            reached = max(reached, until_s)
    assert reached == now_s
