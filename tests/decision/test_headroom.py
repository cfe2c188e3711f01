"""Units kept free while inference is rising: when, and how many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.headroom import headroom_units
from scaler.decision.online import Online, OnlinePoint


def needs(*units, every_s=5.0):
    return Online.of(
        [
            OnlinePoint(at_s=every_s * k, load=0.1, least=0.1, needed_units=one)
            for k, one in enumerate(units)
        ]
    )


RAMP = [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4]
"""One more every 20 s."""


@pytest.mark.parametrize(
    ("units", "within_s", "share", "headroom"),
    [
        pytest.param([], 30.0, 0.9, 0, id="nothing is known"),
        pytest.param([2] * 20, 30.0, 0.9, 0, id="flat"),
        pytest.param([5, 3, 1], 30.0, 0.9, 0, id="falling"),
        pytest.param([1, 1, 4], 30.0, 0.9, 0, id="one step: nothing tells that it goes on"),
        pytest.param(RAMP, 5.0, 0.9, 1, id="a ramp"),
        pytest.param(RAMP, 20.0, 0.4, 1, id="of most steps that is all within a reclaim"),
        pytest.param(RAMP, 20.0, 0.9, 2, id="of the largest two"),
        pytest.param(RAMP, 0.0, 0.9, 0, id="units that are free at once need none"),
        pytest.param([*RAMP, 4, 4, 4, 4], 5.0, 0.9, 1, id="the next step is due"),
        pytest.param([*RAMP, 4, 4, 4, 4, 4], 5.0, 0.9, 0, id="and did not come: it is over"),
        pytest.param([*RAMP, 3], 5.0, 0.9, 0, id="it fell"),
        pytest.param([1, 2, None, 4], 5.0, 0.9, 2, id="over a gap"),
        pytest.param([1, 3, 5, 1, 6, 1, 6, 1, 6, 7], 5.0, 0.5, 1, id="not where a rise begins"),
        pytest.param([1, 3, 5, 1, 6, 1, 6, 1, 6, 7], 5.0, 0.9, 2, id="but how it went on"),
    ],
)
def test_what_is_kept_while_need_rises(units, within_s, share, headroom):
    assert headroom_units(needs(*units), within_s, share) == headroom


def test_a_calm_day_between_two_ramps_keeps_nothing():
    day = [*RAMP, *[4] * 200, *[1] * 50]

    assert headroom_units(needs(*day), 30.0, 0.9) == 0
    assert headroom_units(needs(*day, 2), 30.0, 0.9) > 0


UNITS = st.lists(st.none() | st.integers(0, 9), max_size=40)


@given(UNITS, st.floats(0, 300), st.floats(0, 300), st.floats(0.01, 0.99))
def test_a_longer_reclaim_never_keeps_less(units, one_s, other_s, share):
    short_s, long_s = sorted((one_s, other_s))
    points = needs(*units)

    assert headroom_units(points, short_s, share) <= headroom_units(points, long_s, share)


@given(UNITS, st.floats(0, 1e6), st.floats(0.01, 0.99))
def test_no_reclaim_is_so_long_that_more_is_kept_than_ever_was_needed(units, within_s, share):
    known = [one for one in units if one is not None]
    headroom = headroom_units(needs(*units), within_s, share)

    assert 0 <= headroom <= max(known, default=0) - min(known, default=0)
