"""What a decision says of itself: the count, its reason, the number KEDA is told."""

import pytest

from scaler.decision.decision import Decision, Reason, Step


def of(*steps, **more):
    return Decision(at_s=0.0, steps=tuple(Step(*step) for step in steps), **more)


DEMAND = (3, Reason.DEMAND, "three")
CUT = (2, Reason.TOO_MANY_REPLICAS, "two at most")
SAME = (2, Reason.PARTIAL_DATA, "some are silent")


@pytest.mark.parametrize(
    ("steps", "reason", "detail"),
    [
        pytest.param([DEMAND], Reason.DEMAND, "three", id="the only one"),
        pytest.param([DEMAND, CUT], Reason.TOO_MANY_REPLICAS, "two at most", id="the last change"),
        pytest.param(
            [DEMAND, CUT, SAME],
            Reason.TOO_MANY_REPLICAS,
            "two at most",
            id="no change is no reason",
        ),
        pytest.param(
            [DEMAND, (None, Reason.NO_HISTORY, "hold")], Reason.NO_HISTORY, "hold", id="a hold"
        ),
        pytest.param(
            [(2, Reason.DEMAND, "first"), (5, Reason.PANIC, "panic"), (4, Reason.DEMAND, "last")],
            Reason.DEMAND,
            "last",
            id="a reason that comes twice has its last sentence",
        ),
    ],
)
def test_the_reason_is_that_of_the_last_change(steps, reason, detail):
    decision = of(*steps)

    assert (decision.reason, decision.detail) == (reason, detail)


@pytest.mark.parametrize(
    ("decision", "value", "active"),
    [
        pytest.param(of(DEMAND), 3, True, id="the count"),
        pytest.param(of(DEMAND, reported=2.7), 2.7, True, id="what an HPA acts on in its place"),
        pytest.param(of((0, Reason.IDLE, "idle")), 0, False, id="zero is inactive"),
        pytest.param(of((None, Reason.NO_DATA, "hold")), None, False, id="a hold tells nothing"),
    ],
)
def test_what_keda_is_told(decision, value, active):
    assert (decision.value, decision.active) == (value, active)
    assert decision.holds is (value is None)


def test_calm_unless_it_says_otherwise():
    assert not of(DEMAND).panic
    assert not of(DEMAND).woken
