"""
A Prometheus that remembers a week nobody waited for: a simulated fleet's pages as TSDB blocks.

A fleet on the week of azure2024_code (rates of a public trace, requests sampled from them) with a
count that follows the trace's own ten minutes, scraped as a Prometheus would: the engines' pages,
the cluster's, and a gateway's counter of arrivals. The same seed gives the same blocks.
"""

import contextlib
import dataclasses
import math
import pathlib
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping

from scaler.decision.policy import StepCost
from scaler.lab.cluster_page import cluster_page
from scaler.lab.vllm_page import vllm_page
from scaler.readings.traces import open_trace
from scaler.simulation.baselines.catalog import SAFE_RHO
from scaler.simulation.cluster import Cluster
from scaler.simulation.fleet import Phase
from scaler.simulation.presets import ENGINE_8B_H100, one_fleet
from scaler.simulation.score import Outcomes, Slo
from scaler.simulation.traffic import Lengths, Rate, sampled

from .policy_traces import folder

TRACE = "azure2024_code_1week_10min_digitized.csv.gz"
END_S = 1_800_000_000
"""Unix time at which the recorded week ends."""
DAY_S = 86_400.0
WEEK_S = 7 * DAY_S
SHARE = 0.05
"""Of the trace's requests, on a replica six times slower than an H100: as many replicas, fewer
requests to play."""
SLOW = 6.0
ARRIVALS = "gateway_requests_total"
_OUTPUT = Lengths(mean_tokens=28, sigma=1.2, most_tokens=1000)
_TARGET = 0.6
_KEPT = re.compile(
    r"vllm:(num_requests|kv_cache|engine_sleep|num_preempt|prompt_tokens|generation_tokens"
    r"|request_success|cache_config|request_(prompt|generation)_tokens_bucket"
    r"|(iteration_tokens_total|time_to_first|inter_token|e2e_request)\w*_(sum|count)\{)"
    r"|kube_(deployment|pod|replicaset)"
)
"""What kvtide reads of the pages, and some beside it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What to record: seconds between scrapes, and the days before :data:`END_S`."""

    days: float = 7.0
    scrape_s: float = 15.0
    seed: int = 1

    @property
    def begin_s(self) -> float:
        """Unix time of the first scrape."""
        return END_S - self.days * DAY_S


def blocks(recording: Recording, data: pathlib.Path) -> None:
    """Write the week as blocks into a Prometheus' data folder, a day at a time."""
    tool = shutil.which("promtool") or "promtool"
    for number, day in enumerate(_days(recording)):
        text = data.parent / f"day-{number}.txt"
        with text.open("w", encoding="utf-8") as out:
            for series, lines in sorted(day.items()):
                out.writelines(f"{series} {line}\n" for line in lines)
            out.write("# EOF\n")
        command = [tool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        text.unlink()


@contextlib.contextmanager
def prometheus(data: pathlib.Path, *more: str) -> Iterator[str]:
    """Run a Prometheus on a data folder that scrapes nothing; ``more`` are flags of it."""
    config = data.parent / "prometheus.yml"
    config.write_text("global: {scrape_interval: 15s}\n", encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    flags = (
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address={address}",
        "--storage.tsdb.retention.time=20y",
        *more,
    )
    server = subprocess.Popen(  # noqa: S603
        [shutil.which("prometheus") or "prometheus", *flags], stderr=subprocess.DEVNULL
    )
    try:
        _wait(f"http://{address}/-/ready")
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait(url: str) -> None:
    for _ in range(300):
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(url):  # noqa: S310
            return
        time.sleep(0.1)
    raise TimeoutError(url)


def _days(recording: Recording) -> Iterator[Mapping[str, list[str]]]:
    """Play the fleet; yield each day's series, with a line for each of their scrapes."""
    rates = list(_rates(recording))
    cost = ENGINE_8B_H100.step_cost
    engine = dataclasses.replace(
        ENGINE_8B_H100,
        step_cost=StepCost(a_s=SLOW * cost.a_s, b_s=SLOW * cost.b_s, c_s=SLOW * cost.c_s),
    )
    counts = [_count(rate, engine.step_cost) for rate in rates]
    world = Cluster(one_fleet(gpus=40, engine=engine, seed=recording.seed), Outcomes(Slo()))
    world.start_ready("llm", counts[0])
    world.feed("llm", sampled(rates, recording.seed))
    day: dict[str, list[str]] = {}
    for number in range(1, math.floor(recording.days * DAY_S / recording.scrape_s) + 1):
        at_s = number * recording.scrape_s
        world.advance(at_s)
        world.set_replicas("llm", counts[min(len(counts) - 1, int(at_s // 600))])
        for series, value in _scrape(world, recording.begin_s):
            day.setdefault(series, []).append(f"{value} {recording.begin_s + at_s:.3f}")
        if number % round(DAY_S / recording.scrape_s) == 0:
            yield day
            day = {}
    if day:
        yield day


def _rates(recording: Recording) -> Iterator[Rate]:
    """Return the last days of the week of the trace, from zero on."""
    from_s = WEEK_S - recording.days * DAY_S
    for rate in open_trace(folder() / TRACE).rates():
        if rate.start_s >= from_s:
            yield Rate(
                start_s=rate.start_s - from_s,
                end_s=rate.end_s - from_s,
                per_s=SHARE * rate.per_s,
                prompt=Lengths(mean_tokens=rate.prompt_tokens_mean or 2540.0, sigma=0.9),
                output=_OUTPUT,
                cv=4.0,
            )


def _count(rate: Rate, cost: StepCost) -> int:
    request_s = rate.prompt.mean_tokens * cost.c_s + rate.output.mean_tokens * cost.b_s
    return max(1, math.ceil(rate.per_s * request_s / (_TARGET * SAFE_RHO)))


def _scrape(world: Cluster, started_s: float) -> Iterator[tuple[str, str]]:
    """Yield every series that is kept, with its value now."""
    fleet = world.fleets["llm"]
    for name, pod in fleet.replicas.items():
        if pod.phase in (Phase.READY, Phase.DRAINING):
            target = f'namespace="default",pod="{name}",'
            yield f'up{{{target}job="engines"}}', "1"
            for series, value in _lines(vllm_page(pod, world.now_s)):
                yield series.replace("{", "{" + target, 1), value
    yield from _lines(cluster_page(world, (), started_s=started_s))
    yield f'{ARRIVALS}{{namespace="default",workload="llm"}}', str(fleet.gateway.arrived_total)


def _lines(page: str) -> Iterator[tuple[str, str]]:
    for line in page.splitlines():
        if _KEPT.match(line):
            series, _, value = line.rpartition(" ")
            yield series, value
