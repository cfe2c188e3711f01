"""
The simulated cluster's ``/metrics`` endpoints, over real HTTP on one port.

One path per pod, as each pod of a cluster would have an address of its own; ``/sd/…`` is what
Prometheus' HTTP service discovery reads (namespace and pod as target labels). A pod that loads
refuses with 503, one that is gone with 404: both read ``up == 0``, as a closed port would.
"""

import dataclasses
from collections.abc import Callable, Iterable

from aiohttp import web

from scaler.errors import ConfigurationError, Problem
from scaler.listening import why_not
from scaler.simulation.cluster import Cluster
from scaler.simulation.fleet import Phase, Replica

from .cluster_page import HpaBounds, cluster_page
from .exposition import CONTENT_TYPE
from .gateway_page import gateway_page
from .gpus import Gpus
from .vllm_page import vllm_page

EXPORTERS_NAMESPACE = "monitoring"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One page to scrape; ``pod`` None: the page names pods itself."""

    job: str
    path: str
    namespace: str
    pod: str | None = None


class Exporters:
    """
    Serves the pages of one cluster.

    Attributes:
        url: base address, once started.
        scaler: host and port of the scaler's own /metrics, which discovery then names as well.
    """

    def __init__(
        self,
        cluster: Cluster,
        gpus: Gpus,
        *,
        hpas: Callable[[], Iterable[HpaBounds]],
        started_s: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._gpus = gpus
        self._hpas = hpas
        self._started_s = started_s
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.scaler: str | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """
        Listen (port 0: a free one) and return the base address.

        Raises:
            ConfigurationError: it is not to be had: in use, or no address of this machine.
        """
        app = web.Application()
        app.router.add_get("/pods/{namespace}/{pod}/metrics", self._engine)
        app.router.add_get("/dcgm/metrics", self._dcgm)
        app.router.add_get("/kube-state-metrics/metrics", self._state)
        app.router.add_get("/gateway/metrics", self._gateway)
        app.router.add_get("/sd/{job}", self._discovery)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except (OSError, OverflowError) as error:  # a port beyond 65535 is an OverflowError
            await self.stop()
            why = why_not(error, host, port) or str(error)
            raise ConfigurationError(Problem(field="--port", got=why)) from error
        bound = self._runner.addresses[0]
        self.url = f"http://{bound[0]}:{bound[1]}"
        return self.url

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return what there is to scrape now: pods that have a node, and three exporters more."""
        pods = (
            Endpoint(
                job="engines",
                path=f"/pods/{fleet.config.namespace}/{replica.name}/metrics",
                namespace=fleet.config.namespace,
                pod=replica.name,
            )
            for fleet in self._cluster.fleets.values()
            for replica in fleet.replicas.values()
            if replica.node is not None
        )
        return (
            *pods,
            Endpoint(job="dcgm", path="/dcgm/metrics", namespace=EXPORTERS_NAMESPACE),
            Endpoint(
                job="kube-state-metrics",
                path="/kube-state-metrics/metrics",
                namespace=EXPORTERS_NAMESPACE,
            ),
            Endpoint(
                job="gateway",
                path="/gateway/metrics",
                namespace=self._cluster.config.fleets[0].namespace,
                pod="gateway",
            ),
        )

    def _replica(self, namespace: str, pod: str) -> Replica | None:
        for fleet in self._cluster.fleets.values():
            if fleet.config.namespace == namespace and pod in fleet.replicas:
                return fleet.replicas[pod]
        return None

    async def _engine(self, request: web.Request) -> web.Response:
        replica = self._replica(request.match_info["namespace"], request.match_info["pod"])
        if replica is None:
            return web.Response(status=404, text="no such pod\n")
        if replica.phase not in (Phase.READY, Phase.DRAINING):
            return web.Response(status=503, text="loading\n")
        return _page(vllm_page(replica, self._cluster.now_s))

    async def _dcgm(self, _: web.Request) -> web.Response:
        return _page(self._gpus.page())

    async def _state(self, _: web.Request) -> web.Response:
        return _page(cluster_page(self._cluster, self._hpas(), started_s=self._started_s()))

    async def _gateway(self, _: web.Request) -> web.Response:
        return _page(gateway_page(self._cluster))

    async def _discovery(self, request: web.Request) -> web.Response:
        job = request.match_info["job"]
        if job == "kvtide":
            return web.json_response([{"targets": [self.scaler]}] if self.scaler else [])
        groups = [
            {
                # Whoever asks reaches the pages where it reached this.
                "targets": [request.host],
                "labels": {
                    "__metrics_path__": endpoint.path,
                    "namespace": endpoint.namespace,
                    "pod": endpoint.pod or endpoint.job,
                },
            }
            for endpoint in self.endpoints()
            if endpoint.job == job
        ]
        return web.json_response(groups)


def _page(text: str) -> web.Response:
    return web.Response(text=text, headers={"Content-Type": CONTENT_TYPE})
