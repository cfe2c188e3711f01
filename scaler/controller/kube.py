"""
The Kubernetes API as the controller uses it: watched lists, and the few writes it makes.

The official client's asyncio half. (kopf was weighed: its handlers, its own HTTP client and its
annotations for progress would stand between a pure reconcile and the API, and its peering is no
Lease.) Every write names the field manager, so that ``kubectl get --show-managed-fields`` tells
who did what.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError, ResourceNotFoundError

from scaler.readings.kubernetes.api import Kind, Kinds, as_it_is, follow, refusal
from scaler.readings.kubernetes.manifest import Key, Manifest, Refusal

MANAGER = "kvtide-controller"
MERGE_PATCH = "application/merge-patch+json"


class Kube:
    """The API server."""

    def __init__(self, client: DynamicClient, namespace: str | None) -> None:
        """Use one namespace, or all of them where it is None."""
        self._client = client
        self._kinds = Kinds(client)
        self.namespace = namespace

    async def get(self, api_version: str, kind: str, namespace: str, name: str) -> Manifest | None:
        """Return an object; None where there is none, or no such kind."""
        try:
            resource = await self._resource(api_version, kind)
            found = await self._client.get(resource, name=name, namespace=namespace)
        except ResourceNotFoundError:
            return None
        except (ApiException, DynamicApiError) as error:
            if refusal(error).status == 404:
                return None
            raise
        return _plain(found)

    async def scale(
        self, api_version: str, kind: str, namespace: str, name: str
    ) -> Manifest | None:
        """Return the scale subresource of an object; None where there is none, or no object."""
        try:
            resource = await self._resource(api_version, kind)
            scale = resource.subresources.get("scale")
            if scale is None:
                return None
            found = await self._client.get(scale, name=name, namespace=namespace)
        except ResourceNotFoundError:
            return None
        except (ApiException, DynamicApiError) as error:
            if refusal(error).status == 404:
                return None
            raise
        return _plain(found)

    async def pods(self, namespace: str, selector: str) -> list[Manifest]:
        """Return the pods that a label selector picks."""
        resource = await self._resource("v1", "Pod")
        found = await self._client.get(resource, namespace=namespace, label_selector=selector)
        return list(_plain(found)["items"])

    async def workload_of(self, namespace: str, job_uid: str) -> Manifest | None:
        """Return the Kueue Workload that a Job owns."""
        try:
            resource = await self._resource("kueue.x-k8s.io/v1beta1", "Workload")
        except ResourceNotFoundError:
            return None
        found = await self._client.get(
            resource, namespace=namespace, label_selector=f"kueue.x-k8s.io/job-uid={job_uid}"
        )
        return next(iter(_plain(found)["items"]), None)

    async def patch(
        self, manifest: Manifest, body: Manifest, *, subresource: str | None = None
    ) -> Manifest:
        """
        Merge-patch an object; with ``metadata.resourceVersion`` in ``body`` only as it was read.

        Raises:
            ApiException: refused; 409 where it has changed since.
        """
        resource = await self._resource(manifest["apiVersion"], manifest["kind"])
        target = resource if subresource is None else getattr(resource, subresource)
        meta = manifest["metadata"]
        patched = await self._client.patch(
            target,
            body=body,
            name=meta["name"],
            namespace=meta["namespace"],
            content_type=MERGE_PATCH,
            field_manager=MANAGER,
        )
        return _plain(patched)

    async def delete_pod(self, namespace: str, name: str) -> None:
        """Delete a pod with grace 0; gone already is as good."""
        resource = await self._resource("v1", "Pod")
        try:
            await self._client.delete(
                resource, name=name, namespace=namespace, grace_period_seconds=0
            )
        except (ApiException, DynamicApiError) as error:
            if refusal(error).status != 404:
                raise

    async def create(self, manifest: Manifest) -> None:
        """Create an object."""
        resource = await self._resource(manifest["apiVersion"], manifest["kind"])
        await self._client.create(
            resource,
            body=manifest,
            namespace=manifest["metadata"]["namespace"],
            field_manager=MANAGER,
        )

    async def follow(
        self,
        api_version: str,
        kind: str,
        on_list: Callable[[Mapping[Key, Manifest]], Awaitable[None] | None],
        *,
        on_trouble: Callable[[Refusal], None] = lambda _: None,
    ) -> None:
        """Keep a list of a kind current and hand it over at each change; never returns."""
        listed = Kind(api_version=api_version, kind=kind, namespace=self.namespace)
        await follow(self._kinds, listed, on_list, parse=as_it_is, on_trouble=on_trouble)

    async def _resource(self, api_version: str, kind: str) -> Any:  # noqa: ANN401
        return await self._kinds.find(api_version, kind)


def _plain(found: Any) -> Manifest:  # noqa: ANN401
    """Return the client's object as the API's JSON."""
    plain: Manifest = found.to_dict()
    return plain
