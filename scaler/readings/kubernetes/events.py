"""Kubernetes Events, written: the one thing that the scaler writes to the API."""

from typing import Any

from kubernetes.aio.client import ApiClient, EventsV1Api


async def write_event(client: ApiClient, body: dict[str, Any]) -> None:
    """
    Create an Event (events.k8s.io/v1) in the namespace that it names.

    Raises:
        ApiException: refused; 409 where one of its name is there.
    """
    namespace = body["metadata"]["namespace"]
    await EventsV1Api(client).create_namespaced_event(namespace, body)  # type: ignore[arg-type]
