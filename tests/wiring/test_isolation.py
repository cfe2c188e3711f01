"""What a tenant may reach, seen from the tenant's side: over gRPC, with servers that take notes."""

import contextlib
import functools

import grpc
import pytest

from scaler.configuration import Configuration, PrometheusServer
from scaler.documents.trigger import parse_trigger
from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.settings import settings
from scaler.wiring.serving import serving
from scaler.wiring.sources import prometheus
from tests.fakes.fake_prometheus import fake_prometheus

SETTINGS = settings(
    flags={"grpc_address": "127.0.0.1:0", "http_address": "127.0.0.1:0"},
    file={"drainDelay": "0s", "tick": "0.2s", "kubernetes": "off"},
)
TRAIN = {"role": "training", "poolUnits": "8", "maxWorkers": "4"}


@contextlib.asynccontextmanager
async def tenants(**permitted):
    """Yield a scaler and its servers: ``vault`` for the namespace llm, ``common`` for all."""
    async with fake_prometheus() as vault, fake_prometheus() as common:
        configuration = Configuration(
            prometheus={
                "vault": PrometheusServer(url=vault.url, namespaces=("llm",)),
                "common": PrometheusServer(url=common.url),
            },
            **permitted,
        )
        parse = functools.partial(parse_trigger, configuration=configuration)
        async with (
            prometheus(configuration) as source,
            serving(SETTINGS, source=source, parse=parse) as made,
            grpc.aio.insecure_channel(f"127.0.0.1:{made.grpc_port}") as channel,
        ):
            yield ExternalScalerStub(channel), vault, common


async def refused(stub, namespace: str, **metadata: str) -> tuple[grpc.StatusCode, str]:
    asked = keda.ScaledObjectRef(namespace=namespace, name="chat", scalerMetadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetMetrics(
            keda.GetMetricsRequest(scaledObjectRef=asked, metricName="desired-replicas")
        )
    return caught.value.code(), str(caught.value.details())


async def test_a_server_that_is_closed_to_a_namespace_is_neither_asked_nor_told_of():
    async with tenants() as (stub, vault, common):
        code, why = await refused(stub, "other", prometheus="vault")
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert why == "prometheus: got 'vault'; allowed: one of common"
        _, why = await refused(stub, "other", prometheus="nowhere")
        assert why == "prometheus: got 'nowhere'; allowed: one of common"
        _, why = await refused(stub, "other")
        assert why == "prometheus: missing; state one of common"

        code, _ = await refused(stub, "llm", prometheus="vault")
        assert code is grpc.StatusCode.UNAVAILABLE  # nothing is there to be read
        code, _ = await refused(stub, "other", prometheus="common")
        assert code is grpc.StatusCode.UNAVAILABLE
    assert any('"llm"' in query for query in vault.queries)
    assert not any("other" in query for query in vault.queries)
    assert not any('"llm"' in query for query in common.queries)


async def test_workloads_of_another_namespace_are_named_where_that_is_permitted():
    async with tenants(pool_namespaces=("web",)) as (stub, _, _):
        code, why = await refused(
            stub, "train", prometheus="common", poolWorkloads="llm/chat,web/a,train/b", **TRAIN
        )
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert why == (
            "poolWorkloads: got llm/chat; allowed: workloads of a namespace that poolNamespaces "
            "permits: train, web"
        )
        code, _ = await refused(
            stub, "train", prometheus="common", poolWorkloads="web/a,train/b", **TRAIN
        )
        assert code is grpc.StatusCode.UNAVAILABLE


async def test_without_a_word_on_it_any_workload_may_be_named_by_a_pool():
    async with tenants() as (stub, _, _):
        code, _ = await refused(
            stub, "train", prometheus="common", poolWorkloads="llm/chat", **TRAIN
        )
        assert code is grpc.StatusCode.UNAVAILABLE
