"""
An API server small enough to read: objects in a dict, merge patches, watches, and refusals.

It speaks as much of the real one as the controller uses: discovery, lists with label selectors,
watches from a resourceVersion, merge patches with optimistic concurrency, the scale and status
subresources, generations that move with the spec.
"""

import asyncio
import contextlib
import copy
import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

RESOURCES = {
    ("v1", "Pod"): "pods",
    ("v1", "Node"): "nodes",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "horizontalpodautoscalers",
    ("batch/v1", "Job"): "jobs",
    ("events.k8s.io/v1", "Event"): "events",
    ("kvtide.io/v1alpha1", "ReclaimableJob"): "reclaimablejobs",
    ("keda.sh/v1alpha1", "ScaledObject"): "scaledobjects",
    ("apps/v1", "Deployment"): "deployments",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("argoproj.io/v1alpha1", "Rollout"): "rollouts",
    ("resource.k8s.io/v1", "ResourceClaim"): "resourceclaims",
    ("resource.k8s.io/v1", "ResourceClaimTemplate"): "resourceclaimtemplates",
    ("resource.k8s.io/v1", "ResourceSlice"): "resourceslices",
    ("coordination.k8s.io/v1", "Lease"): "leases",
    ("kueue.x-k8s.io/v1beta1", "Workload"): "workloads",
}
PATH = re.compile(
    r"^/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[a-z]+))?$"
)

Manifest = dict[str, Any]


@dataclasses.dataclass(slots=True)
class FakeKubernetes:
    """The server; ``objects`` maps (plural, namespace, name) to manifests."""

    objects: dict[tuple[str, str, str], Manifest] = dataclasses.field(default_factory=dict)
    writes: list[tuple[str, str, Manifest]] = dataclasses.field(default_factory=list)
    """(method, path, body) of every write, refused ones too."""
    absent: set[str] = dataclasses.field(default_factory=set)
    """Plurals of kinds that the cluster does not serve."""
    refuse: dict[str, int] = dataclasses.field(default_factory=dict)
    """Path endings that are answered with a status."""
    interfere: dict[str, Callable[[], object]] = dataclasses.field(default_factory=dict)
    """Path endings whose next write finds that somebody else was faster, by doing this."""
    version: int = 100
    changes: list[tuple[int, str, str, Manifest]] = dataclasses.field(default_factory=list)
    """(version, type, plural, manifest), for watches."""
    oldest: int = 0
    """Watches from before this version expire."""
    calls: int = 0
    """Times that watches were ended."""
    page: int = 1000
    """Most objects in one answer to a list, whatever it asks for."""
    asked: list[str] = dataclasses.field(default_factory=list)
    """Path and query of every list and watch."""
    changed: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    def put(self, plural: str, manifest: Manifest) -> Manifest:
        """Create or replace an object, as anybody with kubectl would."""
        meta = manifest["metadata"]
        key = (plural, meta.get("namespace", ""), meta["name"])
        before = self.objects.get(key)
        new: Manifest = {"uid": f"uid-{meta['name']}", "generation": 1}
        kept = before["metadata"] if before else new
        moved = before is not None and before.get("spec") != manifest.get("spec")
        meta["uid"] = kept["uid"]
        meta["generation"] = kept["generation"] + moved
        self._store(key, manifest, "MODIFIED" if before else "ADDED")
        return manifest

    def drop(self, plural: str, namespace: str, name: str) -> None:
        """Delete an object."""
        gone = self.objects.pop((plural, namespace, name))
        self._tell("DELETED", plural, gone)

    def hang_up(self) -> None:
        """End every watch that runs, as a server does from time to time."""
        self.calls += 1
        self._wake()

    def of(self, plural: str) -> list[Manifest]:
        """Return every object of a kind."""
        return [one for (kind, _, _), one in self.objects.items() if kind == plural]

    def expire(self) -> None:
        """Forget the changes so far: a watch that resumes from them is answered 410."""
        self.oldest = self.version
        self._wake()

    def _store(self, key: tuple[str, str, str], manifest: Manifest, change: str) -> None:
        self.objects[key] = manifest
        self._tell(change, key[0], manifest)

    def _tell(self, change: str, plural: str, manifest: Manifest) -> None:
        self.version += 1
        manifest["metadata"]["resourceVersion"] = str(self.version)
        self.changes.append((self.version, change, plural, copy.deepcopy(manifest)))
        self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def application(self) -> web.Application:
        """Return the HTTP side."""
        app = web.Application()
        app.router.add_get("/version", _version)
        app.router.add_get("/api", _core)
        app.router.add_get("/apis", self._groups)
        app.router.add_get("/api/v1", self._resources)
        app.router.add_get("/apis/{group}/{version}", self._resources)
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    def _served(self) -> dict[tuple[str, str], str]:
        return {kind: name for kind, name in RESOURCES.items() if name not in self.absent}

    async def _groups(self, _: web.Request) -> web.Response:
        groups = sorted({version for version, _ in self._served() if "/" in version})
        return web.json_response(
            {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [
                    {
                        "name": one.split("/")[0],
                        "versions": [{"groupVersion": one, "version": one.split("/")[1]}],
                        "preferredVersion": {"groupVersion": one, "version": one.split("/")[1]},
                    }
                    for one in groups
                ],
            }
        )

    async def _resources(self, request: web.Request) -> web.Response:
        version = request.path.removeprefix("/apis/").removeprefix("/api/")
        mine = {kind: plural for (of, kind), plural in self._served().items() if of == version}
        verbs = ["create", "delete", "get", "list", "patch", "watch"]
        return web.json_response(
            {
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": version,
                "resources": [
                    {
                        "name": name,
                        "kind": kind,
                        "singularName": kind.lower(),
                        "namespaced": kind != "Node",
                        "verbs": verbs,
                    }
                    for kind, plural in mine.items()
                    for name in (plural, f"{plural}/status", f"{plural}/scale")
                ],
            }
        )

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        match = PATH.match(request.path)
        if match is None:
            return _status(404, "no such path")
        body = await request.json() if request.can_read_body else {}
        if request.method != "GET":
            self.writes.append((request.method, request.path, body))
            for ending in [one for one in self.interfere if request.path.endswith(one)]:
                self.interfere.pop(ending)()
        for ending, code in self.refuse.items():
            if request.path.endswith(ending):
                return _status(code, f"refused {ending}")
        if match["name"] is None:
            return await self._collection(request, match, body)
        return self._one(request, match, body)

    async def _collection(
        self, request: web.Request, match: re.Match[str], body: Manifest
    ) -> web.StreamResponse:
        plural, namespace = match["plural"], match["namespace"]
        if request.method == "POST":
            meta = body["metadata"]
            meta.setdefault("name", f"{meta.get('generateName', '')}{self.version}")
            if (plural, namespace, meta["name"]) in self.objects:
                self._wake()
                return _status(409, f"{plural} {meta['name']} exists")
            return web.json_response(self.put(plural, body), status=201)
        self.asked.append(request.path_qs)
        self._wake()
        if "watch" in request.query:
            return await self._watch(request, plural, namespace)
        wanted = dict(
            part.split("=") for part in request.query.get("labelSelector", "").split(",") if part
        )
        items = [
            one
            for one in self.of(plural)
            if namespace in (None, one["metadata"].get("namespace"))
            and wanted.items() <= (one["metadata"].get("labels") or {}).items()
        ]
        start = int(request.query.get("continue", "0"))
        kind = next(kind for (_, kind), name in RESOURCES.items() if name == plural)
        return web.json_response(
            {
                "kind": f"{kind}List",
                "apiVersion": match["core"] or match["group"],
                "metadata": {"resourceVersion": str(self.version), **self._onward(items, start)},
                "items": items[start : start + self.page],
            }
        )

    def _onward(self, items: list[Manifest], start: int) -> dict[str, str]:
        end = start + self.page
        return {"continue": str(end)} if end < len(items) else {}

    async def _watch(
        self, request: web.Request, plural: str, namespace: str | None
    ) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        seen = int(request.query.get("resourceVersion", "0"))
        calls = self.calls
        seconds = float(request.query.get("timeoutSeconds", "600"))
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(seconds):
                await self._send_changes(response, seen, plural, namespace, calls)
        return response

    async def _send_changes(
        self,
        response: web.StreamResponse,
        seen: int,
        plural: str,
        namespace: str | None,
        calls: int,
    ) -> None:
        while self.calls == calls:
            changed = self.changed
            if seen < self.oldest:
                gone = {"code": 410, "reason": "Expired", "message": "too old resource version"}
                await _send(response, "ERROR", {"kind": "Status", "metadata": {}, **gone})
                return
            for version, change, kind, manifest in list(self.changes):
                if version <= seen:
                    continue
                seen = version
                if kind == plural and namespace in (
                    None,
                    manifest["metadata"].get("namespace"),
                ):
                    await _send(response, change, manifest)
            await changed.wait()

    def _one(
        self, request: web.Request, match: re.Match[str], body: Manifest
    ) -> web.StreamResponse:
        key = (match["plural"], match["namespace"], match["name"])
        found = self.objects.get(key)
        if found is None:
            return _status(404, f"{key[0]} {key[2]} not found")
        if request.method == "GET":
            return web.json_response(found)
        if request.method == "DELETE":
            self.drop(*key)
            return web.json_response(found)
        stated = (body.get("metadata") or {}).get("resourceVersion")
        if stated is not None and stated != found["metadata"]["resourceVersion"]:
            return _status(409, "the object has been modified")
        return web.json_response(self._patched(key, found, match["sub"], body))

    def _patched(
        self, key: tuple[str, str, str], found: Manifest, sub: str | None, body: Manifest
    ) -> Manifest:
        after = copy.deepcopy(found)
        if sub == "status":
            _merge(after, {"status": body["status"]})
        else:
            _merge(after, {part: body[part] for part in ("spec", "metadata") if part in body})
        if after.get("spec") != found.get("spec"):
            after["metadata"]["generation"] += 1
        self._store(key, after, "MODIFIED")
        return after


def _merge(into: Manifest, patch: Manifest) -> None:
    for key, value in patch.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        elif value is None:
            into.pop(key, None)
        else:
            into[key] = value


async def _send(response: web.StreamResponse, change: str, manifest: Manifest) -> None:
    await response.write(json.dumps({"type": change, "object": manifest}).encode() + b"\n")


def _status(code: int, message: str) -> web.Response:
    return web.json_response(
        {
            "kind": "Status",
            "status": "Failure",
            "message": message,
            "reason": message,
            "code": code,
        },
        status=code,
    )


async def _version(_: web.Request) -> web.Response:
    return web.json_response({"major": "1", "minor": "36", "gitVersion": "v1.36.0"})


async def _core(_: web.Request) -> web.Response:
    return web.json_response({"kind": "APIVersions", "versions": ["v1"]})
