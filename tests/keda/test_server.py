"""The server's life: TLS and its renewal, health, reflection, and the order of a drain."""

import asyncio
import contextlib
import dataclasses
import pathlib
import subprocess

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from scaler.errors import ConfigurationError
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from scaler.keda.certificates import Tls
from scaler.keda.server import SERVICES
from tests.certificates import authority, certificate
from tests.keda.conftest import OPTIONS, ref, serve

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def files(tmp_path: pathlib.Path) -> pathlib.Path:
    authority(tmp_path)
    certificate(tmp_path, "server", 1)
    certificate(tmp_path, "client", 2)
    return tmp_path


def tls(files: pathlib.Path, *, mutual: bool = False) -> Tls:
    return Tls(
        certificate=files / "server.crt",
        key=files / "server.key",
        client_ca=files / "ca.crt" if mutual else None,
    )


@contextlib.asynccontextmanager
async def client(files: pathlib.Path, port: int, *, shown: bool = False):
    """Yield a stub over TLS; with ``shown`` it has a certificate of its own."""
    own = [(files / f"client.{end}").read_bytes() if shown else None for end in ("key", "crt")]
    credentials = grpc.ssl_channel_credentials((files / "ca.crt").read_bytes(), *own)
    channel = grpc.aio.secure_channel(
        f"localhost:{port}", credentials, options=[("grpc.use_local_subchannel_pool", 1)]
    )
    try:
        yield ExternalScalerStub(channel)
    finally:
        await channel.close(grace=None)


def with_tls(made: Tls):
    return dataclasses.replace(OPTIONS, tls=made)


async def test_tls(files):
    async with serve(options=with_tls(tls(files))) as bench, client(files, bench.port) as stub:
        assert (await stub.GetMetricSpec(ref())).metricSpecs


async def test_mutual_tls_refuses_a_client_without_a_certificate(files):
    async with serve(options=with_tls(tls(files, mutual=True))) as bench:
        async with client(files, bench.port, shown=True) as stub:
            assert (await stub.GetMetricSpec(ref())).metricSpecs
        async with client(files, bench.port) as stub:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetMetricSpec(ref(), timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def shown_serial(files: pathlib.Path, port: int) -> str:
    """Return the serial of the certificate that the server shows now."""
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "h2"],
        input=b"",
        capture_output=True,
        check=False,
        timeout=10,
    )
    printed = subprocess.run(
        ["openssl", "x509", "-noout", "-serial"],
        input=shown.stdout,
        capture_output=True,
        check=True,
    )
    return printed.stdout.decode().strip()


async def test_a_renewed_certificate_counts_from_the_next_connection(files):
    async with serve(options=with_tls(tls(files))) as bench:
        assert await asyncio.to_thread(shown_serial, files, bench.port) == "serial=01"
        certificate(files, "server", 7)
        assert await asyncio.to_thread(shown_serial, files, bench.port) == "serial=07"


async def test_a_renewal_drops_no_stream(files):
    async with serve(options=with_tls(tls(files))) as bench, client(files, bench.port) as stub:
        bench.runs("prod/llm", 2)
        stream = aiter(stub.StreamIsActive(ref()))
        assert (await anext(stream)).result is True
        certificate(files, "server", 7)
        assert await asyncio.to_thread(shown_serial, files, bench.port) == "serial=07"
        bench.runs("prod/llm", 0)
        await bench.tick()
        assert (await anext(stream)).result is False


async def test_half_a_renewal_does_no_harm(files):
    async with serve(options=with_tls(tls(files))) as bench:
        (files / "server.crt").unlink()
        async with client(files, bench.port) as stub:
            assert (await stub.GetMetricSpec(ref())).metricSpecs


async def test_a_missing_tls_file_is_named(files):
    (files / "server.key").unlink()
    with pytest.raises(
        ConfigurationError, match=r"tls_key_file: cannot be read: .*server.key \(No such"
    ):
        async with serve(options=with_tls(tls(files))):
            pass


async def test_a_key_of_another_certificate_is_not_taken_for_a_port_that_is_taken(files):
    (files / "server.key").write_bytes((files / "client.key").read_bytes())
    with pytest.raises(ConfigurationError, match=r"tls_key_file: .*server.key: the key of an"):
        async with serve(options=with_tls(tls(files))):
            pass


async def test_a_renewal_that_fails_leaves_the_old_certificate_and_the_next_one_counts(files):
    options = dataclasses.replace(with_tls(tls(files)), look_every_s=0.01)
    async with serve(options=options) as bench:
        looking = asyncio.create_task(bench.server.keep_certificate())
        (files / "server.key").write_bytes((files / "client.key").read_bytes())
        assert await asyncio.to_thread(shown_serial, files, bench.port) == "serial=01"
        certificate(files, "server", 7)
        assert await asyncio.to_thread(shown_serial, files, bench.port) == "serial=07"
        looking.cancel()


async def test_health_is_told_per_service(bench):
    stub = health_pb2_grpc.HealthStub(bench.channel)

    async def told(service: str) -> int:
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        return int(answer.status)

    assert await told("") == SERVING
    assert {await told(service) for service in SERVICES} == {NOT_SERVING}
    await bench.server.serving()
    assert {await told(service) for service in SERVICES} == {SERVING}


async def test_reflection_lists_the_services(bench):
    stub = reflection_pb2_grpc.ServerReflectionStub(bench.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = [one async for one in stub.ServerReflectionInfo(iter([request]))]
    names = {service.name for service in answer.list_services_response.service}
    assert {*SERVICES, "grpc.health.v1.Health"} <= names
    assert {"externalscaler.ExternalScaler", "kvtide.v1.Lending", "kvtide.v1.Scaling"} == {
        *SERVICES
    }


async def test_a_drain_takes_readiness_first_while_answers_go_on():
    async with serve(options=dataclasses.replace(OPTIONS, drain_delay_s=0.3)) as bench:
        bench.runs("prod/llm", 3)
        await bench.server.serving()
        stream = bench.scaler.StreamIsActive(ref())
        await anext(aiter(stream))
        health = health_pb2_grpc.HealthStub(bench.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICES[0]))
        assert (await anext(aiter(watch))).status == SERVING

        draining = asyncio.create_task(bench.server.drain())
        assert (await anext(aiter(watch))).status == NOT_SERVING
        assert await bench.count(ref()) == 3
        assert not stream.done()

        assert [one async for one in stream] == []
        assert await stream.code() is grpc.StatusCode.OK
        await draining
        with pytest.raises(grpc.aio.AioRpcError):
            await bench.count(ref())
