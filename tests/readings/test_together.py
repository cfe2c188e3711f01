"""Readings that share a query: which may, how many, and what of those that fail."""

import dataclasses

import pytest

from scaler.errors import SourceError
from scaler.readings.asks import Ask
from scaler.readings.replies import PartialAnswerError, TooManySeriesError
from scaler.readings.together import Grouping, Together
from scaler.readings.wanted import Exporter, Wanted

REFUSED = SourceError("http", "answered 400", of_the_query=True)
TOO_LARGE = SourceError("limit", "a reply of more than 10 MB", of_the_query=True)
INCOMPLETE = PartialAnswerError("the answer is incomplete", [])


def ask(metric, *, since_s=0.0, namespaces=("llm",), exporter=Exporter.ENGINE, **more):
    wanted = Wanted(metrics=(metric,), exporter=exporter, **more)
    return Ask(wanted=wanted, namespaces=namespaces, since_s=since_s, at_s=3600.0)


def asks(count, **more):
    return [ask(f"vllm:reading_{number}", **more) for number in range(count)]


def reply(rows, points):
    return [({"pod": f"llm-{row}"}, [(at, 1.0) for at in range(points)]) for row in range(rows)]


def sizes(grouping, some):
    return [len(together.asks) for together in grouping.put(some, most_names=100)]


def taught(*, rows=4, points=240, **more):
    """Return a grouping that has seen a reply to one ask of an hour."""
    grouping = Grouping()
    (first,) = grouping.put(asks(1, **more), most_names=100)
    grouping.weigh(first, reply(rows, points))
    return grouping


def test_each_is_asked_for_by_itself_until_a_reply_showed_what_it_weighs():
    assert sizes(Grouping(), asks(15)) == [1] * 15
    assert sizes(taught(), asks(15)) == [15]


def test_what_weighs_much_is_asked_for_in_parts_and_in_a_shorter_time_at_once():
    heavy = taught(rows=100)  # 25,000 of 50,000 in an hour
    assert sizes(heavy, asks(5)) == [2, 2, 1]
    assert sizes(heavy, asks(5, since_s=3500.0)) == [5]
    assert sizes(taught(rows=10_000), asks(3)) == [1, 1, 1]


def test_no_more_names_than_servers_look_up_one_by_one():
    renamed = tuple(f"prefix_{number}_reading" for number in range(45))
    several = [
        dataclasses.replace(
            one, wanted=dataclasses.replace(one.wanted, metrics=(*one.wanted.metrics, *renamed))
        )
        for one in asks(4)
    ]
    assert sizes(taught(), several) == [2, 2]


def test_names_beside_those_of_namespaces_fit_what_a_server_takes():
    many = tuple("n" * 50 + str(number) for number in range(150))
    long = [ask("x" * 1500 + str(number), namespaces=many) for number in range(5)]
    assert sizes(taught(), long) == [2, 2, 1]


@pytest.mark.parametrize(
    "other",
    [
        ask("b", since_s=5.0),
        ask("b", namespaces=("other",)),
        ask("b", exporter=Exporter.CLUSTER),
        ask("b", once_a_minute=True),
        ask("b", where=(("phase", "=", "Failed"),)),
        ask("b", namespaced=False, namespaces=("",)),
    ],
)
def test_only_what_is_asked_for_alike_shares_a_query(other):
    assert sizes(taught(), [ask("a"), other]) == [1, 1]


def test_what_was_too_large_is_not_tried_again():
    grouping = taught()
    (all_of_them,) = grouping.put(asks(8), most_names=100)
    grouping.too_large(all_of_them)
    grouping.weigh(Together(asks=tuple(asks(1))), reply(1, 1))
    assert sizes(grouping, asks(8)) == [4, 4]
    assert (
        sizes(grouping, asks(8, exporter=Exporter.CLUSTER)) == [1] * 8
    )  # of whom nothing is known


def test_what_came_too_late_is_asked_for_in_parts_until_the_server_is_well_again():
    grouping = taught()
    (all_of_them,) = grouping.put(asks(8), most_names=100)
    grouping.too_slow(all_of_them)
    assert sizes(grouping, asks(8)) == [4, 4]
    for together in list(grouping.put(asks(8), most_names=100)):
        grouping.weigh(together, reply(4, 240))
    assert sizes(grouping, asks(8)) == [6, 2]


def test_where_the_fault_may_be_one_readings_the_others_are_asked_for_without_it():
    together = Together(asks=tuple(asks(5)))
    assert [len(part.asks) for part in together.parts(REFUSED)] == [2, 3]
    assert [len(part.asks) for part in together.parts(TOO_LARGE)] == [2, 3]
    assert [len(part.asks) for part in together.parts(INCOMPLETE)] == [1] * 5
    assert together.parts(SourceError("timeout", "took more than 10 s")) == ()
    assert together.halves_of_time(TOO_LARGE) is None  # first fewer readings


def test_one_reading_that_is_too_large_is_halved_in_time_then_in_namespaces():
    one = Together(asks=(ask("a", namespaces=("llm", "other")),))
    halves = one.halves_of_time(TOO_LARGE) or ()
    assert [(half.first.since_s, half.first.at_s) for half in halves] == [(0, 1800), (1800, 3600)]
    assert one.halves_of_time(TooManySeriesError("5 series")) is None
    assert [part.first.namespaces for part in one.parts(TOO_LARGE)] == [("llm",), ("other",)]
    assert Together(asks=(ask("a"),)).parts(TOO_LARGE) == ()
    assert one.parts(REFUSED) == ()
