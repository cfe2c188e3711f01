"""When nobody asks any more."""

import pytest

from scaler.serving.pulse import Pulse

MOST_S = 1800.0


def pulse(*times_s: float) -> Pulse:
    made = Pulse()
    for at_s in times_s:
        made.poll(at_s)
    return made


@pytest.mark.parametrize(
    ("polls", "stops_after_s"),
    [
        ([100], MOST_S),  # once is no rhythm
        ([100, 130, 160], MOST_S),
        ([100, 130, 160, 190], 90),
        ([100, 105, 110, 115], 90),  # KEDA's restart takes longer than three of these
        ([100, 100.5, 400, 400.5, 700, 700.5, 1000], 898.5),  # GetMetrics and IsActive are one poll
        ([100, 1100, 2100, 3100], MOST_S),
        ([100, 200, *range(230, 500, 30)], 90),  # a pause that was long ago counts no more
    ],
)
def test_it_has_stopped_after_three_polls_that_did_not_come(polls, stops_after_s):
    found, last_s = pulse(*polls), polls[-1]
    assert not found.has_stopped(last_s + stops_after_s, MOST_S)
    assert found.has_stopped(last_s + stops_after_s + 1, MOST_S)


def test_who_cares_and_does_not_poll_keeps_it_alive():
    found = pulse(100, 130, 160, 190)
    found.keep(300)
    found.keep(250)
    assert not found.has_stopped(390, MOST_S)
