"""
A Prometheus that is real: the binary where it is on PATH, else a container where Docker runs.

Under CI there must be one of the two; elsewhere its tests skip, saying what to install.
"""

import asyncio
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator

import aiohttp
import pytest
import yaml
from testcontainers.core.container import DockerContainer

from scaler.lab.prometheus import Prometheus, configuration

IMAGE = "prom/prometheus:v3.5.0"


@contextlib.asynccontextmanager
async def real_prometheus(exporters_url: str, *, interval_s: float) -> AsyncIterator[str]:
    """Run a Prometheus that finds its targets at ``exporters_url/sd/…``; yield its address."""
    if program := shutil.which("prometheus"):
        server = Prometheus(program)
        try:
            yield await server.start(exporters_url, interval_s=interval_s)
        finally:
            await server.stop()
        return
    if why := _without_docker():
        _absent(f"no program prometheus (Debian: apt-get install prometheus), and {why}")
    with _container(exporters_url, interval_s) as url:
        await _ready(url)
        yield url


@contextlib.contextmanager
def _container(exporters_url: str, interval_s: float):
    """Run a container on the host's network, so that it reaches exporters on loopback."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as config:
        config.write(yaml.safe_dump(configuration(exporters_url, interval_s=interval_s)))
        config.flush()
        pathlib.Path(config.name).chmod(0o644)
        address = f"127.0.0.1:{_free_port()}"
        container = (
            DockerContainer(IMAGE)
            .with_kwargs(network_mode="host")
            .with_volume_mapping(config.name, "/prometheus.yml")
            .with_command(f"--config.file=/prometheus.yml --web.listen-address={address}")
        )
        container.start()
        try:
            yield f"http://{address}"
        finally:
            container.stop()


async def _ready(url: str) -> None:
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/-/ready") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _without_docker() -> str | None:
    """Return why Docker cannot run the image, None if it can."""
    if not shutil.which("docker"):
        return "no Docker"
    why = ""
    for get_it in (["image", "inspect", IMAGE], ["pull", "-q", IMAGE]):
        tried = subprocess.run(["docker", *get_it], capture_output=True, check=False)
        if not tried.returncode:
            return None
        why = tried.stderr.decode().strip()
    return why


def _absent(why: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"these tests need a Prometheus: {why}")
    pytest.skip(why)
