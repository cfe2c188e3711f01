"""Which panels and marks find data while a demo plays; of the others, why they are empty then."""

import contextlib
import json
import time
from collections.abc import Sequence

import requests

from dashboards import build

from .asking import finds, panels

VARIABLES = {
    "__rate_interval": "6s",
    "__range": "1m",
    "__interval": "1s",
    "engine": "vllm:num_requests_running",
    "ttft": "1.0",
    "gap": "0.05",
}
EMPTY = {
    "Prompt tokens found in a cache": "the engines of the demo cache no prefixes",
    "Reclaim time": "not every play takes all workers back",
    "Reclaim time, p99 of a day": "not every play takes all workers back",
    "mark / Reclaimed": "not every play takes all workers back",
    "mark / Held": "the sources of the demo do not fail",
    "Pods read between scrapes": "a demo's engines are not pods of a cluster",
    "Pages that failed per minute, by outcome": "a demo's engines are not pods of a cluster",
    "Age of what pods told, the ten oldest": "a demo's engines are not pods of a cluster",
    "Calls that failed per second, by code": "none fails where the first reading is in time",
}
"""By title, panels and marks that a demo may have nothing for, and why."""
BOARDS = [json.loads(text) for text in build.rendered().values()]


def never_found(prometheus: str) -> set[str]:
    """Return what found no data until the Prometheus of a play ended: titles of panels, marks."""
    left = {
        (board["title"], name): queries
        for board in BOARDS
        for name, queries in panels(board).items()
    }
    since_s = time.time() - 10  # noqa: TID251 -- a Prometheus of now
    with contextlib.suppress(requests.RequestException):  # it ends with the play
        while left:
            for name, queries in list(left.items()):
                if _any(prometheus, queries, since_s):
                    del left[name]
            time.sleep(0.3)
    return {name if name.startswith("mark") else name.rpartition(" / ")[2] for _, name in left}


def _any(prometheus: str, queries: Sequence[str], since_s: float) -> bool:
    # A play lasts seconds: what is looked at minute by minute is looked at each second.
    between = (since_s, time.time())  # noqa: TID251
    return any(
        finds(prometheus, one.replace(":1m]", ":1s]"), VARIABLES, between=between, step_s=1.0)
        for one in queries
    )
