"""
A Prometheus that is real: the binary where it is on PATH, else a container where Docker runs.

Under CI there must be one of the two; elsewhere its tests skip, saying what to install.
"""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import AsyncIterator

import pytest
import yaml
from testcontainers.core.container import DockerContainer

from scaler.lab.prometheus import Prometheus, configuration

IMAGE = "prom/prometheus:v3.5.0"
_PORT = 9090


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
    if not shutil.which("docker"):
        _absent("neither the program prometheus (Debian: apt-get install prometheus) nor Docker")
    with _container(exporters_url, interval_s) as url:
        yield url


@contextlib.contextmanager
def _container(exporters_url: str, interval_s: float):
    """Run a container on the host's network, so that it reaches exporters on loopback."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as config:
        config.write(yaml.safe_dump(configuration(exporters_url, interval_s=interval_s)))
        config.flush()
        pathlib.Path(config.name).chmod(0o644)
        container = (
            DockerContainer(IMAGE)
            .with_kwargs(network_mode="host")
            .with_volume_mapping(config.name, "/etc/prometheus/prometheus.yml")
        )
        try:
            container.start()
        except Exception as error:  # noqa: BLE001
            # No daemon, no image, no right to: whatever it is.
            _absent(f"no program prometheus, and Docker did not start {IMAGE}: {error}")
        try:
            yield f"http://127.0.0.1:{_PORT}"
        finally:
            container.stop()


def _absent(why: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"these tests need a Prometheus: {why}")
    pytest.skip(why)
