"""A real Prometheus over the exporters, found by service discovery."""

import aiohttp
import pytest
import yaml

from scaler.errors import ConfigurationError
from scaler.lab.exporters import Exporters
from scaler.lab.gpus import GpuModel, Gpus
from scaler.lab.prometheus import Prometheus, configuration
from tests.programs import program


@pytest.fixture
async def exporters(world):
    exporters = Exporters(world, Gpus(world, GpuModel()), hpas=lambda: (), started_s=lambda: 1.8e9)
    await exporters.start()
    yield exporters
    await exporters.stop()


async def ask(url, query):
    """Return the labels and values of an instant query."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/api/v1/query", params={"query": query}) as response,
    ):
        result = (await response.json())["data"]["result"]
    return [(row["metric"], float(row["value"][1])) for row in result]


@pytest.mark.prometheus
async def test_prometheus_finds_every_page_and_gives_series_their_pods(world, exporters):
    prometheus = Prometheus(program("prometheus", get_it="make system installs it"))
    world.start_ready("chat", 2)
    world.advance(5.0)
    try:
        url = await prometheus.start(exporters.url, interval_s=0.5)
        await prometheus.scraped()
        running = await ask(url, "vllm:num_requests_running")
        assert {labels["pod"] for labels, _ in running} <= set(world.fleets["chat"].replicas)
        assert {labels["namespace"] for labels, _ in running} == {"online"}
        (spec,) = [
            value
            for labels, value in await ask(url, "kube_deployment_spec_replicas")
            if (labels["namespace"], labels["deployment"]) == ("online", "chat")
        ]
        assert spec == 2
    finally:
        await prometheus.stop()


def test_the_configuration_scrapes_at_the_stated_interval():
    text = yaml.safe_dump(configuration("http://127.0.0.1:9100", interval_s=1.0))
    assert "scrape_interval: 1000ms" in text
    assert text.count("http_sd_configs") == 5


async def test_a_prometheus_that_does_not_come_up_is_told_with_its_last_line(tmp_path):
    broken = tmp_path / "prometheus"
    broken.write_text("#!/bin/sh\necho the disk is full >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(ConfigurationError, match="the disk is full"):
        await Prometheus(str(broken)).start("http://127.0.0.1:1", interval_s=1.0)
