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


EXISTS = 409


async def tell(kube: Kube, manifest: Manifest, event: Event, *, now_s: float) -> bool:
    """
    Tell on the object; an Event that is refused must not hold up what it tells of.

    Returns:
        Whether it is told, now or before.
    """
    try:
        await kube.create(_event(manifest, event, now_s))
    except FAULTS as error:
        why = refusal(error)
        if event.identity and why.status == EXISTS:
            return True
        fields = {"reason": event.reason, "why": why.message}
        logger.warning("could not tell", extra={"fields": fields})
        return False
    return True


def _event(manifest: Manifest, event: Event, now_s: float) -> Manifest:
    meta = manifest["metadata"]
    named = {"name": f"{meta['name']}.{event.identity}"}
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "namespace": meta["namespace"],
            **(named if event.identity else {"generateName": f"{meta['name']}-"}),
        },
        "eventTime": format_time(now_s if event.at_s is None else event.at_s),
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
