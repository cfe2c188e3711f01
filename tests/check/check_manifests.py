"""Manifests without a finding, for tests that change one thing of them."""

import copy
from typing import Any

import yaml

from scaler.check.files import Checked, check
from scaler.configuration import Configuration, PrometheusServer, ScrapeIntervals

OPEN = {
    "scaleUp": {
        "tolerance": "0",
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Percent", "value": 900, "periodSeconds": 15}],
    },
    "scaleDown": {
        "tolerance": "0",
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    },
}
CHAT: dict[str, Any] = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "chat", "namespace": "llm"},
    "spec": {
        "scaleTargetRef": {"name": "chat"},
        "pollingInterval": 15,
        "minReplicaCount": 1,
        "maxReplicaCount": 20,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": OPEN}},
        "triggers": [
            {
                "type": "external-push",
                "metadata": {
                    "scalerAddress": "kvtide:6000",
                    "maxConcurrency": "16",
                    "holdFor": "30m",
                },
            }
        ],
    },
}
TRAIN: dict[str, Any] = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "train", "namespace": "llm"},
    "spec": {
        "scaleTargetRef": {
            "apiVersion": "kvtide.io/v1alpha1",
            "kind": "ReclaimableJob",
            "name": "train",
        },
        "pollingInterval": 5,
        "cooldownPeriod": 300,
        "minReplicaCount": 0,
        "maxReplicaCount": 4,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": OPEN}},
        "triggers": [
            {
                "type": "external-push",
                "metadata": {
                    "scalerAddress": "kvtide:6000",
                    "role": "training",
                    "workload": "ReclaimableJob/train",
                    "poolUnits": "7",
                    "reservedUnits": "3",
                    "poolWorkloads": "llm/chat",
                },
            }
        ],
    },
}
SLOW_SCRAPES = Configuration(
    prometheus={
        "default": PrometheusServer(
            url="http://prometheus:9090", scrape_interval=ScrapeIntervals(engine_s=15.0)
        )
    },
    gateways={"edge": {"in_flight": "edge_held"}},
)
HOUSE = Configuration(
    gateways={"edge": {"in_flight": "edge_held"}},
    engines={"house": {"extends": "vllm", "allocates_up_front": False}},
)
ABSENT = object()
BEHAVIOR = "advanced.horizontalPodAutoscalerConfig.behavior"


def changed(scaled: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest with other values at some paths within its spec."""
    document = copy.deepcopy(scaled)
    for path, value in changes.items():
        *above, last = path.split(".")
        node: Any = document["spec"]
        for name in above:
            node = node[int(name)] if name.isdigit() else node.setdefault(name, {})
        if value is ABSENT:
            del node[last]
        else:
            node[last] = value
    return document


def checked(*documents: dict[str, Any], configuration: Configuration | None = None) -> Checked:
    return check(
        {"objects.yaml": yaml.safe_dump_all(documents)},
        SLOW_SCRAPES if configuration is None else configuration,
    )


def metadata(**more: str) -> dict[str, Any]:
    return {f"triggers.0.metadata.{key}": text for key, text in more.items()}
