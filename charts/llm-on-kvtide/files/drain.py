"""
Wait until the engine of this pod is idle: the preStop of a replica that is scaled down.

The pod leaves its Service when it is asked to end, but clients and proxies hear of it later; so
wait a little for new requests to stop, then for those in flight. The engine gets its SIGTERM
afterwards. Arguments: port of the engine, most seconds to wait.
"""

import math
import sys
import time
import urllib.request

SETTLE_S = 5.0
POLL_S = 1.0
GAUGES = ("vllm:num_requests_running", "vllm:num_requests_waiting")


def in_flight(port: int, timeout_s: float = 2.0) -> float:
    """Return requests running and waiting; 0: the engine is gone, infinity: it is silent."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=timeout_s) as page:
            lines = page.read().decode().splitlines()
    except OSError as error:
        is_gone = isinstance(getattr(error, "reason", error), ConnectionRefusedError)
        return 0.0 if is_gone else math.inf
    return sum(float(line.split()[-1]) for line in lines if line.split("{")[0] in GAUGES)


def drain(port: int, most_s: float, *, settle_s: float = SETTLE_S, poll_s: float = POLL_S) -> None:
    """Return once two polls in a row find the engine idle, or ``most_s`` seconds have passed."""
    end_s = time.monotonic() + most_s
    time.sleep(min(settle_s, most_s))
    idle = 0
    while idle < 2 and time.monotonic() < end_s:
        idle = 0 if in_flight(port) else idle + 1
        time.sleep(poll_s)


if __name__ == "__main__":
    drain(int(sys.argv[1]), float(sys.argv[2]))
