"""What the rivals with a loop of their own want, as tables."""

import pytest

from scaler.simulation.baselines.loops import Aibrix, RayServe
from scaler.simulation.simulate import View


@pytest.mark.parametrize(
    ("pods", "use", "wanted"),
    [
        pytest.param(4, 0.50, 4, id="at its target it stays"),
        pytest.param(4, 0.54, 4, id="eight percent over is within the dead band"),
        pytest.param(4, 0.60, 5, id="past it, in proportion"),
        pytest.param(4, 1.00, 8, id="to twice as many"),
        pytest.param(1, 3.00, 2, id="and no more at once"),
        pytest.param(4, 0.46, 4, id="eight percent under is within the dead band"),
        pytest.param(4, 0.30, 3, id="below it, in proportion"),
        pytest.param(8, 0.05, 4, id="at most to the half"),
    ],
)
def test_apa(pods, use, wanted):
    assert Aibrix(target=0.5).count(pods, use) == wanted


@pytest.mark.parametrize(
    ("steady", "wanted", "gets"),
    [
        pytest.param(
            False, [5, 3, 4], [5, 3, 3], id="as shipped: down to the least of five minutes"
        ),
        pytest.param(True, [5, 3, 4], [5, 5, 5], id="steady: down to the most of five minutes"),
        pytest.param(False, [3, 9], [3, 9], id="up at once"),
    ],
)
def test_apa_going_down_looks_back_over_what_it_recommended(steady, wanted, gets):
    rival = Aibrix(steady=steady)

    given = [rival.stabilized(10.0 * n, count, 8) for n, count in enumerate(wanted)]

    assert given == gets


def test_apa_forgets_what_it_recommended_five_minutes_ago():
    rival = Aibrix(steady=True)
    rival.stabilized(0.0, 7, 7)

    assert rival.stabilized(299.0, 2, 7) == 7
    assert rival.stabilized(600.0, 2, 7) == 2


def view(now_s, in_flight, replicas):
    return View(
        now_s=now_s,
        spec_replicas=replicas,
        status_replicas=replicas,
        ready_replicas=replicas,
        in_flight=in_flight,
        window=lambda: None,
    )


def test_ray_serve_goes_up_after_half_a_minute_and_down_after_ten():
    rival = RayServe(target=2.0)

    up = [rival.act(view(float(second), 10, 1)) for second in range(61)]
    down = [rival.act(view(61.0 + second, 0, 5)) for second in range(700)]

    assert up.index(5) == 30
    assert next(second for second, count in enumerate(down) if count is not None) > 600


def test_ray_serve_starts_waiting_again_when_what_it_wants_turns_round():
    rival = RayServe(target=2.0)
    for second in range(25):
        rival.act(view(float(second), 10, 1))
    for second in range(25, 60):
        rival.act(view(float(second), 0, 1))

    assert [rival.act(view(60.0 + second, 100, 1)) for second in range(30)] == [None] * 30
