"""A replica that became ready within two scrapes is loading, not missing."""

from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from tests.builders import inference
from tests.readings.worlds import NOW_S, STEP_S, Observer, busy, row


def ready(count):
    return "".join(
        row(name, count, namespace="serve", statefulset="llm")
        for name in (
            "kube_statefulset_replicas",
            "kube_statefulset_status_replicas",
            "kube_statefulset_status_replicas_ready",
        )
    )


def grown(buckets):
    """Return who watched one replica for two minutes, and then four more that say nothing."""
    observer = Observer()
    for k in range(24, 0, -1):
        observer.round(NOW_S - k * STEP_S, {"llm-0": busy(running=3)}, ready(1))
    for k in range(buckets):
        observer.round(NOW_S + k * STEP_S, {"llm-0": busy(running=3)}, ready(5))
    return observer.window(NOW_S + (buckets - 1) * STEP_S)


def test_right_after_they_became_ready_they_are_loading_and_the_decision_goes_on():
    for buckets in (1, 2):
        newest = grown(buckets).latest
        assert (newest.ready_replicas, newest.loading_replicas) == (1, 4)
        found = decide(grown(buckets), inference(hold_for_s=0.0))
        assert not found.holds


def test_two_scrapes_later_they_are_missing():
    newest = grown(4).latest
    assert (newest.ready_replicas, newest.loading_replicas) == (5, 0)
    assert decide(grown(4), inference(hold_for_s=0.0)).reason in (
        Reason.NO_DATA,
        Reason.PARTIAL_DATA,
    )
