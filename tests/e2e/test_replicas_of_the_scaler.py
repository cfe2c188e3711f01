"""Two replicas of the scaler behind one address: one is killed, nobody notices."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest

from tests.charts.helm import rendered
from tests.e2e.conftest import count_rpcs
from tests.e2e.stage import HOST, free_port, relay, scaler

pytestmark = pytest.mark.cluster

HEADLESS = "kvtide-headless.test"
"""A name of two addresses, as a headless Service's: two lines of /etc/hosts."""
ADDRESSES = ("127.0.0.2", "127.0.0.3")
KIND = "Deployment"
PROBE_S = 20.0
"""What the chart's liveness probe may take to fail a frozen process."""
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


async def test_one_of_two_behind_a_headless_name_stands_still(cluster, tmp_path, record_property):
    """KEDA's calls have no deadline: they hang until the probe's kill ends their connection."""
    skip_where_it_does_not_resolve()
    port = free_port()
    async with contextlib.AsyncExitStack() as ends:
        both, ports = [], []
        for host in ADDRESSES:
            http = free_port()
            one = scaler(
                tmp_path,
                grpc_port=port,
                http_port=http,
                prometheus_port=cluster.prometheus_port,
                host=host,
            )
            await one.start(f"http://127.0.0.1:{http}/healthz")
            ends.push_async_callback(one.stop, kill=True)
            both.append(one)
            ports.append(http)
        load = await cluster.serve("chat", replicas=1)
        load.running = 28
        address = {"scalerAddress": f"{HEADLESS}:{port}"}
        await cluster.scale("chat", metadata={**TEN, **address}, minReplicaCount=1)
        await cluster.until_replicas("chat", 3)

        clock = asyncio.get_running_loop().time
        probing = asyncio.create_task(failed_by_its_probe(f"http://127.0.0.1:{ports[0]}"))
        await asyncio.sleep(7)  # it is well by the first looks
        both[0].freeze()
        load.running = 58
        frozen_s = clock()
        await probing
        record_property("probe_s", probed_s := clock() - frozen_s)
        assert probed_s < PROBE_S
        await both[0].stop(kill=True)
        await cluster.until_replicas("chat", 6)
        record_property("gap_s", clock() - frozen_s)
        # The next sync of the HPA, after the pause with which KEDA dials anew.
        assert clock() - frozen_s < PROBE_S + 30


async def failed_by_its_probe(url):
    """Return once the chart's liveness probe, asked as a kubelet asks, has failed."""
    named = {one["metadata"]["name"]: one for one in rendered("kvtide") if one["kind"] == KIND}
    (container,) = named["release-kvtide"]["spec"]["template"]["spec"]["containers"]
    probe = container["livenessProbe"]
    limit, failures = aiohttp.ClientTimeout(total=probe["timeoutSeconds"]), 0
    clock = asyncio.get_running_loop().time
    async with aiohttp.ClientSession(timeout=limit) as session:
        while True:
            look_s = clock()
            try:
                async with session.get(url + probe["httpGet"]["path"]) as response:
                    failures = 0 if response.status == 200 else failures + 1
            except (aiohttp.ClientError, TimeoutError):
                failures += 1
            if failures == probe["failureThreshold"]:
                return
            await asyncio.sleep(max(0.0, look_s + probe["periodSeconds"] - clock()))


def skip_where_it_does_not_resolve():
    with contextlib.suppress(OSError):
        found = socket.getaddrinfo(HEADLESS, None, type=socket.SOCK_STREAM)
        if {one[4][0] for one in found} == set(ADDRESSES):
            return
    lines = " and ".join(f"{one} {HEADLESS}" for one in ADDRESSES)
    pytest.skip(f"add to /etc/hosts where KEDA runs: {lines}")


async def fewest_of(cluster):
    """Return the fewest replicas that were asked for until cancelled."""
    fewest = await cluster.replicas("chat")
    try:
        while True:
            fewest = min(fewest, await cluster.replicas("chat"))
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        return fewest
