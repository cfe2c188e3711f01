"""``kvtide explain`` on a ScaledObject and a Prometheus, as a process of its own."""

import asyncio
import functools
import json
import pathlib
import sys

import pytest

from scaler.configuration import Configuration, PrometheusServer
from scaler.documents.trigger import parse_trigger
from scaler.errors import SourceError
from scaler.readings.served import served_answer
from scaler.settings import settings
from scaler.wiring import past
from scaler.wiring.serving import serving
from tests.fakes.fake_prometheus import FakePrometheus, fake_prometheus
from tests.fakes.fake_source import FakeSource
from tests.readings.worlds import NOW_S, STEP_S, busy

OBJECT = """
kind: ScaledObject
metadata: {name: llm, namespace: serve}
spec:
  scaleTargetRef: {name: llm, kind: StatefulSet}
  triggers:
  - type: external-push
    metadata:
      scalerAddress: kvtide:6000
      workload: StatefulSet/llm
      metrics: concurrency
      maxConcurrency: "4"
      scaleDownDelay: 0s
"""


@pytest.fixture
async def prometheus():
    """Yield a server that scraped a busy pod for ten minutes."""
    async with fake_prometheus() as fake:
        for age_s in range(600, -1, -int(STEP_S)):
            page = busy(running=6, waiting=0, generation_tokens_total=1e6 - age_s)
            fake.scrape(NOW_S - age_s, page, namespace="serve", pod="llm-0")
        yield fake


async def explain(
    fake: FakePrometheus, folder: pathlib.Path, *more: str, text: str = OBJECT
) -> tuple[int, str, str]:
    manifest = folder / "llm.yaml"
    manifest.write_text(text, encoding="utf-8")
    flags = ["--scaled-object", str(manifest), "--prometheus", fake.url, *more]
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scaler", "explain", *flags, stdout=-1, stderr=-1
    )
    out, err = await run.communicate()
    return run.returncode or 0, out.decode(), err.decode()


async def test_a_decision_is_explained_from_what_prometheus_knew_then(prometheus, tmp_path):
    status, out, err = await explain(prometheus, tmp_path, "--at", str(NOW_S), "--json")

    answer = json.loads(out)
    assert (status, err) == (0, "")
    assert (answer["object"], answer["role"]) == ("serve/llm", "inference")
    assert answer["decision"]["at_s"] == NOW_S
    assert answer["decision"]["load"] == pytest.approx(6 / 4)
    assert answer["decision"]["steps"][0]["replicas"] == 3


async def test_silence_is_told_and_is_no_decision(prometheus, tmp_path):
    later = str(NOW_S + 3600)

    status, out, err = await explain(prometheus, tmp_path, "--at", later)

    assert status == 1
    assert out.startswith("serve/llm: hold what is\n")
    assert "Traceback" not in err


async def test_wrong_metadata_is_named_with_its_object(prometheus, tmp_path):
    wrong = OBJECT.replace("maxConcurrency", "maxConcurency")

    status, out, err = await explain(prometheus, tmp_path, text=wrong)

    assert (status, out) == (2, "")
    assert err == (
        "serve/llm: spec.triggers.metadata.maxConcurency: unknown key; "
        "did you mean maxConcurrency?\n"
    )


SETTINGS = settings(
    flags={"grpc_address": "127.0.0.1:0", "http_address": "127.0.0.1:0"},
    file={"tick": "1m", "drainDelay": "0s"},
)


async def test_a_server_is_asked_as_of_a_past_time(prometheus, tmp_path):
    configuration = Configuration(prometheus={"default": PrometheusServer(url=prometheus.url)})
    then = functools.partial(past.explain, configuration=configuration)
    parse = functools.partial(parse_trigger, configuration=configuration)
    source = FakeSource()
    async with serving(SETTINGS, source=source, parse=parse, past=then) as made:
        metadata = {"workload": "StatefulSet/llm", "metrics": "concurrency", "maxConcurrency": "4"}
        await made.board.latest("serve", "llm", metadata)
        address = f"http://127.0.0.1:{made.http_port}"
        answer = await asyncio.to_thread(served_answer, address, "serve/llm", NOW_S)
        with pytest.raises(SourceError, match="no past time"):
            await asyncio.to_thread(served_answer, address, "serve/llm", 1e10)

    assert answer["decision"]["at_s"] == NOW_S
    assert answer["decision"]["load"] == pytest.approx(6 / 4)
