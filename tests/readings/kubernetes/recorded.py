"""
Objects as a Kubernetes 1.36 API server with KEDA 2.20.2 holds them.

Two ready pods of a Deployment that ask for two GPUs each, the ScaledObject over it and its HPA, and
a node; managed fields and volumes taken out.
"""

import copy
import json
import pathlib
from collections.abc import Mapping
from typing import Any

RECORDED = json.loads(pathlib.Path(__file__).with_name("recorded.json").read_text())
PLURALS = {
    "Pod": "pods",
    "Node": "nodes",
    "Deployment": "deployments",
    "ScaledObject": "scaledobjects",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
}


def recorded(kind: str, at: int = 0) -> dict[str, Any]:
    """Return a copy of one of the objects, for a test to change."""
    found: dict[str, Any] = copy.deepcopy(RECORDED[kind][at])
    return found


def scaled_object(namespace: str, name: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return a ScaledObject with one trigger of this metadata."""
    manifest = recorded("ScaledObject")
    manifest["metadata"] = {"name": name, "namespace": namespace}
    manifest["spec"]["triggers"] = [{"type": "external-push", "metadata": {**metadata}}]
    return manifest
