"""The exporters, over real HTTP."""

import aiohttp
import pytest

from scaler.lab.exporters import Exporters
from scaler.lab.gpus import GpuModel, Gpus


@pytest.fixture
async def exporters(world):
    gpus = Gpus(world, GpuModel())
    exporters = Exporters(world, gpus, hpas=lambda: (), started_s=lambda: 0.0)
    await exporters.start()
    yield exporters
    await exporters.stop()


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


async def status(session, url):
    async with session.get(url) as response:
        return response.status


async def test_a_pod_answers_only_while_it_serves(world, exporters, session):
    world.set_replicas("chat", 1)
    (pod,) = world.fleets["chat"].replicas
    url = f"{exporters.url}/pods/online/{pod}/metrics"
    assert await status(session, url) == 503
    world.advance(30.0)
    assert await status(session, url) == 200
    world.set_replicas("chat", 0)
    world.advance(300.0)
    assert await status(session, url) == 404


async def test_discovery_names_each_scheduled_pod_and_where_to_find_it(world, exporters, session):
    world.start_ready("chat", 6)
    async with session.get(f"{exporters.url}/sd/engines") as response:
        groups = await response.json()
    assert len(groups) == 4
    for group in groups:
        labels = group["labels"]
        assert labels["namespace"] == "online"
        (address,) = group["targets"]
        assert await status(session, f"http://{address}{labels['__metrics_path__']}") == 200


async def test_every_endpoint_of_a_cluster_at_work_answers(world, exporters, session):
    world.start_ready("chat", 2)
    world.advance(5.0)
    endpoints = exporters.endpoints()
    jobs = {endpoint.job for endpoint in endpoints}
    assert jobs == {"engines", "dcgm", "kube-state-metrics", "gateway"}
    for endpoint in endpoints:
        async with session.get(exporters.url + endpoint.path) as response:
            assert response.status == 200
            assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
