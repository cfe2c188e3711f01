"""
A VictoriaMetrics that is real: the binary that Debian packages, on loopback, with data of its own.

It scrapes by itself, as Prometheus does, from the same configuration.
"""

import asyncio
import contextlib
import pathlib
import socket
import tempfile
from collections.abc import AsyncIterator

import aiohttp
import yaml

from scaler.lab.prometheus import configuration
from tests.programs import program

_START_S = 30


@contextlib.asynccontextmanager
async def real_victoria_metrics(
    exporters_url: str, *, interval_s: float, flags: tuple[str, ...] = ()
) -> AsyncIterator[str]:
    """Run one that finds its targets at ``exporters_url/sd/…``; yield its address."""
    path = program("victoria-metrics", get_it="apt-get install victoria-metrics")
    with tempfile.TemporaryDirectory(prefix="victoria-metrics-") as folder, socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        held.close()
        scrapes = pathlib.Path(folder) / "scrape.yml"
        scrapes.write_text(yaml.safe_dump(_scraping(exporters_url, interval_s)))
        process = await asyncio.create_subprocess_exec(
            path,
            f"-storageDataPath={folder}/data",
            f"-httpListenAddr={address}",
            f"-promscrape.config={scrapes}",
            f"-promscrape.httpSDCheckInterval={interval_s:g}s",
            *flags,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await _ready(f"http://{address}")
            yield f"http://{address}"
        finally:
            process.terminate()
            await process.wait()


def _scraping(exporters_url: str, interval_s: float) -> dict[str, object]:
    document = configuration(exporters_url, interval_s=interval_s)
    for job in document["scrape_configs"]:
        for found in job["http_sd_configs"]:
            del found["refresh_interval"]  # a flag, here
    return document


async def _ready(url: str) -> None:
    async with asyncio.timeout(_START_S), aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/health") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.1)
