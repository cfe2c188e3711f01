"""Every object of the charts and the examples, offered to the real API server: it takes them."""

import pytest
import yaml
from kubernetes.aio.dynamic.exceptions import DynamicApiError, ResourceNotFoundError

from tests.charts.helm import CHARTS as FOLDER
from tests.charts.helm import PROMETHEUS_OPERATOR, Manifest, rendered
from tests.e2e.conftest import install_crd

pytestmark = pytest.mark.cluster

EXAMPLES = FOLDER / "llm-on-kvtide/examples"
BUILT_IN = {"v1", "apps/v1", "batch/v1", "policy/v1", "rbac.authorization.k8s.io/v1"}
APIS = (PROMETHEUS_OPERATOR, "autoscaling.k8s.io/v1")
MUTUAL = (
    "--set=tls.enabled=true",
    "--set=tls.mutual=true",
    "--set=tls.certManager.issuerRef.name=internal",
)
QUEUED = (
    "--set=placement.kueue=true",
    "--set=placement.pools[0].name=a100",
    "--set=placement.pools[0].nodeSelector.gpu=a100",
)
CHARTS = (
    ("kvtide", ()),
    ("kvtide", ("--set=kubernetes.namespace=serve", "--set=networkPolicy.enabled=true")),
    ("kvtide", (*MUTUAL, "--set=controller.fastPath.enabled=true")),
    ("llm-on-kvtide", (f"--values={EXAMPLES}/whole-gpus.yaml",)),
    ("llm-on-kvtide", (f"--values={EXAMPLES}/whole-gpus.yaml", "--set=inference.minReplicas=0")),
    ("llm-on-kvtide", (f"--values={EXAMPLES}/mig-a100.yaml", "--set=training.kind=Job")),
    ("llm-on-kvtide", (f"--values={EXAMPLES}/mig-a100.yaml", *QUEUED)),
    ("llm-on-kvtide", (f"--values={EXAMPLES}/tiers-a10-t4.yaml",)),
    (
        "llm-on-kvtide",
        (f"--values={EXAMPLES}/ack.yaml", "--set=inference.gatewayLimit.enabled=true"),
    ),
    (
        "llm-on-kvtide",
        (
            f"--values={EXAMPLES}/ack.yaml",
            "--set=fluid.runtime=AlluxioRuntime,fluid.reload=0 6 * * *",
        ),
    ),
)
POD = {"spec": {"containers": [{"name": "engine", "image": "registry.k8s.io/pause:3.10"}]}}
LABELLED = {"metadata": {"labels": {"app": "chat"}}, **POD}
TARGETS: tuple[Manifest, ...] = (
    {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "chat"},
        "spec": {"replicas": 1, "leaderWorkerTemplate": {"size": 2, "workerTemplate": POD}},
    },
    {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "chat"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "chat"}},
            "strategy": {"canary": {}},
            "template": LABELLED,
        },
    },
    {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": "chat"},
        "spec": {
            "replicas": 1,
            "model": {"uri": "hf://Qwen/Qwen2.5-0.5B-Instruct", "name": "chat"},
            "template": POD["spec"],
        },
    },
)
"""What inference runs as beside Deployments; LLMInferenceService makes a Deployment of its own."""


@pytest.mark.parametrize(("chart", "switches"), CHARTS)
async def test_a_server_side_dry_run_takes_it(kube, namespace, chart, switches, record_property):
    await offer(kube, namespace, rendered(chart, *switches, apis=APIS), record_property)


@pytest.mark.parametrize(
    "path", sorted((FOLDER / "kvtide/examples").rglob("*.yaml")), ids=lambda path: path.stem
)
async def test_a_server_side_dry_run_takes_the_example(kube, namespace, path, record_property):
    manifests = tuple(yaml.safe_load_all(path.read_text()))
    await offer(kube, namespace, manifests, record_property)


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one["kind"])
async def test_a_server_side_dry_run_takes_what_is_scaled(kube, namespace, target, record_property):
    try:
        resource = await kube.resources.get(api_version=target["apiVersion"], kind=target["kind"])
    except ResourceNotFoundError:
        pytest.skip(f"the cluster has no {target['kind']}: install its CRD (docs/e2e.md)")
    await offer(kube, namespace, (target,), record_property)
    assert "scale" in resource.subresources or target["kind"] == "LLMInferenceService"


async def offer(kube, namespace, manifests, record_property):
    """Offer the objects; those of kinds that the cluster has are taken, and others are named."""
    await install_crd(kube)
    refused, absent, taken = [], set(), set()
    for manifest in manifests:
        kind = f"{manifest['apiVersion']}/{manifest['kind']}"
        try:
            why = await refusal(kube, namespace, manifest)
        except ResourceNotFoundError:
            absent.add(kind)
            continue
        if why is None:
            taken.add(kind)
        else:
            refused.append(f"{kind} {manifest['metadata']['name']}: {why}")
    record_property("taken", " ".join(sorted(taken)))
    record_property("absent", " ".join(sorted(absent)))
    assert refused == []
    assert {kind.rpartition("/")[0] for kind in absent} & BUILT_IN == set()


async def refusal(kube, namespace, manifest):
    """Return why the API server would refuse an object; None: it would not."""
    resource = await kube.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
    where = namespace if resource.namespaced else None
    body = {**manifest, "metadata": {**manifest["metadata"]}}
    body["metadata"].pop("namespace", None)
    if where is not None:
        body["metadata"]["namespace"] = where
    try:
        await kube.server_side_apply(
            resource,
            body=body,
            name=body["metadata"]["name"],
            namespace=where,
            dry_run="All",
            field_manager="kvtide-e2e",
            force_conflicts=True,
        )
    except DynamicApiError as error:
        return error.summary()
    return None
