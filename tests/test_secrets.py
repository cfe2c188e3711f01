"""
Secrets planted wherever a configuration may have one, and every output searched for them.

The server that is asked gives back all it was sent, in each way that it can fail.
"""

import asyncio
import base64
import contextlib
import json
import pathlib
import sys
import urllib.parse
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import web

from scaler.keda._pb import externalscaler_pb2 as keda
from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from tests.test_serve_command import CHAT, METADATA

HEADER, PARAM = "hdr-Gq7Zt/xW+k", "prm-4Tm9 bQ&s"
TOKEN, SECOND = "tok-Vn3Rc8LpEe", "tok-2ndLineYyHh"
USER, PASSWORD = "usr-Ad5Kq", "pwd-J1'x\"Zo0%"
PLANTED = (HEADER, PARAM, TOKEN, SECOND, USER, PASSWORD)
OBJECT = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "chat", "namespace": "serve"},
    "spec": {
        "scaleTargetRef": {"name": "llm", "kind": "StatefulSet"},
        "triggers": [{"type": "external-push", "metadata": METADATA}],
    },
}


def leaks(text: str) -> list[str]:
    """Return the planted secrets that are in a text, however they are spelled."""
    spelled = {
        form: secret
        for secret in PLANTED
        for form in (
            secret,
            repr(secret)[1:-1],
            json.dumps(secret)[1:-1],
            urllib.parse.quote(secret, safe=""),
            urllib.parse.quote_plus(secret),
        )
    }
    for user in (USER, "me"):
        for password in (PASSWORD, TOKEN):
            spelled[base64.b64encode(f"{user}:{password}".encode()).decode()] = password
    return sorted({secret for form, secret in spelled.items() if form in text})


def server(url: str, folder: pathlib.Path, way: str) -> dict[str, object]:
    """Return a server of the configuration that is shown secrets in one way."""
    stated: dict[str, object] = {"url": url, "headers": {"X-Key": HEADER}, "params": {"k": PARAM}}
    (folder / "secret").write_text(TOKEN)
    if way == "bearer":
        stated["bearerTokenFile"] = str(folder / "secret")
    elif way == "basic":
        stated |= {"basicUsername": "me", "basicPasswordFile": str(folder / "secret")}
    else:
        user = f"{urllib.parse.quote(USER)}:{urllib.parse.quote(PASSWORD, safe='')}"
        stated["url"] = url.replace("://", f"://{user}@")
    return stated


async def echo(request: web.Request) -> web.Response:
    """Fail in one of several ways, and give back the request."""
    sent = {**request.headers, **{k: str(v) for k, v in (await request.post()).items()}}
    text = json.dumps(sent)
    echo.seen.append(sent)  # type: ignore[attr-defined]
    answers = [
        web.json_response({"error": text}, status=400),
        web.Response(text=f"<html>{sent}</html>"),
        web.Response(status=302, headers={"Location": f"http://me:{PASSWORD}@x/?{PARAM}=1"}),
        web.json_response({"data": {"result": []}, "warnings": [text]}),
        web.json_response({"data": {"result": [sent]}}),
        web.Response(status=500, reason=sent.get("Authorization")),
    ]
    return answers[len(echo.seen) % len(answers)]  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def echoing():
    echo.seen = []  # type: ignore[attr-defined]
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/api/v1/query", echo)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def written(folder: pathlib.Path, stated: dict[str, object]) -> pathlib.Path:
    path = folder / "kvtide.yaml"
    settings = {"drainDelay": "0s", "drainGrace": "0s", "tick": "0.2s", "logLevel": "debug"}
    path.write_text(json.dumps({"prometheus": {"default": stated}, "server": settings}))
    (folder / "object.yaml").write_text(json.dumps(OBJECT))
    return path


async def run(*arguments: str) -> str:
    """Return all that a command writes."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scaler", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 240)
    return output.decode()


@pytest.mark.parametrize("way", ["bearer", "basic", "in the address"])
async def test_no_secret_is_in_anything_that_is_said(tmp_path, way):
    async with echoing() as url:
        path = written(tmp_path, server(url, tmp_path, way))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "scaler", "serve", "--config", str(path)),
            *("--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0"),
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr
        try:
            log: list[dict[str, Any]] = []
            while not log or log[-1]["message"] != "serving":
                log.append(json.loads(await asyncio.wait_for(process.stderr.readline(), 240)))
            said = await everything_said(log[-1]["grpc"], log[-1]["http"])
            if way == "bearer":
                (tmp_path / "secret").write_text(f"{TOKEN}\n{SECOND}\n")
                said += await everything_said(log[-1]["grpc"], log[-1]["http"])
                assert "credentials" in said
                assert "bearerTokenFile" in said
                (tmp_path / "secret").write_text(TOKEN)
        finally:
            process.terminate()
            _, rest = await asyncio.wait_for(process.communicate(), 240)
        said += json.dumps(log) + rest.decode()
        said += await run(
            *("explain", "serve/chat", "--config", str(path)),
            *("--scaled-object", str(tmp_path / "object.yaml")),
        )
        said += await run("check", str(tmp_path / "object.yaml"), "--config", str(path))
    sent = json.dumps(echo.seen)  # type: ignore[attr-defined]
    assert leaks(sent)  # the server was shown them
    assert url in said
    assert "Traceback" not in said
    assert leaks(said) == []


async def everything_said(grpc_port: int, http_port: int) -> str:
    """Return what clients are told in a few rounds of failures, each of another kind."""
    said = []
    async with (
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
        aiohttp.ClientSession(f"http://127.0.0.1:{http_port}") as http,
    ):
        stub = ExternalScalerStub(channel)
        for _ in range(8):
            request = keda.GetMetricsRequest(scaledObjectRef=CHAT, metricName="desired-replicas")
            try:
                said.append(str(await stub.GetMetrics(request)))
            except grpc.aio.AioRpcError as error:
                said.append(str(error))
            for page in ("/", "/api/decisions", "/api/decisions/serve/chat", "/metrics", "/readyz"):
                async with http.get(page) as response:
                    said.append(await response.text())
            async with http.get("/api/decisions/serve/chat", params={"at": "100"}) as response:
                said.append(await response.text())
            await asyncio.sleep(0.2)
    return "\n".join(said)


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        pytest.param({"headers": {"X-Key": f"{HEADER}\n"}}, "headers.X-Key", id="a line break"),
        pytest.param({"headers": {"X-Key": f" {HEADER}"}}, "headers.X-Key", id="a space before"),
        pytest.param({"headers": HEADER}, "headers", id="no mapping"),
        pytest.param({"headers": {"X-Key": [HEADER]}}, "headers.X-Key", id="a list"),
        pytest.param({"params": HEADER}, "params", id="no mapping of parameters"),
        pytest.param({"url": f"http://{USER}:{PASSWORD}@x:port"}, "url", id="no port"),
        pytest.param({"url": f"ftp://{USER}:{TOKEN}@x"}, "url", id="no scheme"),
        pytest.param({"url": f"{USER}:{TOKEN}@x"}, "url", id="no address"),
        pytest.param({"url": f"http://x/?token={TOKEN}"}, "url", id="parameters"),
        pytest.param({"bearerToken": TOKEN}, "bearerToken", id="no such key"),
        pytest.param({"bearerTokenFile": "secret"}, "bearerTokenFile", id="two lines"),
        pytest.param(
            {"basicUsername": "me", "basicPasswordFile": "secret"}, "basicPasswordFile", id="pw"
        ),
    ],
)
async def test_a_wrong_secret_is_named_by_its_field_alone(tmp_path, monkeypatch, stated, field):
    (tmp_path / "secret").write_text(f"{TOKEN}\n{SECOND}\n")
    path = written(tmp_path, {"url": "http://127.0.0.1:9", **stated})
    monkeypatch.chdir(tmp_path)
    command = ["serve"] if "secret" in stated.values() else ["check", "object.yaml"]

    said = await run(*command, "--config", str(path))

    assert f"prometheus.default.{field}: " in said
    assert "Traceback" not in said
    assert leaks(said) == []
