"""
What ``kvtide backtest`` costs on a recorded week: wall time, CPU and memory of the real command.

    python -m benchmarks.backtest_cost --days 7 --keep build/week

A real Prometheus holds the week (:mod:`.recorded_week`); the command runs as a process of its own.
``--keep`` makes the blocks once; what is in the folder already is used again.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from .recorded_week import ARRIVALS, END_S, Recording, blocks, prometheus

_OBJECT = """
kind: ScaledObject
metadata: {name: llm, namespace: default}
spec:
  scaleTargetRef: {name: llm}
  triggers:
  - type: external-push
    metadata:
      scalerAddress: "kvtide:6000"
      maxReplicas: "40"
      itlTarget: 500ms
"""


def main() -> None:
    """Record, replay, and say what the replay took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--days", type=float, default=7.0, help="that are recorded")
    parser.add_argument("--since", default=None, help="of the backtest; default: all days")
    parser.add_argument("--every", default="15s")
    parser.add_argument("--counted", action="store_true", help="arrivals come from an arrivalQuery")
    parser.add_argument("--keep", type=pathlib.Path, default=None)
    parser.add_argument("--output", type=pathlib.Path, default=None)
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = args.keep or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data = folder / "data"
        if not data.exists():
            data.mkdir(parents=True)
            started = time.perf_counter()
            blocks(Recording(days=args.days), data)
            print(f"recorded in {time.perf_counter() - started:.0f} s", flush=True)
        url = stack.enter_context(prometheus(data))
        since = args.since or f"{args.days:g}d"
        flags = [*_documents(folder, url, counted=args.counted), "--since", since]
        if args.output:
            flags += ["--output", str(args.output)]
        _run([*flags, "--until", str(END_S), "--every", args.every, "--json"])


def _documents(folder: pathlib.Path, url: str, *, counted: bool) -> list[str]:
    """Write the ScaledObject and the configuration; return their flags."""
    scaled, config = folder / "llm.yaml", folder / "kvtide.yaml"
    query = f"sum by (namespace, workload) ({ARRIVALS}{{" + 'namespace=~"$namespace"})'
    scaled.write_text(_OBJECT + "      arrivalQuery: came\n" * counted, encoding="utf-8")
    document = {"prometheus": {"default": {"url": url}}, "queries": {"came": query}}
    config.write_text(json.dumps(document), encoding="utf-8")
    return ["--scaled-object", str(scaled), "--config", str(config)]


def _run(flags: list[str]) -> None:
    """Run the command; print what it took and what it found."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "scaler", "backtest", *flags]
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(command, stdout=out)  # noqa: S603
        _, status, used = os.wait4(child.pid, 0)
        took_s = time.perf_counter() - started
        out.seek(0)
        said = out.read()
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"the command failed: {said}")
    (found,) = json.loads(said)["objects"].values()
    cpu_s = used.ru_utime + used.ru_stime
    each_ms = 1000 * cpu_s / found["polls"]
    print(f"{found['polls']} polls: wall {took_s:.0f} s, CPU {cpu_s:.0f} s ({each_ms:.2f} ms each)")
    print(f"peak RSS {used.ru_maxrss / 1024:.0f} MiB")
    told = {key: found[key] for key in ("gpu_hours_wanted", "gpu_hours_ran", "max_wanted")}
    print(json.dumps({**told, "reasons": found["reasons"]}))


if __name__ == "__main__":
    main()
