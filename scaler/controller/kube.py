"""
The Kubernetes API as the controller uses it: watched lists, and the few writes it makes.

The official client's asyncio half. (kopf was weighed: its handlers, its own HTTP client and its
annotations for progress would stand between a pure reconcile and the API, and its peering is no
Lease.) Every write names the field manager, so that ``kubectl get --show-managed-fields`` tells
who did what.
"""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import ClientError
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError, ResourceNotFoundError

logger = logging.getLogger("kvtide.controller")

MANAGER = "kvtide-controller"
MERGE_PATCH = "application/merge-patch+json"
WATCH_S = 300
"""A watch is renewed after so long, so that a dead connection cannot outlive it."""
PAUSE_S = 2.0

FAULTS = (ApiException, DynamicApiError, ClientError, TimeoutError, OSError)
"""What the API answers when it refuses, is away or restarts."""

Manifest = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An API call that failed: its HTTP status (None: the API was not reached), and why."""

    status: int | None
    message: str


def refusal(error: BaseException) -> Refusal:
    """Return what a fault of the API says."""
    status = getattr(error, "status", None)
    reason = getattr(error, "summary", None)
    text = reason() if callable(reason) else str(getattr(error, "reason", None) or error)
    return Refusal(status=status if isinstance(status, int) else None, message=text.strip())


class Kube:
    """The API server."""

    def __init__(self, client: DynamicClient, namespace: str | None) -> None:
        """Use one namespace, or all of them where it is None."""
        self._client = client
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
        on_list: Callable[[dict[tuple[str, str], Manifest]], Awaitable[None] | None],
    ) -> None:
        """
        Keep a list of a kind current and hand it over at each change; never returns.

        A watch that ends, expires (410) or breaks is answered by a new list: nothing is lost.
        """
        while True:
            try:
                async for listed in self._listed(api_version, kind):
                    result = on_list(listed)
                    if result is not None:
                        await result
            except ResourceNotFoundError:
                logger.warning("no such kind", extra={"fields": {"kind": kind}})
                await asyncio.sleep(10 * PAUSE_S)
            except FAULTS as error:
                why = refusal(error)
                fields = {"kind": kind, "status": why.status, "why": why.message}
                logger.warning("lost a watch", extra={"fields": fields})
                await asyncio.sleep(PAUSE_S)

    async def _listed(
        self, api_version: str, kind: str
    ) -> AsyncIterator[dict[tuple[str, str], Manifest]]:
        resource = await self._resource(api_version, kind)
        found = _plain(await self._client.get(resource, namespace=self.namespace))
        held = {_key(one): one for one in found["items"]}
        yield held
        events = self._client.watch(
            resource,
            namespace=self.namespace,
            resource_version=found["metadata"]["resourceVersion"],
            timeout=WATCH_S,
        )
        async for event in events:
            one = event["raw_object"]
            if event["type"] == "DELETED":
                held.pop(_key(one), None)
            elif event["type"] in {"ADDED", "MODIFIED"}:
                held[_key(one)] = one
            else:
                return
            yield held

    async def _resource(self, api_version: str, kind: str) -> Any:  # noqa: ANN401
        return await self._client.resources.get(api_version=api_version, kind=kind)


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _plain(found: Any) -> Manifest:  # noqa: ANN401
    """Return the client's object as the API's JSON."""
    plain: Manifest = found.to_dict()
    return plain
