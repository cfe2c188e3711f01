"""Every object of both charts, offered to the real API server: it would take them."""

import pytest
from kubernetes.aio.dynamic.exceptions import DynamicApiError, ResourceNotFoundError

from tests.charts.helm import CHARTS as FOLDER
from tests.charts.helm import rendered
from tests.e2e.conftest import install_crd

pytestmark = pytest.mark.cluster

EXAMPLES = FOLDER / "llm-on-kvtide/examples"
BUILT_IN = {"v1", "apps/v1", "batch/v1", "policy/v1", "rbac.authorization.k8s.io/v1"}
CHARTS = (
    ("kvtide", ()),
    ("kvtide", ("--set=kubernetes.namespace=serve", "--set=networkPolicy.enabled=true")),
    ("llm-on-kvtide", (f"--values={EXAMPLES}/whole-gpus.yaml",)),
    ("llm-on-kvtide", (f"--values={EXAMPLES}/mig-a100.yaml", "--set=training.kind=Job")),
    ("llm-on-kvtide", (f"--values={EXAMPLES}/tiers-a10-t4.yaml",)),
)


@pytest.mark.parametrize(("chart", "switches"), CHARTS)
async def test_a_server_side_dry_run_takes_it(cluster, chart, switches, record_property):
    await install_crd(cluster.kube)
    refused, absent, taken = [], set(), set()
    for manifest in rendered(chart, *switches):
        kind = f"{manifest['apiVersion']}/{manifest['kind']}"
        try:
            resource = await cluster.kube.resources.get(
                api_version=manifest["apiVersion"], kind=manifest["kind"]
            )
        except ResourceNotFoundError:
            absent.add(kind)
            continue
        where = cluster.namespace if resource.namespaced else None
        body = {**manifest, "metadata": {**manifest["metadata"]}}
        body["metadata"].pop("namespace", None)
        if where is not None:
            body["metadata"]["namespace"] = where
        try:
            await cluster.kube.server_side_apply(
                resource,
                body=body,
                name=body["metadata"]["name"],
                namespace=where,
                dry_run="All",
                field_manager="kvtide-e2e",
                force_conflicts=True,
            )
        except DynamicApiError as error:
            refused.append(f"{kind} {body['metadata']['name']}: {error.summary()}")
        else:
            taken.add(kind)
    record_property("taken", " ".join(sorted(taken)))
    record_property("absent", " ".join(sorted(absent)))
    assert refused == []
    assert {kind.rpartition("/")[0] for kind in absent} & BUILT_IN == set()
