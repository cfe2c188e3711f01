"""
A real Prometheus on loopback that scrapes the exporters, where its binary is found.

Targets come by HTTP service discovery, so pods come and go as they do in a cluster.
"""

import asyncio
import contextlib
import itertools
import pathlib
import shutil
import socket
import tempfile
from typing import Any

import aiohttp
import yaml

from scaler.errors import ConfigurationError, Problem

_JOBS = ("engines", "dcgm", "kube-state-metrics", "gateway")
_OWN_LABELS = ("kube-state-metrics", "kvtide")
_START_S = 20.0


def binary() -> str | None:
    """Return the path of a ``prometheus`` on PATH; None: there is none."""
    return shutil.which("prometheus")


def configuration(exporters_url: str, *, interval_s: float) -> dict[str, Any]:
    """
    Return Prometheus' configuration for the exporters at an address.

    The cluster's state and kvtide keep their own ``namespace`` and ``pod`` labels, as their
    ServiceMonitors say; the GPU exporter's become ``exported_…``, as its chart's default does.
    """
    interval = f"{round(interval_s * 1000)}ms"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {
                "job_name": job,
                "honor_labels": job in _OWN_LABELS,
                "http_sd_configs": [
                    {"url": f"{exporters_url}/sd/{job}", "refresh_interval": interval}
                ],
            }
            for job in (*_JOBS, "kvtide")
        ],
    }


class Prometheus:
    """
    A Prometheus process with its data in a temporary folder.

    Attributes:
        url: its base address, once started.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._folder = tempfile.TemporaryDirectory(prefix="kvtide-prometheus-")
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self, exporters_url: str, *, interval_s: float) -> str:
        """
        Start it and wait until it is ready; return its address.

        Raises:
            ConfigurationError: it does not come up; the message has its last line.
        """
        folder = pathlib.Path(self._folder.name)
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(configuration(exporters_url, interval_s=interval_s)))
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        log = (folder / "log").open("wb")
        with log:
            self._process = await asyncio.create_subprocess_exec(
                self._program,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--storage.tsdb.retention.time=1d",
                stdout=log,
                stderr=log,
            )
        try:
            async with asyncio.timeout(_START_S):
                await self._answers(self._process, "/-/ready")
        except (TimeoutError, ChildProcessError):
            lines = (folder / "log").read_text(errors="replace").splitlines() or ["nothing"]
            await self.stop()
            raise ConfigurationError(
                Problem(
                    field="prometheus",
                    got=f"{self._program} did not start ({lines[-1]});"
                    " --prometheus embedded does without it",
                )
            ) from None
        return self.url

    async def stop(self) -> None:
        """End the process and remove its data."""
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        self._folder.cleanup()

    async def scraped(self) -> None:
        """Wait until every kind of page was scraped: discovery takes its first five seconds."""
        query = {"query": "count by (job) (up == 1)"}
        async with asyncio.timeout(_START_S), aiohttp.ClientSession() as session:
            for pause_s in itertools.repeat(0.1):
                async with session.get(f"{self.url}/api/v1/query", params=query) as response:
                    if len((await response.json())["data"]["result"]) == len(_JOBS):
                        return
                await asyncio.sleep(pause_s)

    async def _answers(self, process: asyncio.subprocess.Process, path: str) -> None:
        async with aiohttp.ClientSession() as session:
            while process.returncode is None:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}{path}") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(0.1)
        raise ChildProcessError


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
