"""Each action of a plan as the API call that carries it out."""

import asyncio

import aiohttp

from scaler.readings.kubernetes.manifest import Manifest, at_path

from .kinds import kind_of
from .kube import Kube
from .plan import (
    Action,
    Activate,
    DeletePods,
    JobAction,
    RequestCheckpoint,
    ResizeTo,
    Resume,
    Suspend,
    ZeroReplicas,
)
from .seen import CHECKPOINT_REQUESTED, format_time

CHECKPOINT_PORT = "kvtide.io/checkpoint-port"
"""Annotation of a pod: where its trainer takes ``POST /checkpoint``."""
DEFAULT_CHECKPOINT_PORT = "8080"
HTTP_TIMEOUT_S = 2.0


async def carry_out(
    kube: Kube, manifest: Manifest, behind: Manifest | None, action: Action, *, now_s: float
) -> None:
    """
    Do one thing to a ReclaimableJob (``manifest``) or to the Job behind it.

    Raises:
        ApiException: the API refused; a conflict means that it has changed since it was read.
    """
    if isinstance(action, ZeroReplicas):
        await kube.patch(manifest, _zero(manifest), subresource="scale")
    elif behind is not None:
        await _to_job(kube, behind, action, now_s)


def _zero(manifest: Manifest) -> Manifest:
    """Return the patch of ``/scale`` that fails where somebody wrote since."""
    version = manifest["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version}, "spec": {"replicas": 0}}


async def _to_job(kube: Kube, behind: Manifest, action: JobAction, now_s: float) -> None:
    meta = behind["metadata"]
    match action:
        case Suspend():
            await kube.patch(behind, _set(behind, suspended=True))
        case Resume(workers=workers):
            await kube.patch(behind, _set(behind, suspended=False, workers=workers))
        case ResizeTo(workers=workers):
            await kube.patch(behind, _set(behind, suspended=None, workers=workers))
        case Activate(active=active):
            workload = await kube.workload_of(meta["namespace"], meta["uid"])
            if workload is not None:
                await kube.patch(workload, {"spec": {"active": active}})
        case RequestCheckpoint(by=by, pods=names):
            await _request_checkpoint(kube, behind, by, names, now_s)
        case DeletePods(pods=names):
            await asyncio.gather(*(kube.delete_pod(meta["namespace"], name) for name in names))


def _set(behind: Manifest, *, suspended: bool | None, workers: int | None = None) -> Manifest:
    """Return the patch of a Job's suspend and size; an elastic Indexed Job's completions follow."""
    kind = kind_of(behind["apiVersion"], behind["kind"])
    if kind is None:
        raise ValueError(f"{behind['kind']} cannot borrow")
    patch: Manifest = {}
    if suspended is not None:
        _put(patch, kind.suspend, suspended)
    if workers is not None and kind.workers is not None:
        _put(patch, kind.workers, workers)
        size = at_path(behind, kind.workers, 1)
        indexed = at_path(behind, ("spec", "completionMode")) == "Indexed"
        if indexed and at_path(behind, ("spec", "completions")) == size:
            _put(patch, ("spec", "completions"), workers)
    return patch


def _put(patch: Manifest, path: tuple[str, ...], value: object) -> None:
    at = patch
    for key in path[:-1]:
        at = at.setdefault(key, {})
    at[path[-1]] = value


async def _request_checkpoint(
    kube: Kube, behind: Manifest, by: str, names: tuple[str, ...], now_s: float
) -> None:
    """Annotate the Job; by HTTP, ask its pods too. Who does not answer loses its time."""
    note = {"metadata": {"annotations": {CHECKPOINT_REQUESTED: format_time(now_s)}}}
    await kube.patch(behind, note)
    if by != "http":
        return
    namespace = behind["metadata"]["namespace"]
    timeout = aiohttp.ClientTimeout(total=HTTP_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        found = await asyncio.gather(*(kube.get("v1", "Pod", namespace, name) for name in names))
        asks = (_post(session, pod) for pod in found if pod and at_path(pod, ("status", "podIP")))
        await asyncio.gather(*asks)


async def _post(session: aiohttp.ClientSession, pod: Manifest) -> None:
    notes = pod["metadata"].get("annotations") or {}
    port = notes.get(CHECKPOINT_PORT, DEFAULT_CHECKPOINT_PORT)
    address = pod["status"]["podIP"]
    host = f"[{address}]" if ":" in address else address
    try:
        async with session.post(f"http://{host}:{port}/checkpoint"):
            return
    except (aiohttp.ClientError, TimeoutError):
        return
