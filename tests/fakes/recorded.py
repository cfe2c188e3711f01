"""
A real Prometheus that remembers a past nobody waited for: blocks made of OpenMetrics text.

The story is one StatefulSet whose open requests rise and fall, a pool that it lives on, and an
outage in which nothing was scraped.
"""

import contextlib
import math
import pathlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.programs import program

SAFE = 8
"""Requests that a replica of the story may hold."""


def story(
    path: pathlib.Path,
    *,
    begin_s: int,
    end_s: int,
    step_s: int = 15,
    day_s: int = 86_400,
    outage_s: tuple[int, int] = (0, 0),
) -> None:
    """
    Write a week (or less) of ``llm/chat``: two to six replicas, and requests that come in waves.

    Nothing is scraped in ``outage_s``.
    """
    times = [at for at in range(begin_s, end_s + 1, step_s) if not outage_s[0] <= at < outage_s[1]]

    def demand(at_s: int) -> float:
        return 12 + 10 * math.sin(2 * math.pi * (at_s - begin_s) / day_s)

    def replicas(at_s: int) -> int:
        return max(2, math.ceil(demand(at_s - 120) / SAFE / 0.7))

    with path.open("w", encoding="utf-8") as out:
        _family(out, "kube_statefulset_replicas", _SET, times, replicas)
        _family(out, "kube_statefulset_status_replicas", _SET, times, replicas)
        _family(out, "kube_statefulset_status_replicas_ready", _SET, times, replicas)
        for name, value in _ENGINE.items():
            for pod in range(6):
                up = [at for at in times if pod < replicas(at)]
                labels = f'namespace="llm",pod="chat-{pod}",engine="0",model_name="m"'
                _family(
                    out,
                    name,
                    labels,
                    up,
                    lambda at, value=value: value(at - begin_s, demand(at) / replicas(at)),
                )
        out.write("# EOF\n")


_SET = 'namespace="llm",statefulset="chat"'
_ENGINE: dict[str, Callable[[float, float], float]] = {
    "vllm:num_requests_running": lambda _, each: min(each, SAFE),
    "vllm:num_requests_waiting": lambda _, each: max(0.0, each - SAFE),
    "vllm:generation_tokens_total": lambda at_s, _: 100.0 * at_s,
    "vllm:time_to_first_token_seconds_sum": lambda at_s, _: 0.25 * at_s,
    "vllm:time_to_first_token_seconds_count": lambda at_s, _: 1.0 * at_s,
}


def _family(out, name: str, labels: str, times, value) -> None:
    out.writelines(f"{name}{{{labels}}} {value(at):g} {at}\n" for at in times)


@contextlib.contextmanager
def recorded_prometheus(folder: pathlib.Path, text: pathlib.Path) -> Iterator[str]:
    """Run a Prometheus on the blocks of a text; yield its address."""
    prometheus, tool = (
        program(name, get_it="Debian: apt-get install prometheus")
        for name in ("prometheus", "promtool")
    )
    data, config = folder / "data", folder / "prometheus.yml"
    command = [tool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
    subprocess.run(command, check=True, capture_output=True)
    config.write_text("global: {scrape_interval: 15s}\n", encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    server = subprocess.Popen(
        [
            prometheus,
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address={address}",
            "--storage.tsdb.retention.time=10y",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(f"http://{address}/-/ready", server)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if server.poll() is not None:
            pytest.fail(f"prometheus ended with {server.returncode}")
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(url, timeout=5).ok:
                return
        time.sleep(0.1)
    pytest.fail("prometheus did not get ready")
