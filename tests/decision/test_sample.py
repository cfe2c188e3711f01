import pytest

from scaler.decision.sample import Sample
from tests.builders import replica

QUIET = {"gateway_waiting": 0.0, "targets_up": 0}


@pytest.mark.parametrize(
    ("facts", "known_zero"),
    [
        pytest.param({"spec_replicas": 0}, True, id="the scale target says zero"),
        pytest.param(
            {"spec_replicas": 1, **QUIET}, False, id="the scale target's word is the last"
        ),
        pytest.param(
            {"spec_replicas": 0, "replicas": (replica(),)}, False, id="an engine is still there"
        ),
        pytest.param(QUIET, True, id="a quiet gateway, and no target up"),
        pytest.param(
            {"gateway_in_flight": 0.0, "targets_up": 0}, True, id="whichever gauge the gateway has"
        ),
        pytest.param({"targets_up": 0}, False, id="no gateway that would tell"),
        pytest.param({**QUIET, "gateway_waiting": 1.0}, False, id="a request at the gateway"),
        pytest.param(
            {**QUIET, "gateway_in_flight": 1.0}, False, id="a request at one of two gauges"
        ),
        pytest.param({**QUIET, "targets_up": 1}, False, id="a target is up"),
        pytest.param({"gateway_waiting": 0.0}, False, id="targets that are silent, not zero"),
        pytest.param({**QUIET, "replicas": (replica(),)}, False, id="an engine reports"),
    ],
)
def test_zero_is_known_by_proof(facts, known_zero):
    assert Sample(at_s=0, **facts).is_known_zero is known_zero


@pytest.mark.parametrize(
    ("facts", "ready"),
    [
        pytest.param(
            {"ready_replicas": 3, "replicas": (replica(),)}, 3, id="the cluster's word comes first"
        ),
        pytest.param(
            {"replicas": (replica("a"), replica("b"), replica("c", sleeping=True))},
            2,
            id="else those that are awake",
        ),
        pytest.param({"replicas": (replica(sleeping=True),)}, None, id="all asleep: not known"),
        pytest.param({}, None, id="nothing is known"),
        pytest.param({"spec_replicas": 0}, 0, id="known to be at zero"),
    ],
)
def test_how_many_are_ready(facts, ready):
    assert Sample(at_s=0, **facts).ready == ready
