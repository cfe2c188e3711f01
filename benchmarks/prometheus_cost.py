"""
What a Prometheus pays: read by kvtide for all workloads, or asked by KEDA for each.

    .venv/bin/python -m benchmarks.prometheus_cost --workloads 100

A real Prometheus holds the pages of simulated vLLM fleets and of their cluster. kvtide reads it as
the server does, a round every two seconds. KEDA's own prometheus scaler sends one query for each
trigger and look: at each poll, and at each of the HPA's syncs, 15 s apart (scale_handler.go and
prometheus_scaler.go of KEDA 2.20). Processor time is the server's own, by /proc, so that what else
runs on the machine matters little; kvtide's first reading, the whole lookback, is told apart.
"""

import argparse
import asyncio
import concurrent.futures
import contextlib
import os
import pathlib
import random
import re
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import requests

from scaler.configuration import PrometheusServer
from scaler.decision.compose import lookback_s
from scaler.decision.policy import InferencePolicy
from scaler.lab.cluster_page import cluster_page
from scaler.lab.vllm_page import vllm_page
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.prometheus_source import PrometheusSource
from scaler.simulation.cluster import Cluster
from scaler.simulation.presets import one_fleet
from scaler.simulation.score import Outcomes, Slo
from scaler.simulation.traffic import Lengths, Rate, sampled
from scaler.source import Workload
from scaler.tracing import Attribute, Tracer

from . import remote_write
from .recorded_week import END_S, prometheus

TICK_S = 2.0
"""Between two rounds of ``kvtide serve``."""
SYNC_S = 15.0
"""Between two syncs of an HPA (kube-controller-manager's default)."""
SCRAPE_S = 15.0
ROUNDS = 150
"""Five minutes: what is read that seldom has its share."""
PODS = 2
_NAMESPACES = 20
_IN_LABELS = re.compile(r'(?<=")llm')
_POD = re.compile(r'pod="([^"]*)"')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--workloads", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "data"
        with prometheus(data, "--web.enable-remote-write-receiver") as url:
            _write(options.workloads, url)
            _compare(url, options.workloads)


def _compare(url: str, count: int) -> None:
    server = _server_of(url)
    counted = _Counting()
    first, steady, queries = asyncio.run(_read(url, count, server, counted))
    each_s = _asked(url, count, server)
    a_minute = 60 / (ROUNDS * TICK_S)
    ours = steady * a_minute
    print(f"{count} workloads of {PODS} pods, scraped every {SCRAPE_S:g} s")
    print(f"kvtide: {first:.2f} s of the server's processor time to begin with, then")
    print(f"  {queries * a_minute:.0f} queries and {ours:.2f} s a minute", end="")
    print(f", {counted.series * a_minute:.0f} series in the answers")
    for polling_s in (5.0, 30.0):
        asked = count * 60 * (1 / polling_s + 1 / SYNC_S)
        theirs = asked * each_s
        print(f"KEDA's prometheus trigger, pollingInterval {polling_s:g}:")
        print(f"  {asked:.0f} queries and {theirs:.2f} s a minute, {theirs / ours:.1f} x")


class _Counting(Tracer):
    """Counts the series of the answers, as each query's span tells them."""

    series = 0

    @contextlib.contextmanager
    def span(
        self,
        name: str,
        **more: Any,  # noqa: ANN401 -- those of its base
    ) -> Iterator[dict[str, Attribute]]:
        with super().span(name, **more) as told:
            yield told
        self.series += int(told.get("db.response.returned_rows", 0))


async def _read(url: str, count: int, server: int, counted: _Counting) -> tuple[float, float, int]:
    """Return the server's seconds for the first round and for the next ones, and their queries."""
    source = PrometheusSource(
        PrometheusServer(url=url, timeout_s=60.0), profiles=shipped_profiles(), tracer=counted
    )
    workloads = [
        Workload(namespace=_namespace(n), scaled_object=_name(n), kind="Deployment", name=_name(n))
        for n in range(count)
    ]
    back_s = lookback_s(InferencePolicy())
    begin_s = END_S - ROUNDS * TICK_S
    before = _spent_s(server)
    await source.refresh(workloads, back_s, begin_s)
    if not source.window(workloads[0], back_s, begin_s).latest.replicas:
        raise SystemExit("nothing was read")
    first, asked = _spent_s(server), _queries(url)
    counted.series = 0
    for number in range(1, ROUNDS + 1):
        await source.refresh(workloads, back_s, begin_s + number * TICK_S)
    steady = _spent_s(server) - first
    await source.close()
    return first - before, steady, _queries(url) - asked


def _asked(url: str, count: int, server: int) -> float:
    """Return the server's seconds for one query of KEDA's."""
    total = 20 * count

    def ask(number: int) -> None:
        name = _name(number % count)
        where = f'{{namespace="{_namespace(number % count)}",pod=~"{name}-.*"}}'
        query = f"sum(vllm:num_requests_running{where}) + sum(vllm:num_requests_waiting{where})"
        at_s = str(END_S - number % 60)
        reply = requests.get(
            f"{url}/api/v1/query", params={"query": query, "time": at_s}, timeout=30
        )
        if len(reply.json()["data"]["result"]) != 1:
            raise SystemExit(f"{query} found nothing")

    before = _spent_s(server)
    with concurrent.futures.ThreadPoolExecutor(4) as several:
        list(several.map(ask, range(total)))
    return (_spent_s(server) - before) / total


def _queries(url: str) -> int:
    page = requests.get(f"{url}/metrics", timeout=30).text
    found = re.findall(
        r'^prometheus_http_requests_total\{.*handler="/api/v1/query"\} (\S+)', page, re.MULTILINE
    )
    return int(sum(map(float, found)))


def _server_of(url: str) -> int:
    """Return the process that serves an address, of those this one started."""
    listens = url.removeprefix("http://")
    for stat in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        if f"--web.listen-address={listens}" in stat.read_text(encoding="utf-8").split("\0"):
            return int(stat.parent.name)
    raise SystemExit(f"no process listens on {listens}")


def _spent_s(process: int) -> float:
    after_name = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def _name(number: int) -> str:
    return f"m{number:04d}"


def _namespace(number: int) -> str:
    return f"ns-{number % _NAMESPACES}"


def _write(count: int, url: str) -> None:
    """
    Write the pages of one fleet as those of many, each under names of its own.

    Each pod is scraped at an instant of its own within the interval, as Prometheus does it.
    """
    series: dict[str, list[tuple[float, float]]] = {}
    for line, value, at_s in _scrapes():
        series.setdefault(line, []).append((at_s, float(value)))
    phased = {
        (line, phase): remote_write.samples(points, later_s=phase)
        for line, points in series.items()
        for phase in (range(int(SCRAPE_S)) if 'job="engines"' in line or "vllm:" in line else (0,))
    }
    for number in range(count):
        named = {}
        for line, phase in _phases(series, number):
            name = _IN_LABELS.sub(_name(number), line).replace("default", _namespace(number))
            named[name] = phased[line, phase]
        remote_write.send(url, named)


def _phases(lines: Iterable[str], number: int) -> Iterator[tuple[str, int]]:
    """Yield by how many seconds a workload's series are scraped after the cluster's."""
    for line in lines:
        pod = _POD.search(line) if "kube_" not in line else None
        # A pod's series are scraped at once.
        spread = random.Random(f"{number} {pod[1]}") if pod else None
        yield line, spread.randrange(int(SCRAPE_S)) if spread else 0


def _scrapes() -> Iterator[tuple[str, str, float]]:
    """Yield series, value and time of every scrape of a fleet that serves."""
    span_s = lookback_s(InferencePolicy()) + 600.0
    world = Cluster(one_fleet(gpus=PODS, seed=1), Outcomes(Slo()))
    world.start_ready("llm", PODS)
    rate = Rate(
        start_s=0.0,
        end_s=span_s,
        per_s=8.0,
        prompt=Lengths(mean_tokens=1000, sigma=1.0),
        output=Lengths(mean_tokens=200, sigma=1.0),
    )
    world.feed("llm", sampled([rate], 1))
    for number in range(1, int(span_s / SCRAPE_S) + 1):
        world.advance(number * SCRAPE_S)
        at_s = END_S - span_s + number * SCRAPE_S
        for name, replica in world.fleets["llm"].replicas.items():
            target = f'namespace="default",pod="{name}",'
            yield f'up{{{target}job="engines"}}', "1", at_s
            for line in _lines(vllm_page(replica, world.now_s)):
                series, _, value = line.rpartition(" ")
                yield series.replace("{", "{" + target, 1), value, at_s
        for line in _lines(cluster_page(world, (), started_s=END_S - span_s)):
            series, _, value = line.rpartition(" ")
            if "node" not in series.partition("{")[0]:
                yield series, value, at_s


def _lines(page: str) -> Iterator[str]:
    return (line for line in page.splitlines() if line and not line.startswith("#"))


if __name__ == "__main__":
    main()
