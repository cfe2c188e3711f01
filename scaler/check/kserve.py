"""
The ScaledObjects that KServe makes of an LLMInferenceService with ``scaling.keda``.

Names, targets and fields are those of its controller (pkg/controller/v1alpha2/llmisvc): one for
the main workload and one for prefill, each for the Deployment that runs it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

KIND = "LLMInferenceService"
_LONGEST_NAME = 63
_WORKLOADS = (((), "-kserve"), (("prefill",), "-kserve-prefill"))
"""Where a workload stands in the spec, and how its Deployment's name goes on."""


def scaled_objects_made_of(node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the ScaledObjects, as nodes, of one LLMInferenceService."""
    meta = node.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    name = str(meta.get("name", "?"))
    for path, suffix in _WORKLOADS:
        scaling = _at(node, "spec", *path, "scaling")
        keda = scaling.get("keda")
        if not isinstance(keda, dict):
            continue
        counts = {
            "minReplicaCount": scaling.get("minReplicas", 1),
            "maxReplicaCount": scaling.get("maxReplicas"),
        }
        yield {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {**meta, "name": f"{name}{suffix}-keda"[:_LONGEST_NAME]},
            "spec": {
                "scaleTargetRef": {"name": f"{name}{suffix}"[:_LONGEST_NAME]},
                **{key: count for key, count in counts.items() if count is not None},
                **keda,
            },
        }


def _at(node: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the mapping at a path, empty where there is none."""
    found: Any = node
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
