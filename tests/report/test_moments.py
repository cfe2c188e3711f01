"""What was wanted beside what ran: sums, gaps, and what a poll records."""

import dataclasses

import pytest

from scaler.decision.sample import Sample
from scaler.decision.window import Window
from scaler.errors import NoDataError
from scaler.report.moments import Moment, figures, lending_figures, moment
from tests.builders import decision, replica

POLL_S = 1800.0


def polls(*counts):
    """Return moments half an hour apart: (wanted, ran) each."""
    return [
        Moment(
            at_s=POLL_S * at,
            reason="NoData" if wanted is None else "Demand",
            detail="",
            wanted=wanted,
            ran=ran,
            held=ran,
        )
        for at, (wanted, ran) in enumerate(counts)
    ]


def test_hours_are_counted_by_gpu():
    told = figures(polls((2, 4), (5, 4)), every_s=POLL_S, units=8)

    assert (told["gpu_hours_wanted"], told["gpu_hours_ran"]) == (28.0, 32.0)
    assert (told["short_s"], told["short_gpu_hours"]) == (POLL_S, 4.0)
    assert (told["over_s"], told["over_gpu_hours"]) == (POLL_S, 8.0)
    assert (told["scale_events_wanted"], told["scale_events_ran"]) == (1, 0)


@pytest.mark.parametrize(
    "gap", [(None, None), (None, 3), (3, None)], ids=["silence", "a hold", "not known what ran"]
)
def test_a_gap_counts_in_no_sum(gap):
    without = figures(polls((2, 4), (2, 4)), every_s=POLL_S, units=1)
    told = figures(polls((2, 4), gap, (2, 4)), every_s=POLL_S, units=1)

    sums = ("gpu_hours_wanted", "gpu_hours_ran", "short_s", "over_s", "scale_events_wanted")
    assert [told[name] for name in sums] == [without[name] for name in sums]
    assert told["hours"] == without["hours"] + POLL_S / 3600
    assert told["hours_compared"] == without["hours_compared"]


def test_zero_is_a_count_and_no_gap():
    told = figures(polls((0, 0), (0, 1)), every_s=POLL_S, units=1)

    assert told["hours_compared"] == 1.0
    assert (told["gpu_hours_wanted"], told["over_gpu_hours"]) == (0.0, 0.5)


def test_a_reclaim_is_a_fall_to_zero():
    told = lending_figures(
        polls((4, None), (2, None), (0, None), (3, None), (0, None)), every_s=POLL_S, units=2
    )

    assert (told["reclaims"], told["lent_gpu_hours"], told["lent_s"]) == (2, 9.0, 3 * POLL_S)
    assert "safe_concurrency" not in told


def test_a_silent_poll_keeps_the_reason_and_no_count():
    told = moment(5.0, None, decision=None, error=NoDataError("nothing fresh"))

    assert (told.reason, told.detail, told.wanted, told.ran) == (
        *("NoData", "nothing fresh"),
        *(None, None),
    )


def test_a_poll_records_what_held_gpus_and_how_long_requests_waited():
    then = replica(ttft_sum_s=10.0, ttft_count=5.0, running=3.0, waiting=2.0)
    now = dataclasses.replace(then, ttft_sum_s=16.0, ttft_count=9.0)
    subject = Window(
        interval_s=5.0,
        samples=(
            Sample(at_s=100.0, replicas=(then,)),
            Sample(
                at_s=105.0,
                replicas=(now,),
                ready_replicas=1,
                loading_replicas=2,
                terminating_replicas=1,
            ),
        ),
    )

    told = moment(105.0, subject, decision=decision(), error=None)

    assert (told.ran, told.held) == (1, 4)
    assert (told.running, told.waiting) == (3.0, 2.0)
    assert told.ttft_s == pytest.approx(6.0 / 4.0)
