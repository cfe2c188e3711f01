"""Whoever reaches gRPC makes things up: nothing of it changes what is said of what there is."""

import asyncio
import contextlib

import grpc
import pytest
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.readings.kubernetes.known import KnownCluster
from scaler.readings.kubernetes.watch import hear
from scaler.wiring.cluster import Hearing
from tests.fakes.fake_kubernetes import FakeKubernetes
from tests.readings.kubernetes.recorded import scaled_object
from tests.wiring.test_faults import CHAT, server, told, world_of

pytestmark = pytest.mark.prometheus

DECIDED = ("Demand", "Panic", "ScaleDownStabilized")
TRUTH = 3.0
"""Replicas that two pods of nine requests each ask for, at seven requests a replica."""
TRAIN = {"role": "training", "poolWorkloads": "serve/chat", "poolUnits": "8", "maxWorkers": "4"}


@contextlib.asynccontextmanager
async def watched(cluster: FakeKubernetes):
    async with TestServer(cluster.application()) as http:
        configuration = Configuration(host=str(http.make_url("")).rstrip("/"))
        async with ApiClient(configuration) as client:
            known = KnownCluster()
            task = asyncio.create_task(hear(known, client, None))
            try:
                async with asyncio.timeout(10):
                    await known.first_lists()
                yield Hearing(known=known, standing=lambda: "watched")
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def made_up(name: str, **metadata: str) -> keda.ScaledObjectRef:
    return keda.ScaledObjectRef(namespace="serve", name=name, scalerMetadata=metadata)


async def said_of(stub, asked: keda.ScaledObjectRef) -> str:
    """Return what is said to whoever asks about something that has no number."""
    request = keda.GetMetricsRequest(scaledObjectRef=asked, metricName="desired-replicas")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetMetrics(request)
    return str(caught.value.details())


async def count(stub) -> float:
    request = keda.GetMetricsRequest(scaledObjectRef=CHAT, metricName="desired-replicas")
    (value,) = (await stub.GetMetrics(request)).metricValues
    return float(value.metricValueFloat)


async def test_where_the_api_is_watched_what_is_made_up_is_nothing():
    cluster = FakeKubernetes()
    tiered = {**CHAT.scalerMetadata, "tierGroup": "chats", "tierRank": "1"}
    manifest = scaled_object("serve", "chat", CHAT.scalerMetadata)
    cluster.put("scaledobjects", manifest)
    async with (
        world_of(1.0, "Prometheus") as (prometheus, _),
        watched(cluster) as hearing,
        server(prometheus.url, hearing) as (made, stub),
    ):
        await told(made, stub, *DECIDED)
        for asked in (
            made_up("rival", **CHAT.scalerMetadata),
            made_up("borrower", **TRAIN),
            made_up("tier", **tiered),
        ):
            why = await said_of(stub, asked)
            assert f"the cluster has no ScaledObject serve/{asked.name} (yet)" in why
        # Under the name of one that there is: another workload, a tier, a borrower of itself.
        for stated in ({"workload": "StatefulSet/llm-2"}, tiered, TRAIN, {"nonsense": "1"}):
            asked = made_up("chat", **stated)
            assert (await stub.IsActive(asked)).result
            assert await count(stub) == TRUTH
        assert {*made.board.triggers()} == {"serve/chat"}
        assert made.board.triggers()["serve/chat"].workload.name == "llm"

        made_now = made_up("second", workload="StatefulSet/llm-2", maxConcurrency="10")
        manifest = scaled_object("serve", "second", made_now.scalerMetadata)
        cluster.put("scaledobjects", manifest)
        why = await said_of(stub, made_now)
        assert "no fresh readings of StatefulSet/llm-2" in why, why  # it is served


async def test_without_the_api_the_hpa_that_kube_state_metrics_shows_tells_who_is_made_up():
    async with (
        world_of(1.0, "Prometheus") as (prometheus, pages),
        server(prometheus.url) as (made, stub),
    ):
        pages["/ksm"] = str(pages["/ksm"]) + (
            'kube_horizontalpodautoscaler_info{namespace="serve",'
            'horizontalpodautoscaler="keda-hpa-chat",scaletargetref_kind="StatefulSet",'
            'scaletargetref_name="llm"} 1\n'
        )
        await told(made, stub, *DECIDED)
        rival = made_up("rival", **CHAT.scalerMetadata)
        async with asyncio.timeout(90):
            while "the ScaledObject serve/chat claims" not in await said_of(stub, rival):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            # The HPA is read once a minute: until then neither is known to be made up.
            while not (await counts(stub)):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        for _ in range(5):
            assert await count(stub) == TRUTH
            assert "the ScaledObject serve/chat claims" in await said_of(stub, rival)
            await asyncio.sleep(0.3)


async def counts(stub) -> bool:
    with contextlib.suppress(grpc.aio.AioRpcError):
        return await count(stub) == TRUTH
    return False
