"""Where the hours go that an oracle lends and a run does not."""

import pytest

from benchmarks.lending_gap import gap, reasons
from scaler.decision.decision import Decision, Reason, Step
from scaler.simulation.simulate import Moment


def moment(at_s, workers):
    return Moment(
        at_s=at_s,
        spec_replicas=1,
        ready_replicas=1,
        waiting=0,
        in_flight=0,
        workers=workers,
        inference_units=1,
    )


def answer(at_s, count, reason):
    return Decision(at_s=at_s, steps=(Step(count, reason, "why"),))


def test_each_hour_goes_to_what_was_said_at_its_start():
    run = [moment(-3600, 0), moment(0, 2), moment(3600, 2), moment(7200, 3), moment(10_800, 0)]
    said = [
        answer(100, 2, Reason.LENT),
        answer(3700, 4, Reason.LENT),
        answer(7300, 3, Reason.NO_ROOM),
        answer(10_900, 0, Reason.RECLAIMED),
    ]

    hours = gap(run, (9, 4, 7, 2, 9), said, warm_up_s=100)

    assert hours == {"Lent, waits for the sync to grow": 5.0, "Lent": 2.0, "NoRoom": -1.0}


def test_before_the_first_readings_there_is_no_reason():
    assert gap([moment(0, 0), moment(1800, 0)], (2, 2), [], warm_up_s=0) == {
        "nothing was read yet": pytest.approx(1.0)
    }


def test_the_reasons_are_a_table():
    assert reasons({"Lent": 2.0, "NoRoom": -1.0}).splitlines()[2:] == [
        "| Lent | 2.00 |",
        "| NoRoom | -1.00 |",
    ]
