"""Whether a pool lends: what is quiet, what is a surge, and what lasts."""

import dataclasses

import pytest

from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.history import thinned
from scaler.decision.latch import latch
from scaler.decision.online import online_load
from tests.builders import INTERVAL_S, lending, member, pool, sample, window


@pytest.mark.parametrize(
    ("loads", "count", "reason"),
    [
        pytest.param([1.0] * 11, 0, Reason.NOT_LENDING, id="quiet for less than a stable window"),
        pytest.param([1.0] * 13, 6, Reason.LENT, id="quiet for a whole one"),
        pytest.param([4.0] * 40, 0, Reason.NOT_LENDING, id="between the thresholds, never quiet"),
        pytest.param([*[1.0] * 40, 7.0, 7.0], 0, Reason.RECLAIMED, id="over 70 %: all back"),
        pytest.param([*[1.0] * 40, 7.0], 2, Reason.LENT, id="one reading over it is no panic"),
        pytest.param([*[1.0] * 40, 5.6, 5.6], 0, Reason.NO_ROOM, id="at 70 % and not over it"),
        pytest.param([2.4] * 40, 0, Reason.NOT_LENDING, id="at 30 % and not below it"),
        pytest.param([*[7.0] * 40, *[1.0] * 13], 0, Reason.LEND_DELAY, id="just too soon after it"),
        pytest.param(
            [*[1.0] * 40, 7.0, 7.0, *[4.0] * 40],
            0,
            Reason.NOT_LENDING,
            id="a reclaim ends lending for good, not for as long as it lasts",
        ),
        pytest.param([*[7.0] * 40, *[1.0] * 14], 6, Reason.LENT, id="just late enough after it"),
        pytest.param(
            [*[7.0] * 40, *[1.0] * 11], 0, Reason.LEND_DELAY, id="too soon after a reclaim"
        ),
        pytest.param([*[7.0] * 40, *[4.0] * 40], 0, Reason.NOT_LENDING, id="falls into the band"),
        pytest.param([*[7.0] * 40, *[1.0] * 40], 6, Reason.LENT, id="quiet again for long enough"),
    ],
)
def test_the_latch(loads, count, reason):
    fleet = member(loads, replicas=2)
    quick = lending(lend_delay_s=70, headroom_units=0)

    decision = decide(pool(fleet), quick)

    assert (decision.replicas, decision.steps[0].reason) == (count, reason)


def test_a_panic_window_of_many_readings_is_read_whole():
    # 120 readings, and only the last 66 of them stand over the threshold.
    long = lending(stable_window_s=600, panic_window_percentage=100)

    decision = decide(pool(member([*[1.0] * 120, *[6.0] * 66])), long)

    assert decision.steps[0].reason is not Reason.RECLAIMED


BAND, LULL, BUMP = 3.0, 1.8, 2.8
"""Of a pool of eight, with a middle of 2.3 (29 %) between the last two: around the 30 %."""
ROUGH = [BUMP, *[LULL] * 11]
"""A minute in which one reading of twelve is above the threshold."""
CLOCK_S = 10_020.0
"""A whole minute ends here."""


@pytest.mark.parametrize(
    ("loads", "on"),
    [
        pytest.param([BAND, *ROUGH], True, id="one reading above, the middle below"),
        pytest.param(ROUGH, False, id="not known from its first second on"),
        pytest.param([BAND, *ROUGH[:-1], None], False, id="a reading is missing"),
        pytest.param([BAND, 3.0, *ROUGH[1:]], False, id="the middle is the threshold"),
        pytest.param([BAND, *ROUGH[1:]], False, id="a minute less a bucket"),
        pytest.param([BAND, *ROUGH, *[BAND] * 3], True, id="the minute that ended last"),
        pytest.param([BAND, *ROUGH, *[BAND] * 12, LULL, BAND], True, id="on until a reclaim"),
    ],
)
def test_a_calm_minute_is_quiet_whatever_one_reading_says(loads, on):
    end_s = CLOCK_S + max(0, len(loads) - 13) * INTERVAL_S
    fleet = pool(member(loads, end_s=end_s), at_s=end_s)

    assert latch(online_load(fleet, lending()), lending()).on is on


def test_calm_minutes_fill_a_stable_window_in_a_row():
    patient = lending(stable_window_s=90)

    def on(loads):
        return latch(online_load(pool(member(loads, end_s=CLOCK_S)), patient), patient).on

    assert on([BAND, *ROUGH, *ROUGH])
    assert not on([BAND, *ROUGH])
    assert not on([BAND, *ROUGH, *[BAND] * 12, *ROUGH])


def test_minutes_before_a_reclaim_was_over_are_not_calm():
    # Past 70 % in the first ten seconds of a minute whose middle lies under a bold threshold.
    bold = lending(lend_below=0.6, lend_delay_s=0)
    reclaimed = [BAND, 6.0, 6.0, *[0.1] * 10]

    def on(*loads):
        end_s = CLOCK_S + (len(loads) - 13) * INTERVAL_S
        return latch(online_load(pool(member(loads, end_s=end_s)), bold), bold).on

    assert not on(*reclaimed)
    assert not on(*reclaimed, 5.0, *[0.1] * 10)
    assert on(*reclaimed, 5.0, *[0.1] * 11)


def test_what_began_in_a_calm_minute_stands_when_the_minute_is_history():
    night = member([BAND, *ROUGH, *[BAND] * 60], end_s=CLOCK_S + 300)
    assert night.window is not None
    fine = night.window.samples
    slept = window(*fine[-12:], history=tuple(thinned(fine[:-12])))

    state = latch(online_load(pool(dataclasses.replace(night, window=slept)), lending()), lending())

    assert len(slept.history) < len(fine) - 12
    assert state.on


def test_history_keeps_the_latch_on_through_a_long_night():
    night = member([2.5] * 400, end_s=10_000)
    assert night.window is not None
    thinned = tuple(sample(4_000.0 + 60 * k, running=5) for k in range(60))
    slept = dataclasses.replace(night, window=dataclasses.replace(night.window, history=thinned))
    band = dataclasses.replace(
        slept,
        window=window(*member([3.0] * 40).window.samples, history=thinned),  # type: ignore[union-attr]
    )

    assert latch(online_load(pool(slept), lending()), lending()).on
    assert latch(online_load(pool(band), lending()), lending()).on


def test_a_stable_window_counts_the_bucket_of_its_first_sample():
    quick = lending(lend_delay_s=0, headroom_units=0)

    assert decide(pool(member([*[4.0] * 40, *[1.0] * 12])), quick).replicas
    assert not decide(pool(member([*[4.0] * 40, *[1.0] * 11])), quick).replicas
