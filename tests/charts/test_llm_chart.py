import json
from typing import Any

import pytest
import yaml

from charts import readme
from scaler.check.files import check
from scaler.configuration import Configuration
from scaler.decision.policy import InferencePolicy, LendingPolicy
from scaler.documents.trigger import parse_trigger
from scaler.source import Trigger

from .helm import (
    CHARTS,
    PROMETHEUS_OPERATOR,
    Manifest,
    RefusedError,
    helm,
    named,
    of_kind,
    only,
    rendered,
)
from .values import undescribed

CHART = "llm-on-kvtide"
VPA = "autoscaling.k8s.io/v1"
DEPLOYMENT = "--set=training.kind=Deployment"
BATCH = (
    "--set=training.image.repository=registry.example/batch",
    "--set-string=training.image.tag=1",
    "--set=training.command={run}",
)
EXAMPLES = sorted((CHARTS / CHART / "examples").glob("*.yaml"))
TIERS = f"--values={CHARTS / CHART}/examples/tiers-a10-t4.yaml"
ACK = f"--values={CHARTS / CHART}/examples/ack.yaml"
WHOLE = f"--values={CHARTS / CHART}/examples/whole-gpus.yaml"


def chart(*arguments: str, apis: tuple[str, ...] = ()) -> tuple[Manifest, ...]:
    return rendered(CHART, *BATCH, *arguments, apis=apis)


def kinds(*arguments: str, apis: tuple[str, ...] = ()) -> set[str]:
    return {manifest["kind"] for manifest in chart(*arguments, apis=apis)}


def pod(name: str, *arguments: str) -> Any:
    return named(chart(*arguments), "Deployment", name)["spec"]["template"]["spec"]


def container(name: str, *arguments: str) -> Any:
    (one,) = pod(name, *arguments)["containers"]
    return one


def batch_pod(*arguments: str) -> Any:
    return only(chart(*arguments), "Job")["spec"]["template"]["spec"]


def trigger(manifest: Manifest) -> Trigger:
    """Read a ScaledObject's trigger as the scaler does."""
    (one,) = manifest["spec"]["triggers"]
    about = manifest["metadata"]
    return parse_trigger(about["namespace"], about["name"], one["metadata"], Configuration())


def triggers(*arguments: str) -> dict[str, Trigger]:
    objects = of_kind(chart(*arguments), "ScaledObject")
    return {one["metadata"]["name"]: trigger(one) for one in objects}


class TestExamples:
    @pytest.mark.parametrize("example", EXAMPLES, ids=[example.stem for example in EXAMPLES])
    def test_are_complete_and_the_scaler_reads_their_triggers(self, example):
        helm("lint", "--strict", CHARTS / CHART, f"--values={example}")
        manifests = rendered(CHART, f"--values={example}", apis=(PROMETHEUS_OPERATOR, VPA))
        objects = of_kind(manifests, "ScaledObject")
        assert {trigger(one).role for one in objects} == {"inference", "training"}
        checked = check({example.name: yaml.safe_dump_all(objects)}, Configuration())
        assert checked.findings == ()

    def test_an_eight_gpu_node_lends_six_whole_or_none(self):
        lent = triggers(WHOLE)["batch"].policy
        assert isinstance(lent, LendingPolicy)
        assert (lent.pool_units, lent.reserved_units) == (8, 2)
        assert (lent.units_per_worker, lent.most_workers) == (6, 1)


class TestTheDefaults:
    """The article's example: one A100 in seven slices, three for inference, four to lend."""

    def test_lend_four_of_seven_slices_below_30_and_take_them_back_above_70_percent(self):
        lent = triggers()["batch"].policy
        assert isinstance(lent, LendingPolicy)
        assert (lent.pool_units, lent.reserved_units, lent.most_workers) == (7, 3, 4)
        assert (lent.lend_below, lent.reclaim_above) == (0.30, 0.70)

    def test_batch_work_lives_on_what_inference_leaves(self):
        assert triggers()["batch"].pool_members == ("llm/chat",)

    def test_the_pool_may_be_the_scalers_own(self):
        spec = named(chart("--set=training.pool=a100"), "ScaledObject", "batch")["spec"]
        metadata = spec["triggers"][0]["metadata"]
        assert metadata["pool"] == "a100"
        assert not metadata.keys() & {"poolUnits", "reservedUnits", "poolWorkloads"}

    def test_both_sides_ask_for_slices(self):
        for spec in (pod("chat"), batch_pod()):
            (one,) = spec["containers"]
            assert one["resources"]["limits"]["nvidia.com/mig-1g.5gb"] == 1

    def test_inference_is_never_without_its_replica(self):
        assert named(chart(), "ScaledObject", "chat")["spec"]["minReplicaCount"] == 1


class TestSafeConcurrency:
    def test_is_one_number_for_scaler_engine_and_gateway(self):
        switches = (
            "--set=inference.safeConcurrency=17",
            "--set=inference.maxReplicas=3",
            "--set=inference.gatewayLimit.enabled=true",
        )
        policy = triggers(*switches)["chat"].policy
        pool = only(chart(*switches), "DestinationRule")["spec"]["trafficPolicy"]["connectionPool"]
        assert isinstance(policy, InferencePolicy)
        assert policy.max_concurrency == policy.max_num_seqs == 17
        assert "--max-num-seqs=17" in container("chat", *switches)["args"]
        assert pool["http"] == {"http2MaxRequests": 51, "http1MaxPendingRequests": 51}

    def test_cannot_be_undone_by_a_further_argument_of_the_engine(self):
        with pytest.raises(RefusedError, match="extraArgs"):
            chart("--set=inference.extraArgs={--max-num-seqs=512}")

    def test_the_gateway_has_no_limit_unless_asked_for(self):
        assert "DestinationRule" not in kinds()


class TestPriority:
    def test_inference_preempts_and_batch_work_never_does(self):
        inference = named(chart(), "PriorityClass", "llm-inference")
        batch = named(chart(), "PriorityClass", "llm-batch")
        assert (inference["value"], inference["preemptionPolicy"]) == (
            1000000,
            "PreemptLowerPriority",
        )
        assert (batch["value"], batch["preemptionPolicy"]) == (-100, "Never")
        assert pod("chat")["priorityClassName"] == "llm-inference"
        assert batch_pod()["priorityClassName"] == "llm-batch"

    def test_classes_that_exist_are_not_made_again(self):
        assert "PriorityClass" not in kinds("--set=priorityClasses.create=false")


class TestQuota:
    def quotas(self, *arguments: str) -> dict[str, Any]:
        made = of_kind(chart(*arguments), "ResourceQuota")
        return {one["metadata"]["namespace"]: one["spec"]["hard"] for one in made}

    def test_bounds_requests_of_the_resource_since_the_bare_name_limits_nothing(self):
        assert self.quotas() == {
            "llm": {"requests.nvidia.com/mig-1g.5gb": "7"},
            "training": {"requests.nvidia.com/mig-1g.5gb": "4"},
        }

    def test_can_be_stated(self):
        stated = self.quotas("--set=quotas.inferenceUnits=5", "--set=quotas.trainingUnits=2")
        assert stated["llm"] == {"requests.nvidia.com/mig-1g.5gb": "5"}
        assert stated["training"] == {"requests.nvidia.com/mig-1g.5gb": "2"}

    def test_can_be_left_out(self):
        assert "ResourceQuota" not in kinds("--set=quotas.create=false")


BOTH = [
    pytest.param(lambda *arguments: pod("chat", *arguments), id="inference"),
    pytest.param(batch_pod, id="a Job"),
    pytest.param(lambda *arguments: pod("batch", DEPLOYMENT, *arguments), id="a Deployment"),
]


class TestPods:
    @pytest.mark.parametrize("of", BOTH)
    def test_tolerate_the_taint_of_gpu_nodes(self, of):
        assert of("--set=gpu.taint.key=example.com/llm")["tolerations"] == [
            {"key": "example.com/llm", "operator": "Exists", "effect": "NoSchedule"}
        ]

    @pytest.mark.parametrize("of", BOTH)
    def test_get_no_variables_and_no_token(self, of):
        (one,) = of()["containers"]
        assert of()["enableServiceLinks"] is False
        assert of()["automountServiceAccountToken"] is False
        assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}

    def test_start_batch_work_at_none_until_it_is_lent(self):
        assert named(chart(DEPLOYMENT), "Deployment", "batch")["spec"]["replicas"] == 0
        assert only(chart(), "Job")["spec"]["suspend"] is True

    def test_a_replica_that_goes_finishes_what_is_in_flight(self):
        switch = "--set=inference.drainSeconds=200"
        hook = container("chat", switch)["lifecycle"]["preStop"]["exec"]["command"]
        assert hook == ["python3", "/drain/drain.py", "8000", "200"]
        assert "--shutdown-timeout=200" in container("chat", switch)["args"]
        # Killing comes after both waits.
        assert pod("chat", switch)["terminationGracePeriodSeconds"] > 200 + 200

    def test_batch_work_has_its_checkpoint_time(self):
        switch = "--set=training.checkpointGraceSeconds=45"
        assert batch_pod(switch)["terminationGracePeriodSeconds"] == 45
        assert pod("batch", DEPLOYMENT, switch)["terminationGracePeriodSeconds"] == 45

    def test_several_gpus_are_one_engine(self):
        switches = ("--set=gpu.resource=nvidia.com/gpu", "--set=inference.unitsPerReplica=4")
        policy = triggers(*switches)["chat"].policy
        assert "--tensor-parallel-size=4" in container("chat", *switches)["args"]
        assert container("chat", *switches)["resources"]["limits"]["nvidia.com/gpu"] == 4
        assert isinstance(policy, InferencePolicy)
        assert policy.units_per_replica == 4

    def test_several_slices_cannot_be(self):
        with pytest.raises(RefusedError, match="cannot span MIG slices"):
            chart("--set=inference.unitsPerReplica=2")


class TestModel:
    def test_from_a_hub_needs_no_volume(self):
        assert "model" not in {volume["name"] for volume in pod("chat")["volumes"]}

    def test_a_path_needs_a_volume_and_the_chart_says_so(self):
        with pytest.raises(RefusedError, match="modelClaim or fluid.enabled"):
            chart("--set=inference.model=/models/llama")

    def test_from_a_claim_is_mounted_read_only(self):
        switches = ("--set=inference.model=/models/llama", "--set=inference.modelClaim=weights")
        volumes = {volume["name"]: volume for volume in pod("chat", *switches)["volumes"]}
        assert volumes["model"]["persistentVolumeClaim"] == {
            "claimName": "weights",
            "readOnly": True,
        }
        assert "--served-model-name=llama" in container("chat", *switches)["args"]


class TestFluid:
    def test_caches_the_model_and_loads_it_first_and_again(self):
        manifests = chart(ACK)
        claim = pod("chat", ACK)["volumes"][-1]["persistentVolumeClaim"]["claimName"]
        loads = {one["spec"]["policy"]: one["spec"] for one in of_kind(manifests, "DataLoad")}
        assert only(manifests, "Dataset")["metadata"]["name"] == claim
        assert only(manifests, "JindoRuntime")["metadata"]["name"] == claim
        assert loads.keys() == {"Once", "Cron"}
        assert loads["Cron"]["schedule"] == "0 6 * * *"
        assert {load["dataset"]["name"] for load in loads.values()} == {claim}

    def test_keeps_credentials_in_secrets(self):
        (mount,) = only(chart(ACK), "Dataset")["spec"]["mounts"]
        assert [one["name"] for one in mount["encryptOptions"]] == [
            "fs.oss.accessKeyId",
            "fs.oss.accessKeySecret",
        ]

    def test_another_runtime(self):
        assert "AlluxioRuntime" in kinds(ACK, "--set=fluid.runtime=AlluxioRuntime")

    def test_without_a_second_load(self):
        assert len(of_kind(chart(ACK, "--set=fluid.reload="), "DataLoad")) == 1

    def test_needs_to_know_where_the_model_is(self):
        with pytest.raises(RefusedError, match="mountPoint"):
            chart("--set=fluid.enabled=true")

    def test_and_a_claim_of_ones_own_exclude_each_other(self):
        with pytest.raises(RefusedError, match="not both"):
            chart(ACK, "--set=inference.modelClaim=weights")


class TestTiers:
    def test_each_have_a_deployment_and_a_safe_concurrency_of_their_own(self):
        found = {}
        for name in ("chat-a10", "chat-t4"):
            policy = triggers(TIERS)[name].policy
            assert isinstance(policy, InferencePolicy)
            assert f"--max-num-seqs={policy.max_concurrency}" in container(name, TIERS)["args"]
            found[name] = (policy.max_concurrency, policy.tier_group, policy.tier_preference)
        assert found == {"chat-a10": (226, "chat", 2), "chat-t4": (103, "chat", 1)}

    def test_share_one_service(self):
        selector = only(chart(TIERS), "Service")["spec"]["selector"]
        for name in ("chat-a10", "chat-t4"):
            template = named(chart(TIERS), "Deployment", name)["spec"]["template"]
            assert selector.items() <= template["metadata"]["labels"].items()

    def test_do_not_select_each_others_pods(self):
        selectors = [
            named(chart(TIERS), "Deployment", name)["spec"]["selector"]["matchLabels"]
            for name in ("chat-a10", "chat-t4")
        ]
        assert selectors[0] != selectors[1]

    def test_are_all_members_of_the_pool_that_batch_work_borrows_from(self):
        assert triggers(TIERS)["batch"].pool_members == ("llm/chat-a10", "llm/chat-t4")

    def test_run_on_their_own_nodes(self):
        assert pod("chat-t4", TIERS)["nodeSelector"] == {"nvidia.com/gpu.product": "Tesla-T4"}


class TestPlacement:
    POOLS = (
        "--set=placement.pools[0].name=t4",
        "--set=placement.pools[0].nodeSelector.gpu=t4",
        "--set=placement.pools[1].name=a10",
        "--set=placement.pools[1].nodeSelector.gpu=a10",
    )

    def test_pools_are_weights_in_their_order(self):
        terms = pod("chat", *self.POOLS)["affinity"]["nodeAffinity"]
        weighed = [
            (one["weight"], one["preference"]["matchExpressions"][0]["values"])
            for one in terms["preferredDuringSchedulingIgnoredDuringExecution"]
        ]
        assert weighed == [(100, ["t4"]), (90, ["a10"])]

    def test_on_ack_they_are_a_resource_policy_instead(self):
        policy = only(chart(ACK), "ResourcePolicy")["spec"]
        labels = named(chart(ACK), "Deployment", "chat")["spec"]["template"]["metadata"]["labels"]
        assert [unit.get("max") for unit in policy["units"]] == [4, None]
        assert policy["selector"].items() <= labels.items()
        assert "affinity" not in pod("chat", ACK)

    def test_with_kueue_batch_work_gets_what_inference_likes_least_first(self):
        manifests = chart(*self.POOLS, DEPLOYMENT, "--set=placement.kueue=true")
        (group,) = only(manifests, "ClusterQueue")["spec"]["resourceGroups"]
        queue = only(manifests, "LocalQueue")["metadata"]["name"]
        batch = named(manifests, "Deployment", "batch")
        assert [flavor["name"] for flavor in group["flavors"]] == ["release-a10", "release-t4"]
        assert batch["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == queue

    @pytest.mark.parametrize("switch", ["placement.kueue", "placement.ackResourcePolicy"])
    def test_neither_works_without_pools_and_the_chart_says_so(self, switch):
        with pytest.raises(RefusedError, match="needs placement.pools"):
            chart(f"--set={switch}=true")


class TestJob:
    def test_does_not_count_what_was_taken_away_as_failed(self):
        job = only(chart(), "Job")["spec"]
        (rule,) = job["podFailurePolicy"]["rules"]
        assert rule["action"] == "Ignore"
        assert rule["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
        assert job["template"]["spec"]["restartPolicy"] == "Never"

    def test_is_scaled_through_a_reclaimable_job(self):
        manifests = chart()
        target = named(manifests, "ScaledObject", "batch")["spec"]["scaleTargetRef"]
        reclaimable = only(manifests, "ReclaimableJob")
        assert target["kind"] == "ReclaimableJob"
        assert target["name"] == reclaimable["metadata"]["name"]
        assert reclaimable["spec"]["jobRef"]["name"] == only(manifests, "Job")["metadata"]["name"]

    @pytest.mark.parametrize(
        ("switch", "kind"),
        [("--set=training.kind=Job", "ReclaimableJob"), (DEPLOYMENT, "Deployment")],
    )
    def test_the_scaler_is_told_what_borrows_since_it_may_not_see_the_target(self, switch, kind):
        workload = triggers(switch)["batch"].workload
        assert (workload.kind, workload.name) == (kind, "batch")

    def test_its_checkpoint_time_is_one_number(self):
        switch = "--set=training.checkpointGraceSeconds=45"
        grace = only(chart(switch), "ReclaimableJob")["spec"]["checkpointGracePeriodSeconds"]
        lent = triggers(switch)["batch"].policy
        assert isinstance(lent, LendingPolicy)
        assert grace == batch_pod(switch)["terminationGracePeriodSeconds"] == 45
        assert lent.reclaim_time_s is None  # it is read off the ReclaimableJob

    def test_a_deployment_that_borrows_states_its_own(self):
        lent = triggers(DEPLOYMENT, "--set=training.checkpointGraceSeconds=45")["batch"].policy
        assert isinstance(lent, LendingPolicy)
        assert lent.reclaim_time_s == 45


class TestScaledObjects:
    @pytest.mark.parametrize(
        "switches",
        [
            pytest.param((), id="a Job that is never resized"),
            pytest.param(
                (DEPLOYMENT, "--set=training.minWorkers=4"), id="as many at least as at most"
            ),
        ],
    )
    def test_a_gang_runs_whole_or_not_at_all(self, switches):
        spec = named(chart(*switches), "ScaledObject", "batch")["spec"]
        lent = triggers(*switches)["batch"].policy
        assert (spec["idleReplicaCount"], spec["minReplicaCount"]) == (0, 4)
        assert isinstance(lent, LendingPolicy)
        assert (lent.resizable, lent.min_workers) == (False, 4)

    @pytest.mark.parametrize(
        "switches",
        [
            pytest.param((DEPLOYMENT,), id="a Deployment"),
            pytest.param(
                ("--set=training.resize=Restart",), id="a Job that restarts at a new size"
            ),
        ],
    )
    def test_others_take_any_count(self, switches):
        spec = named(chart(*switches), "ScaledObject", "batch")["spec"]
        lent = triggers(*switches)["batch"].policy
        assert spec["minReplicaCount"] == 0
        assert "idleReplicaCount" not in spec
        assert isinstance(lent, LendingPolicy)
        assert (lent.resizable, lent.min_workers) == (True, 1)

    def test_keep_the_hpa_from_adding_windows_and_have_no_fallback(self):
        for one in of_kind(chart(TIERS), "ScaledObject"):
            behavior = one["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
            assert "fallback" not in one["spec"]
            for way in ("scaleUp", "scaleDown"):
                assert behavior[way]["tolerance"] == "0"
                assert behavior[way]["stabilizationWindowSeconds"] == 0

    def test_name_the_authentication_where_the_scaler_has_tls(self):
        for one in of_kind(chart("--set=triggerAuthentication=kvtide"), "ScaledObject"):
            (found,) = one["spec"]["triggers"]
            assert found["metadata"]["enableTLS"] == "true"
            assert found["authenticationRef"]["name"] == "kvtide"


class TestOtherProjects:
    def test_are_used_where_they_are(self):
        assert not kinds() & {"PodMonitor", "VerticalPodAutoscaler"}
        assert kinds(apis=(PROMETHEUS_OPERATOR, VPA)) >= {"PodMonitor", "VerticalPodAutoscaler"}

    def test_the_vpa_only_recommends(self):
        for one in of_kind(chart(apis=(VPA,)), "VerticalPodAutoscaler"):
            assert one["spec"]["updatePolicy"]["updateMode"] == "Off"

    @pytest.mark.parametrize(
        ("switch", "kind"),
        [
            ("vpa.enabled=false", "VerticalPodAutoscaler"),
            ("monitoring.podMonitor=false", "PodMonitor"),
        ],
    )
    def test_can_be_left_out(self, switch, kind):
        assert kind not in kinds(f"--set={switch}", apis=(PROMETHEUS_OPERATOR, VPA))


class TestNamespaces:
    def test_are_made_and_kept(self):
        made = of_kind(chart(), "Namespace")
        assert {one["metadata"]["name"] for one in made} == {"llm", "training"}
        assert all(
            one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for one in made
        )

    def test_may_exist(self):
        assert "Namespace" not in kinds("--set=namespaces.create=false")


class TestValues:
    def test_batch_work_must_be_stated_or_left_out(self):
        with pytest.raises(RefusedError, match=r"training\.image"):
            rendered(CHART, "--set=training.image.repository=")
        without = rendered(CHART, "--set=training.enabled=false")
        assert [one["metadata"]["name"] for one in of_kind(without, "Deployment")] == ["chat"]

    @pytest.mark.parametrize(
        ("argument", "words"),
        [
            pytest.param("--set=inference.safeConcurency=3", "safeConcurency", id="a misspelt key"),
            pytest.param("--set=gpu.resource=gpu", "resource", id="no extended resource"),
            pytest.param("--set-string=training.lendBelow=thirty", "lendBelow", id="no share"),
            pytest.param("--set=inference.image.tag=latest", "tag", id="a tag that moves"),
            pytest.param("--set=vpa.updateMode=Always", "updateMode", id="an unknown mode"),
            pytest.param("--set=fluid.reload=daily", "reload", id="no cron line"),
        ],
    )
    def test_that_are_wrong_are_refused_by_name(self, argument, words):
        with pytest.raises(RefusedError, match=words):
            chart(argument)

    def test_are_all_described_by_the_schema(self):
        schema = json.loads((CHARTS / CHART / "values.schema.json").read_text())
        values = yaml.safe_load((CHARTS / CHART / "values.yaml").read_text())
        assert list(undescribed(values, schema)) == []

    def test_are_all_in_the_readme(self):
        assert (CHARTS / CHART / "README.md").read_text() == readme.rendered(CHART), (
            "run: make generate"
        )


def test_without_a_word_on_the_work_a_stand_in_borrows():
    job = only(rendered(CHART), "Job")["spec"]["template"]["spec"]["containers"][0]

    assert job["image"] == "busybox:1.37"
    assert "trap" in job["command"][-1]


def test_what_is_shipped_is_what_helm_calls_well_formed():
    linted = helm("lint", str(CHARTS / CHART), str(CHARTS / "kvtide"))

    assert "2 chart(s) linted, 0 chart(s) failed" in linted
