"""Which pods are a workload's: by owner, by name, by labels."""

import pytest

from scaler.readings.attribution import Owner, attribute, replica_of, targets_of_name
from scaler.source import Workload


def workload(scaled_object, kind="Deployment", name=None, **more):
    return Workload(
        namespace="serve",
        scaled_object=scaled_object,
        kind=kind,
        name=name or scaled_object,
        **more,
    )


def pods_of(pods, *workloads, owners=None, carrying=(), shown=None):
    attribution = attribute(
        [("serve", pod) for pod in pods],
        workloads,
        owner_of=lambda pod: (owners or {}).get(pod[1]),
        carries=lambda pod, _: pod[1] in carrying,
        is_shown=lambda one: shown is None or one.scaled_object in shown,
    )
    found = {key: [pod for _, pod in pods] for key, pods in attribution.pods.items()}
    return found, attribution.rivals


POD = "llm-0-1"


@pytest.mark.parametrize(
    ("pod", "kind", "belongs"),
    [
        pytest.param("llm-6d5f8b9c7d-x2x4z", "Deployment", True, id="hash and suffix"),
        pytest.param("llm-0", "Deployment", False, id="an ordinal is no Deployment's"),
        pytest.param("llm-6d5f8b9c7d-aeiou", "Deployment", False, id="generated names: no vowels"),
        pytest.param("llm-chat-6d5f8b9c7d-x2x4z", "Deployment", False, id="anchored in front"),
        pytest.param("llm-6d5f8b9c7d-x2x4z-0", "Deployment", False, id="anchored behind"),
        pytest.param("llm-12", "StatefulSet", True, id="ordinal"),
        pytest.param("llm-1-2", "StatefulSet", False, id="two ordinals are a group's"),
        pytest.param("llm-1", "LeaderWorkerSet", True, id="the leader of a group"),
        pytest.param("llm-1-2", "LeaderWorkerSet", True, id="a worker of a group"),
    ],
)
def test_without_an_owner_the_name_decides(pod, kind, belongs):
    found, _ = pods_of([pod], workload("llm", kind))
    assert found["serve/llm"] == ([pod] if belongs else [])


def test_of_several_names_the_longest_wins():
    pod = "llm-6d5f8b-7c9d5-x2x4z"
    both = (workload("llm"), workload("llm-6d5f8b"))
    assert pods_of([pod], *both)[0] == {"serve/llm": [], "serve/llm-6d5f8b": [pod]}
    assert list(targets_of_name("a-0-1")) == [
        ("StatefulSet", "a-0"),
        ("LeaderWorkerSet", "a-0"),
        ("LeaderWorkerSet", "a"),
    ]


def test_an_owner_beats_the_name():
    owners = {"llm-6d5f8b9c7d-x2x4z": Owner(kind="Deployment", name="other"), "odd": None}
    found, _ = pods_of(list(owners), workload("llm"), workload("other"), owners=owners)
    assert found == {"serve/llm": [], "serve/other": ["llm-6d5f8b9c7d-x2x4z"]}


@pytest.mark.parametrize("kind", ["Deployment", "Rollout"])
def test_a_replica_set_of_which_no_more_is_known_tells_by_its_name(kind):
    owners = {
        "odd": Owner(kind="ReplicaSet", name="llm-6d5f8b9c7d"),
        "llm-6d5f8b9c7d-x2x4z": Owner(kind="ReplicaSet", name="llm"),
    }
    found, _ = pods_of(list(owners), workload("llm", kind), owners=owners)
    assert found["serve/llm"] == ["odd"]


def test_a_group_s_pods_belong_to_its_stateful_sets():
    owners = {
        "llm-0": Owner(kind="StatefulSet", name="llm"),
        "llm-0-1": Owner(kind="StatefulSet", name="llm-0"),
    }
    found, _ = pods_of(list(owners), workload("llm", "LeaderWorkerSet"), owners=owners)
    assert found["serve/llm"] == ["llm-0", "llm-0-1"]


def test_labels_pick_pods_whatever_their_names():
    chosen = workload("llm", selector=(("model_name", "a"),))
    found, _ = pods_of(["x", "llm-6d5f8b9c7d-x2x4z"], chosen, carrying=["x"])
    assert found["serve/llm"] == ["x"]


def test_two_scaled_objects_that_claim_one_pod_are_told_of_each_other():
    pod = "llm-6d5f8b9c7d-x2x4z"
    _, rivals = pods_of([pod], workload("one", name="llm"), workload("two", name="llm"))
    assert rivals == {"serve/one": ("serve/two", pod), "serve/two": ("serve/one", pod)}


@pytest.mark.parametrize(
    "made_up",
    [
        pytest.param(workload("made-up", "LeaderWorkerSet", "llm"), id="the same target"),
        pytest.param(workload("made-up", selector=(("a", "b"),)), id="by labels"),
        pytest.param(workload("made-up", "StatefulSet", "llm-0"), id="a longer name"),
    ],
)
def test_what_the_cluster_does_not_show_takes_nothing_from_what_it_does(made_up):
    real = workload("real", "LeaderWorkerSet", "llm")
    for both in ((real, made_up), (made_up, real)):
        found, rivals = pods_of([POD], *both, carrying=(POD,), shown=("real",))
        assert found == {"serve/real": [POD], "serve/made-up": []}
        assert rivals == {"serve/made-up": ("serve/real", POD)}


def test_of_two_that_the_cluster_shows_each_is_told_and_of_two_that_it_does_not():
    three = [workload(name, name="llm") for name in ("one", "two", "three")]
    for shown in (("one", "two"), ("one", "two", "three"), ()):
        _, rivals = pods_of(["llm-6d5f8b9c7d-x2x4z"], *three, shown=shown)
        assert {*rivals} == {"serve/one", "serve/two", "serve/three"}
        assert rivals["serve/one"][0] == "serve/two"


def test_two_triggers_of_one_scaled_object_are_no_rivals():
    found, rivals = pods_of(["llm-0"], *[workload("llm", "StatefulSet")] * 2)
    assert found["serve/llm"] == ["llm-0"]
    assert not rivals


@pytest.mark.parametrize(
    ("kind", "name", "pod", "replica"),
    [
        pytest.param("LeaderWorkerSet", "llm", "llm-3-1", "llm-3", id="a worker is its leader's"),
        pytest.param("LeaderWorkerSet", "llm-2", "llm-2-0", "llm-2-0", id="a leader its own"),
        pytest.param("StatefulSet", "llm", "llm-3", "llm-3", id="other pods are replicas"),
    ],
)
def test_a_replica_is_a_pod_or_a_group(kind, name, pod, replica):
    assert replica_of(workload("llm", kind, name), pod) == replica
