"""Two replicas of the scaler behind one address: one is killed, nobody notices."""

import asyncio

import pytest

from tests.e2e.conftest import count_rpcs
from tests.e2e.stage import HOST, free_port, relay, scaler

pytestmark = pytest.mark.cluster

TEN = {"maxConcurrency": "10", "targetUtilization": "1"}


async def test_the_second_replica_takes_over_in_mid_poll(cluster, tmp_path, record_property):
    ports = [free_port() for _ in range(3)]
    second = scaler(
        tmp_path,
        grpc_port=ports[0],
        http_port=ports[1],
        prometheus_port=cluster.prometheus_port,
    )
    await second.start(f"http://127.0.0.1:{ports[1]}/healthz")
    try:
        async with relay(ports[2], [cluster.grpc_port, ports[0]]):
            load = await cluster.serve("chat", replicas=1)
            load.running = 28
            address = {"scalerAddress": f"{HOST}:{ports[2]}"}
            await cluster.scale("chat", metadata={**TEN, **address}, minReplicaCount=1)
            await cluster.until_replicas("chat", 3)

            fewest = asyncio.create_task(fewest_of(cluster))
            await cluster.scaler.stop(kill=True)
            load.running = 58
            record_property("taken_over_s", await cluster.until_replicas("chat", 6))
            fewest.cancel()
            assert await fewest == 3
            await count_rpcs(ports[1], record_property)
    finally:
        await second.stop()


async def fewest_of(cluster):
    """Return the fewest replicas that were asked for until cancelled."""
    fewest = await cluster.replicas("chat")
    try:
        while True:
            fewest = min(fewest, await cluster.replicas("chat"))
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        return fewest
