"""
What one tick of a source costs: merging rows, settling whose pods are whose, making windows.

    .venv/bin/python benchmarks/sources.py --workloads 1000 --pods 2 --lookback 2466

No network: the rows are what a Prometheus would answer with. Times are of this process on this
machine; memory is the resident set after the whole lookback was read.
"""

import argparse
import resource
import time

from scaler.readings.assemble import Assembly
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter, Wanted
from scaler.source import Workload

START_S = 1_000_020.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--workloads", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=2)
    parser.add_argument("--interval", type=float, default=15.0)
    parser.add_argument("--lookback", type=float, default=2466.0)
    options = parser.parse_args()
    workloads = [
        Workload(
            namespace=f"ns-{n % 50}", scaled_object=f"llm-{n}", kind="StatefulSet", name=f"llm-{n}"
        )
        for n in range(options.workloads)
    ]
    assembly = Assembly(
        profiles=shipped_profiles(),
        timing=Timing(interval_s={Exporter.ENGINE: options.interval}),
    )
    wanted = [w for w in assembly.wanted(workloads) if w.exporter is Exporter.ENGINE]
    rows = _rows(wanted, workloads, options.pods)
    steps = int(options.lookback / options.interval)
    ages = [options.interval * step for step in range(steps)]
    now_s = START_S
    print(f"{options.workloads} workloads, {options.pods} pods each, {len(rows)} series")
    times = [now_s - age for age in reversed(ages)]
    for _ in range(4):
        _tick(assembly, workloads, rows, times, lookback_s=options.lookback)
        now_s += options.interval
        times = [now_s - options.interval * step for step in range(4, -1, -1)]
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak resident memory {peak_mib:.0f} MiB")


Rows = list[tuple[Wanted, dict[str, str], int]]


def _rows(wanted: list[Wanted], workloads: list[Workload], pods: int) -> Rows:
    return [
        (one, {"__name__": one.metrics[0], **_labels(workload, pod)}, number)
        for number, workload in enumerate(workloads)
        for pod in range(pods)
        for one in wanted
    ]


def _labels(workload: Workload, pod: int) -> dict[str, str]:
    name = f"{workload.name}-{pod}"
    return {
        "namespace": workload.namespace,
        "pod": name,
        "instance": f"10.0.0.1:{pod}",
        "job": f"{workload.namespace}/{workload.name}",
        "engine": "0",
        "model_name": "m",
        "num_gpu_blocks": "1000",
    }


def _tick(
    assembly: Assembly,
    workloads: list[Workload],
    rows: Rows,
    times: list[float],
    *,
    lookback_s: float,
) -> None:
    now_s = times[-1]
    began = time.perf_counter()
    assembly.store.next_round()
    for wanted, labels, number in rows:
        assembly.take(wanted, labels, [(at_s, number + at_s % 600) for at_s in times])
    merged = time.perf_counter()
    assembly.settle(workloads)
    settled = time.perf_counter()
    for workload in workloads:
        assembly.window(workload, lookback_s, now_s)
    assembled = time.perf_counter()
    assembly.forget(now_s, lookback_s=lookback_s, history_s=0)
    print(
        f"{len(times):4d} points a series: merge {merged - began:6.2f} s, settle"
        f" {settled - merged:5.2f} s, windows {assembled - settled:6.2f} s"
        f" ({(assembled - settled) / len(workloads) * 1000:.2f} ms each),"
        f" forget {time.perf_counter() - assembled:5.2f} s"
    )


if __name__ == "__main__":
    main()
