"""What kube-state-metrics tells of a workload, and that nothing is guessed where it does not."""

import pytest

from scaler.decision.window import ScaleBounds
from scaler.source import Workload
from tests.readings.worlds import LLM, NOW_S, Observer, busy, row

SERVE = {"namespace": "serve"}


def workload(kind, name="llm"):
    return Workload(namespace="serve", scaled_object="llm", kind=kind, name=name)


def counts(kind, spec, exist, ready, name="llm"):
    about = {**SERVE, kind: name}
    spec_name = "replicas" if kind == "statefulset" else "spec_replicas"
    return (
        row(f"kube_{kind}_{spec_name}", spec, **about)
        + row(f"kube_{kind}_status_replicas", exist, **about)
        + row(f"kube_{kind}_status_replicas_ready", ready, **about)
    )


def seen(page, one=LLM, pods=("llm-0",), *earlier):
    observer = Observer(one)
    for age, before in enumerate(reversed(earlier), start=1):
        observer.round(NOW_S - 5 * age, {}, before)
    observer.round(NOW_S, {pod: busy() for pod in pods}, page)
    return observer.window()


@pytest.mark.parametrize(
    ("one", "page"),
    [
        pytest.param(
            workload("Deployment"),
            counts("deployment", 5, 4, 3),
            id="a Deployment",
        ),
        pytest.param(
            workload("StatefulSet"),
            counts("statefulset", 5, 4, 3),
            id="a StatefulSet",
        ),
        pytest.param(
            workload("LeaderWorkerSet"),
            counts("statefulset", 5, 4, 3),
            id="a LeaderWorkerSet, by the StatefulSet of its leaders",
        ),
    ],
)
def test_replicas_are_asked_for_ready_and_loading(one, page):
    latest = seen(page, one).latest
    assert (latest.spec_replicas, latest.ready_replicas, latest.loading_replicas) == (5, 3, 1)
    assert latest.terminating_replicas == 0


def test_without_the_exporter_nothing_is_known_but_what_engines_say():
    latest = seen("").latest
    assert latest.spec_replicas is None
    assert latest.ready_replicas is None
    assert latest.terminating_replicas is None
    assert latest.ready == 1


def test_counts_of_another_workload_are_not_its_own():
    assert seen(counts("statefulset", 5, 4, 3, name="chat")).latest.ready == 1


def test_pods_on_their_way_out_are_counted_by_replica():
    one = workload("LeaderWorkerSet")
    page = counts("statefulset", 2, 2, 2) + "".join(
        row("kube_pod_deletion_timestamp", 1, **SERVE, pod=pod)
        for pod in ("llm-0", "llm-0-1", "llm-1", "chat-0")
    )
    assert seen(page, one, ("llm-0", "llm-0-1", "llm-1")).latest.terminating_replicas == 2


def test_a_pod_without_a_node_has_waited_since_it_was_created():
    page = "".join(
        row("kube_pod_status_unschedulable", 1, **SERVE, pod=pod)
        + row("kube_pod_created", created_s, **SERVE, pod=pod)
        for pod, created_s in (("llm-1", NOW_S - 40), ("llm-2", NOW_S - 90))
    )
    assert seen(page).latest.unschedulable_since_s == NOW_S - 90


def test_start_up_takes_from_creation_to_first_ready():
    def page(ready_s):
        return (
            row("kube_pod_created", 1000, **SERVE, pod="llm-0")
            + row("kube_pod_status_ready_time", ready_s, **SERVE, pod="llm-0")
            + row("kube_pod_created", 900, **SERVE, pod="llm-1")
            + row("kube_pod_status_ready_time", 990, **SERVE, pod="llm-1")
            + row("kube_pod_created", 2000, **SERVE, pod="llm-2")
        )

    # llm-0 lost its readiness for a while and the newest transition says so.
    assert seen(page(5000), LLM, ("llm-0",), page(1060)).startup_s == (90, 60)


def test_start_up_is_seen_where_the_exporter_has_no_time_of_it():
    def page(ready):
        labels = {**SERVE, "pod": "llm-0"}
        return row("kube_pod_created", NOW_S - 65, **labels) + row(
            "kube_pod_status_ready", ready, condition="true", **labels
        )

    assert seen(page(1), LLM, ("llm-0",), page(0), page(0)).startup_s == (65,)
    assert seen(page(1), LLM, ("llm-0",), page(1)).startup_s == ()


def test_an_owner_says_whose_pod_it_is_where_the_name_does_not():
    page = row(
        "kube_pod_owner", **SERVE, pod="odd", owner_kind="ReplicaSet", owner_name="llm-abc"
    ) + row(
        "kube_replicaset_owner",
        **SERVE,
        replicaset="llm-abc",
        owner_kind="Deployment",
        owner_name="llm",
    )
    window = seen(page, workload("Deployment"), ("odd",))
    assert [replica.name for replica in window.latest.replicas] == ["odd"]


def test_a_pod_that_nobody_owns_belongs_to_no_workload():
    page = row("kube_pod_owner", **SERVE, pod="llm-0", owner_kind="<none>", owner_name="<none>")
    window = seen(page + counts("statefulset", 1, 1, 1))
    assert window.latest.replicas == ()


@pytest.mark.parametrize(
    ("name", "info"),
    [
        pytest.param("keda-hpa-llm", "", id="by the name that KEDA gives"),
        pytest.param(
            "ours",
            row(
                "kube_horizontalpodautoscaler_info",
                **SERVE,
                horizontalpodautoscaler="ours",
                scaletargetref_kind="StatefulSet",
                scaletargetref_name="llm",
            ),
            id="by what it scales",
        ),
    ],
)
@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        pytest.param(2, 9, ScaleBounds(min_replicas=2, max_replicas=9), id="as the HPA has them"),
        pytest.param(1, 9, ScaleBounds(max_replicas=9), id="1 stands for 0 and for 1"),
    ],
)
def test_bounds_are_those_of_keda_s_hpa(name, info, lowest, highest, expected):
    about = {**SERVE, "horizontalpodautoscaler": name}
    page = row("kube_horizontalpodautoscaler_spec_min_replicas", lowest, **about)
    page += row("kube_horizontalpodautoscaler_spec_max_replicas", highest, **about)
    assert seen(page + info).bounds == expected
    assert seen("").bounds == ScaleBounds()
