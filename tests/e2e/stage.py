"""
What a cluster without GPUs lacks: engines that report, and somebody who scrapes them.

The pods are the cluster's own; the stage watches them and serves, on this machine, the page
that each would have, with the load that a test states, beside the state of the cluster under
kube-state-metrics' names. A real Prometheus scrapes both; the real scaler reads it.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from kubernetes.aio.dynamic import DynamicClient

from scaler.lab.exposition import CONTENT_TYPE, Page

Manifest = dict[str, Any]

PATIENCE_S = 90.0
HOST = os.environ.get("KVTIDE_E2E_HOST", "127.0.0.1")
"""Where the cluster reaches this machine."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """How often each kind of page is scraped."""

    engine: str = "1s"
    cluster: str = "1s"
    gateway: str = "1s"


EVERY_SECOND = Intervals()


@dataclasses.dataclass(slots=True)
class Load:
    """Requests on one workload, spread evenly over its ready pods where ``pods`` is silent."""

    running: float = 0.0
    waiting: float = 0.0
    at_gateway: float = 0.0
    pods: dict[str, float] = dataclasses.field(default_factory=dict)
    """Requests running in a pod of that name."""
    shown_s: float | None = None
    """When a page first showed it since this was None, by the monotonic clock."""

    def show(self) -> None:
        """Note that a page shows it now."""
        self.shown_s = self.shown_s or time.monotonic()


class Stage:
    """Pages for everything in one namespace."""

    def __init__(self, kube: DynamicClient, namespace: str, every_s: float = 0.5) -> None:
        self._kube, self._every_s = kube, every_s
        self.namespace = namespace
        self.loads: dict[str, Load] = {}
        self.silent = False
        """Whether the engines refuse to be scraped."""
        self.unexported = False
        """Whether nobody exports the cluster's state, as without kube-state-metrics."""
        self._objects: dict[str, list[Manifest]] = {"Pod": [], "ReplicaSet": [], "Deployment": []}
        self.url = ""

    async def objects(self, api_version: str, kind: str) -> list[Manifest]:
        """Return every object of a kind in the namespace."""
        resource = await self._kube.resources.get(api_version=api_version, kind=kind)
        # Plain JSON: the client's own objects of some hundred pods take a second to make.
        answer = await self._kube.get(resource, namespace=self.namespace, serialize=False)
        return list((await answer.json())["items"])

    async def refresh(self) -> None:
        """Read the cluster's state for the pages."""
        kinds = (("v1", "Pod"), ("apps/v1", "ReplicaSet"), ("apps/v1", "Deployment"))
        for api_version, kind in kinds:
            self._objects[kind] = await self.objects(api_version, kind)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve the pages; the cluster's state is read every so often."""
        app = web.Application()
        app.router.add_get("/sd/engines", self._discovery)
        app.router.add_get("/engine/{pod}", self._engine)
        app.router.add_get("/cluster", self._cluster)
        app.router.add_get("/gateway", self._gateway)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"127.0.0.1:{runner.addresses[0][1]}"
        await self.refresh()
        task = asyncio.create_task(self._keep_current())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await runner.cleanup()

    async def _keep_current(self) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await self.refresh()
            await asyncio.sleep(self._every_s)

    def _serving(self) -> list[tuple[Manifest, str]]:
        """Return the ready pods of Deployments with a load, each with its Deployment's name."""
        owners = {
            one["metadata"]["name"]: owner
            for one in self._objects["ReplicaSet"]
            if (owner := _owner(one)) is not None
        }
        return [
            (pod, owners[owner])
            for pod in self._objects["Pod"]
            if (owner := _owner(pod)) in owners
            and owners[owner] in self.loads
            and _is_ready(pod)
            and "deletionTimestamp" not in pod["metadata"]
        ]

    async def _discovery(self, _: web.Request) -> web.Response:
        targets = [
            {
                "targets": [self.url],
                "labels": {
                    "__metrics_path__": f"/engine/{pod['metadata']['name']}",
                    "namespace": self.namespace,
                    "pod": pod["metadata"]["name"],
                },
            }
            for pod, _ in self._serving()
        ]
        return web.json_response(targets)

    async def _engine(self, request: web.Request) -> web.Response:
        serving = self._serving()
        mine = [
            name for pod, name in serving if pod["metadata"]["name"] == request.match_info["pod"]
        ]
        if self.silent or not mine:
            return web.Response(status=503)
        load = self.loads[mine[0]]
        load.show()
        count = sum(1 for _, name in serving if name == mine[0])
        labels = {"engine": "0", "model_name": "e2e"}
        page = Page()
        running = load.pods.get(request.match_info["pod"], load.running / count)
        page.family("vllm:num_requests_running", "gauge", (labels, running))
        page.family("vllm:num_requests_waiting", "gauge", (labels, load.waiting / count))
        # Tokens flow whenever something runs: an engine whose counter stands still is frozen.
        page.family("vllm:generation_tokens_total", "counter", (labels, time.monotonic() * 1000))
        return _text(page)

    async def _cluster(self, _: web.Request) -> web.Response:
        page = Page()
        if not self.unexported:
            _deployments(page, self._objects["Deployment"])
            _pods(page, self._objects["Pod"])
            _owners(page, "kube_replicaset_owner", "replicaset", self._objects["ReplicaSet"])
        return _text(page)

    async def _gateway(self, _: web.Request) -> web.Response:
        for load in self.loads.values():
            if load.at_gateway:
                load.show()
        page = Page()
        page.family(
            "e2e_gateway_in_flight",
            "gauge",
            *(
                ({"namespace": self.namespace, "workload": name}, load.at_gateway)
                for name, load in self.loads.items()
            ),
        )
        return _text(page)


def _text(page: Page) -> web.Response:
    return web.Response(body=page.text.encode(), headers={"Content-Type": CONTENT_TYPE})


def _owner(manifest: Manifest) -> str | None:
    owners = manifest["metadata"].get("ownerReferences") or ()
    return next((one["name"] for one in owners if one.get("controller")), None)


def _is_ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _deployments(page: Page, deployments: list[Manifest]) -> None:
    def rows(read: Any) -> list[tuple[dict[str, str], float]]:
        return [
            (
                {"namespace": one["metadata"]["namespace"], "deployment": one["metadata"]["name"]},
                float(read(one) or 0),
            )
            for one in deployments
        ]

    page.family("kube_deployment_spec_replicas", "gauge", *rows(lambda d: d["spec"]["replicas"]))
    page.family(
        "kube_deployment_status_replicas", "gauge", *rows(lambda d: d["status"].get("replicas"))
    )
    page.family(
        "kube_deployment_status_replicas_ready",
        "gauge",
        *rows(lambda d: d["status"].get("readyReplicas")),
    )


def _pods(page: Page, pods: list[Manifest]) -> None:
    def labels(pod: Manifest, **more: str) -> dict[str, str]:
        meta = pod["metadata"]
        return {"namespace": meta["namespace"], "pod": meta["name"], "uid": meta["uid"], **more}

    page.family(
        "kube_pod_owner",
        "gauge",
        *(
            (
                labels(
                    pod,
                    owner_kind=owner["kind"],
                    owner_name=owner["name"],
                    owner_is_controller="true",
                ),
                1,
            )
            for pod in pods
            for owner in pod["metadata"].get("ownerReferences") or ()
        ),
    )
    page.family(
        "kube_pod_status_ready",
        "gauge",
        *((labels(pod, condition="true"), float(_is_ready(pod))) for pod in pods),
    )


def _owners(page: Page, name: str, label: str, manifests: list[Manifest]) -> None:
    page.family(
        name,
        "gauge",
        *(
            (
                {
                    "namespace": one["metadata"]["namespace"],
                    label: one["metadata"]["name"],
                    "owner_kind": "Deployment",
                    "owner_name": owner,
                    "owner_is_controller": "true",
                },
                1,
            )
            for one in manifests
            if (owner := _owner(one)) is not None
        ),
    )


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A program on this machine, with its output in a file; ended by its own pid."""

    def __init__(self, folder: pathlib.Path, name: str, *command: str) -> None:
        self._log = folder / f"{name}.log"
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._probe = ""

    async def start_again(self) -> None:
        """Start as before."""
        await self.start(self._probe)

    async def start(self, probe: str) -> None:
        """Start, and wait until ``probe`` (a URL) answers 200."""
        self._probe = probe
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"}
            )
        async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(probe) as response:
                        if response.status == 200:
                            return
                if self._process.returncode is not None:
                    raise RuntimeError(self.output[-2000:])
                await asyncio.sleep(0.1)

    async def stop(self, *, kill: bool = False) -> None:
        """End it, and wait until it is gone."""
        if self._process is None or self._process.returncode is not None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        await self._process.wait()

    def freeze(self) -> None:
        """Let it stand still, its connections open."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text() if self._log.exists() else ""


@contextlib.asynccontextmanager
async def relay(port: int, ports: list[int]) -> AsyncIterator[None]:
    """Pass each connection to ``port`` on to the first of ``ports`` that listens, as a Service."""

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for behind in ports:
            with contextlib.suppress(OSError):
                from_it, to_it = await asyncio.open_connection(HOST, behind)
                await asyncio.gather(pour(reader, to_it), pour(from_it, writer))
                return
        writer.close()

    async with await asyncio.start_server(take, HOST, port):
        yield


def prometheus(
    folder: pathlib.Path, stage: Stage, port: int, intervals: Intervals = EVERY_SECOND
) -> Process:
    """Return a Prometheus that scrapes the stage, each kind of page as often as told."""
    config = {
        "global": {"scrape_timeout": "900ms"},
        "scrape_configs": [
            {
                "job_name": "engines",
                "scrape_interval": intervals.engine,
                "http_sd_configs": [
                    {"url": f"http://{stage.url}/sd/engines", "refresh_interval": "1s"}
                ],
            },
            _one_page(stage, "kube-state-metrics", "/cluster", intervals.cluster),
            _one_page(stage, "gateway", "/gateway", intervals.gateway),
        ],
    }
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return Process(
        folder,
        "prometheus",
        "prometheus",
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )


def _one_page(stage: Stage, job: str, path: str, interval: str) -> Manifest:
    return {
        "job_name": job,
        "metrics_path": path,
        "scrape_interval": interval,
        "honor_labels": True,
        "static_configs": [{"targets": [stage.url]}],
    }


def scaler(
    folder: pathlib.Path,
    *,
    grpc_port: int,
    http_port: int,
    prometheus_port: int,
    intervals: Intervals = EVERY_SECOND,
    host: str = HOST,
    timeout: str = "2s",
) -> Process:
    """Return ``kvtide serve`` over that Prometheus."""
    config = {
        "prometheus": {
            "default": {
                "url": f"http://127.0.0.1:{prometheus_port}",
                "ingestionDelay": "0s",
                "timeout": timeout,
                "scrapeInterval": dataclasses.asdict(intervals),
            }
        },
        "gateways": {
            "e2e": {"over": ["namespace", "workload"], "in_flight": "e2e_gateway_in_flight"}
        },
    }
    path = folder / "kvtide.yaml"
    path.write_text(json.dumps(config))
    return Process(
        folder,
        f"scaler-{http_port}",
        sys.executable,
        *("-m", "scaler", "serve", "--config", str(path), "--tick", "0.5s"),
        *("--grpc-address", f"{host}:{grpc_port}", "--http-address", f"127.0.0.1:{http_port}"),
        *("--drain-delay", "0.5s", "--drain-grace", "0.5s"),
    )


def controller(
    folder: pathlib.Path, *flags: str, grpc_port: int, http_port: int, namespace: str
) -> Process:
    """Return ``kvtide controller`` of one namespace."""
    return Process(
        folder,
        "controller",
        sys.executable,
        *("-m", "scaler", "controller", "--scaler", f"{HOST}:{grpc_port}"),
        *("--namespace", namespace, "--lease-namespace", namespace),
        *("--http-address", f"127.0.0.1:{http_port}"),
        *flags,
    )
