"""
A real cluster with a real KEDA: any that ``$KUBECONFIG`` names.

``KVTIDE_E2E_HOST`` is the address under which the cluster reaches this machine (default 127.0.0.1,
for a control plane on this machine; with kind, the gateway of its Docker network).
"""

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import ConflictError, ResourceNotFoundError

from tests.e2e.stage import (
    EVERY_SECOND,
    HOST,
    PATIENCE_S,
    Load,
    Manifest,
    Process,
    Stage,
    controller,
    free_port,
    prometheus,
    scaler,
)

CRD = pathlib.Path(__file__).parents[2] / "charts/kvtide/crds/reclaimablejobs.yaml"
WIDE_OPEN = {
    "tolerance": "0",
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [{"type": "Pods", "value": 1000, "periodSeconds": 1}],
}


@dataclasses.dataclass
class Cluster:
    """One namespace of the cluster, and the programs that this machine runs for it."""

    kube: DynamicClient
    stage: Stage
    scaler: Process
    prometheus: Process
    prometheus_port: int
    grpc_port: int
    http_port: int

    @property
    def namespace(self) -> str:
        return self.stage.namespace

    async def create(self, manifest: Manifest) -> None:
        resource = await self._resource(manifest)
        manifest["metadata"].setdefault("namespace", self.namespace)
        await self.kube.create(resource, body=manifest, namespace=self.namespace)

    async def get(self, api_version: str, kind: str, name: str) -> Manifest:
        resource = await self.kube.resources.get(api_version=api_version, kind=kind)
        found: Manifest = (
            await self.kube.get(resource, name=name, namespace=self.namespace)
        ).to_dict()
        return found

    async def patch(self, api_version: str, kind: str, name: str, body: Manifest) -> None:
        resource = await self.kube.resources.get(api_version=api_version, kind=kind)
        await self.kube.patch(
            resource,
            body=body,
            name=name,
            namespace=self.namespace,
            content_type="application/merge-patch+json",
        )

    async def delete(self, api_version: str, kind: str, name: str) -> None:
        resource = await self.kube.resources.get(api_version=api_version, kind=kind)
        await self.kube.delete(resource, name=name, namespace=self.namespace)

    async def _resource(self, manifest: Manifest) -> Any:
        return await self.kube.resources.get(
            api_version=manifest["apiVersion"], kind=manifest["kind"]
        )

    async def replicas(self, name: str) -> int:
        """Return spec.replicas of a Deployment."""
        found = await self.get("apps/v1", "Deployment", name)
        return int(found["spec"]["replicas"])

    async def counts(self) -> dict[str, int]:
        """Return spec.replicas of every Deployment."""
        listed = await self.stage.objects("apps/v1", "Deployment")
        return {one["metadata"]["name"]: int(one["spec"]["replicas"]) for one in listed}

    async def events(self, about: str) -> list[str]:
        """Return the messages of the Events about an object."""
        return [
            str(one.get("note") or one.get("message") or "")
            for one in await self.stage.objects("v1", "Event")
            if (one.get("involvedObject") or {}).get("name") == about
        ]

    async def told(self, about: str) -> dict[str, str]:
        """Return what the scaler tells in Events about a ScaledObject: the notes by reason."""
        return {
            one["reason"]: one["note"]
            for one in await self.stage.objects("events.k8s.io/v1", "Event")
            if one.get("reportingController") == "kvtide.io/scaler"
            and one["regarding"]["kind"] == "ScaledObject"
            and one["regarding"]["name"] == about
        }

    async def until_told(self, about: str, reason: str, patience_s: float = PATIENCE_S) -> str:
        """Wait until the scaler has told of something; return its note."""

        async def there() -> bool:
            return reason in await self.told(about)

        await self.until(there, patience_s)
        return (await self.told(about))[reason]

    async def until(
        self,
        holds: Callable[[], Awaitable[bool]],
        patience_s: float = PATIENCE_S,
        every_s: float = 0.1,
    ) -> float:
        """Wait until something holds, looking every so often; return the seconds it took."""
        clock = asyncio.get_running_loop().time
        start = clock()
        async with asyncio.timeout(patience_s):
            while not await holds():
                await asyncio.sleep(every_s)
        return clock() - start

    async def until_replicas(self, name: str, count: int, patience_s: float = PATIENCE_S) -> float:
        async def there() -> bool:
            return await self.replicas(name) == count

        return await self.until(there, patience_s)

    async def decision(self, name: str) -> Manifest:
        """Return the answer that the scaler shows for an object; empty before the first."""
        url = f"http://127.0.0.1:{self.http_port}/api/decisions/{self.namespace}/{name}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            answer: Manifest = await response.json() if response.status == 200 else {}
            return answer

    async def until_decided(self, name: str) -> None:
        """Wait until the scaler has an answer."""

        async def decided() -> bool:
            return bool((await self.decision(name)).get("decision"))

        await self.until(decided)

    async def until_ready(self) -> None:
        """Wait until the scaler has read its whole history: only then does it get traffic."""

        async def ready() -> bool:
            url = f"http://127.0.0.1:{self.http_port}/readyz"
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return response.status == 200

        await self.until(ready, 240.0, every_s=1.0)

    async def until_seen(self, name: str) -> None:
        """Wait until the scaler reads the cluster's state: it looks for it every few seconds."""

        async def seen() -> bool:
            decision = (await self.decision(name)).get("decision") or {}
            return decision.get("spec_replicas") is not None

        await self.until(seen)

    async def serve(self, name: str, *, replicas: int, load: Load | None = None) -> Load:
        """Install a Deployment of engines, scraped from now on; its load is what is returned."""
        self.stage.loads[name] = load or Load()
        await self.create(deployment(name, replicas))
        await self.until(lambda: self._scraped(name))
        return self.stage.loads[name]

    async def _scraped(self, name: str) -> bool:
        """Return whether Prometheus has readings of a Deployment; its first look takes a while."""
        url = f"http://127.0.0.1:{self.prometheus_port}/api/v1/query"
        query = {"query": f'e2e_gateway_in_flight{{workload="{name}"}}'}
        async with aiohttp.ClientSession() as session, session.get(url, params=query) as response:
            return bool((await response.json())["data"]["result"])

    async def scale(self, name: str, *, target: Manifest | None = None, **more: Any) -> None:
        """
        Install a ScaledObject; ``more`` is its spec, or of its trigger.

        ``metadata``, ``trigger`` (its type) and ``cached`` (useCachedMetrics) are the trigger's;
        ``others`` are triggers in place of kvtide's.
        """
        metadata = {
            "scalerAddress": f"{HOST}:{self.grpc_port}",
            "stableWindow": "6s",
            "scaleDownDelay": "0s",
            "hpaTolerance": "0",
            "metrics": "concurrency",
            **more.pop("metadata", {}),
        }
        if metadata.get("role") == "training":
            for key in ("scaleDownDelay", "hpaTolerance", "metrics"):
                metadata.pop(key)
        trigger = {"type": more.pop("trigger", "external-push"), "metadata": metadata}
        if more.pop("cached", False):
            trigger["useCachedMetrics"] = True
        spec = {
            "scaleTargetRef": target or {"name": name},
            "minReplicaCount": 0,
            "maxReplicaCount": 10,
            "pollingInterval": 1,
            "cooldownPeriod": 0,
            "advanced": {
                "horizontalPodAutoscalerConfig": {
                    "behavior": {"scaleUp": WIDE_OPEN, "scaleDown": WIDE_OPEN}
                }
            },
            "triggers": more.pop("others", [trigger]),
            **more,
        }
        await self.create(
            {
                "apiVersion": "keda.sh/v1alpha1",
                "kind": "ScaledObject",
                "metadata": {"name": name},
                "spec": spec,
            }
        )


def deployment(name: str, replicas: int) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "engine", "image": "registry.k8s.io/pause:3.10"}]},
            },
        },
    }


@pytest.fixture
async def kube() -> AsyncIterator[DynamicClient]:
    if "KUBECONFIG" not in os.environ:
        pytest.skip("set KUBECONFIG to a cluster with KEDA (docs/e2e.md: kind in three commands)")
    if shutil.which("prometheus") is None:
        pytest.skip("install Prometheus (Debian: apt-get install prometheus)")
    await config.load_kube_config()
    async with ApiClient() as client:
        dynamic = await DynamicClient(client)
        try:
            await dynamic.resources.get(api_version="keda.sh/v1alpha1", kind="ScaledObject")
        except Exception as error:  # noqa: BLE001 -- whatever discovery says, there is no KEDA
            pytest.skip(f"the cluster has no KEDA: {error}")
        yield dynamic


@pytest.fixture
async def namespace(kube: DynamicClient) -> AsyncIterator[str]:
    """A namespace that ends with the test."""
    name = f"kvtide-e2e-{secrets.token_hex(3)}"
    spaces = await kube.resources.get(api_version="v1", kind="Namespace")
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await kube.create(spaces, body=manifest)
    yield name
    await kube.delete(spaces, name=name)


@pytest.fixture
async def cluster(
    kube: DynamicClient,
    namespace: str,
    tmp_path: pathlib.Path,
    record_property: Callable[[str, object], None],
    request: pytest.FixtureRequest,
) -> AsyncIterator[Cluster]:
    """The programs beside a namespace; a parameter says how often what is scraped."""
    intervals = getattr(request, "param", EVERY_SECOND)
    stage = Stage(kube, namespace, every_s=0.5 if intervals == EVERY_SECOND else 1.0)
    ports = [free_port() for _ in range(3)]
    async with contextlib.AsyncExitStack() as ends:
        await ends.enter_async_context(stage.serving())
        watcher = prometheus(tmp_path, stage, ports[0], intervals)
        await watcher.start(f"http://127.0.0.1:{ports[0]}/-/ready")
        ends.push_async_callback(watcher.stop)
        serving = scaler(
            tmp_path,
            grpc_port=ports[1],
            http_port=ports[2],
            prometheus_port=ports[0],
            intervals=intervals,
        )
        await serving.start(f"http://127.0.0.1:{ports[2]}/healthz")
        ends.push_async_callback(serving.stop)
        ends.push_async_callback(count_rpcs, ports[2], record_property)
        yield Cluster(
            kube=kube,
            stage=stage,
            scaler=serving,
            prometheus=watcher,
            prometheus_port=ports[0],
            grpc_port=ports[1],
            http_port=ports[2],
        )


async def count_rpcs(http_port: int, record_property: Callable[[str, object], None]) -> None:
    """Record how often each RPC was answered since the scaler started, by code where not OK."""
    url = f"http://127.0.0.1:{http_port}/metrics"
    with contextlib.suppress(aiohttp.ClientError):
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            text = await response.text()
        for labels, value in re.findall(
            r"^kvtide_rpc_seconds_count\{(.*)\} (.*)$", text, re.MULTILINE
        ):
            named = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            code = "" if named["code"] == "OK" else f"_{named['code']}"
            record_property(f"rpc_{named['method']}{code}", int(float(value)))


@pytest.fixture
async def follower(
    cluster: Cluster, tmp_path: pathlib.Path, request: pytest.FixtureRequest
) -> AsyncIterator[Process]:
    """The controller, for the test's namespace; with flags where a test's parameter has some."""
    await install_crd(cluster.kube)
    port = free_port()
    process = controller(
        tmp_path,
        *getattr(request, "param", ()),
        grpc_port=cluster.grpc_port,
        http_port=port,
        namespace=cluster.namespace,
    )
    await process.start(f"http://127.0.0.1:{port}/healthz")
    yield process
    await process.stop()


async def install_crd(kube: DynamicClient) -> None:
    import yaml  # noqa: PLC0415 -- only here

    manifest = yaml.safe_load(CRD.read_text())
    kinds = await kube.resources.get(
        api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition"
    )
    try:
        await kube.create(kinds, body=manifest)
    except ConflictError:
        await kube.server_side_apply(
            kinds,
            body=manifest,
            name=manifest["metadata"]["name"],
            force_conflicts=True,
            field_manager="kvtide-e2e",
        )
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(ResourceNotFoundError):
                await kube.resources.get(api_version="kvtide.io/v1alpha1", kind="ReclaimableJob")
                return
            await asyncio.sleep(0.2)
            await kube.resources.invalidate_cache()
