"""A ScaledObject with the fast path, ready, by default."""

from typing import Any


def scaled_object(
    name: str = "chat",
    *,
    notes: dict[str, str] | None = None,
    ready: str = "True",
    metricType: str | None = None,  # noqa: N803 -- KEDA's name
    **spec: Any,
) -> dict[str, Any]:
    trigger: dict[str, Any] = {"type": "external-push", "metadata": {"fastPath": "true"}}
    if metricType is not None:
        trigger["metricType"] = metricType
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {
            "name": name,
            "namespace": "prod",
            "annotations": {
                f"autoscaling.keda.sh/{key}": text for key, text in (notes or {}).items()
            },
        },
        "spec": {"scaleTargetRef": {"name": name}, "triggers": [trigger], **spec},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }
