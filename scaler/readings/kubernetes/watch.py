"""Hears of a cluster: a watch for each kind of object, none of which waits for another."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from kubernetes.aio.client import ApiClient

from .api import Kind, Kinds, follow, reached
from .claims import resource_claim, resource_claim_template, resource_slice
from .known import Heard, KnownCluster
from .manifest import Manifest, Refusal
from .objects import autoscaler, counts, node, pod, scaled_object, workers

ONE_NAMESPACE = Refusal(status=None, message="only one namespace is watched")


async def hear(known: KnownCluster, client: ApiClient, namespace: str | None) -> None:
    """Keep what is known of a cluster (None: every namespace of it) current; never returns."""
    found = Kinds(await reached(client, functools.partial(_lose, known)))
    of_cluster = (
        ("v1", "Node", known.nodes, node),
        ("resource.k8s.io/v1", "ResourceSlice", known.slices, resource_slice),
    )
    kinds: tuple[tuple[str, str, Heard[Any], Callable[[Manifest], Any]], ...] = (
        ("keda.sh/v1alpha1", "ScaledObject", known.scaled_objects, scaled_object),
        ("autoscaling/v2", "HorizontalPodAutoscaler", known.autoscalers, autoscaler),
        ("v1", "Pod", known.pods, pod),
        ("apps/v1", "Deployment", known.counts["Deployment"], counts),
        ("apps/v1", "StatefulSet", known.counts["StatefulSet"], counts),
        ("kvtide.io/v1alpha1", "ReclaimableJob", known.counts["ReclaimableJob"], workers),
        ("argoproj.io/v1alpha1", "Rollout", known.counts["Rollout"], counts),
        ("resource.k8s.io/v1", "ResourceClaim", known.claims, resource_claim),
        (
            "resource.k8s.io/v1",
            "ResourceClaimTemplate",
            known.claim_templates,
            resource_claim_template,
        ),
        *(of_cluster if namespace is None else ()),
    )
    if namespace is not None:
        known.nodes.lose(ONE_NAMESPACE)
        known.slices.lose(ONE_NAMESPACE)
    # A pod or a claim that is left out would seem to hold nothing: of those all is lost instead.
    apart = ("ScaledObject", "HorizontalPodAutoscaler", *known.counts)
    async with asyncio.TaskGroup() as watches:
        for api_version, kind, heard, parse in kinds:
            listed = Kind(api_version=api_version, kind=kind, namespace=namespace)
            watches.create_task(
                follow(
                    found,
                    listed,
                    heard.take,
                    parse=parse,
                    on_trouble=heard.lose,
                    on_unreadable=heard.unreadable.add if kind in apart else None,
                )
            )


def _lose(known: KnownCluster, why: Refusal) -> None:
    for heard in known.heard.values():
        if heard.trouble != why:
            heard.lose(why)
