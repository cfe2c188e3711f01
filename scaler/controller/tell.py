"""Kubernetes Events: what was done to an object and why, where its owner looks first."""

import logging

from scaler.readings.kubernetes.api import FAULTS, refusal
from scaler.readings.kubernetes.manifest import Manifest

from .kube import Kube
from .plan import Event
from .seen import format_time

logger = logging.getLogger("kvtide.controller")

LONGEST_NOTE = 1024
"""Characters; the API refuses a longer one."""


async def tell(kube: Kube, manifest: Manifest, event: Event, *, now_s: float) -> None:
    """Tell on the object; an Event that is refused must not hold up what it tells of."""
    try:
        await kube.create(_event(manifest, event, now_s))
    except FAULTS as error:
        fields = {"reason": event.reason, "why": refusal(error).message}
        logger.warning("could not tell", extra={"fields": fields})


def _event(manifest: Manifest, event: Event, now_s: float) -> Manifest:
    meta = manifest["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name']}-", "namespace": meta["namespace"]},
        "eventTime": format_time(now_s),
        "reportingController": "kvtide.io/controller",
        "reportingInstance": "kvtide-controller",
        "action": event.reason,
        "reason": event.reason,
        "note": event.message[:LONGEST_NOTE],
        "type": "Warning" if event.warning else "Normal",
        "regarding": {
            "apiVersion": manifest["apiVersion"],
            "kind": manifest["kind"],
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        },
    }
