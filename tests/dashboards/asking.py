"""Asks a Prometheus what Grafana would ask for a dashboard's panels and marks."""

import re
from collections.abc import Mapping
from typing import Any

import requests


def panels(board: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the queries of each panel and mark, by row and title."""
    found, row = {}, ""
    for panel in board["panels"]:
        row = panel["title"] if panel["type"] == "row" else row
        if panel.get("targets"):
            found[f"{row} / {panel['title']}"] = [one["expr"] for one in panel["targets"]]
    return found | {f"mark / {one['name']}": [one["expr"]] for one in board["annotations"]["list"]}


def finds(
    prometheus: str,
    expression: str,
    variables: Mapping[str, str],
    *,
    between: tuple[float, float],
    step_s: float,
) -> bool:
    """Whether there is a number anywhere; what is no variable of these is everything."""
    filled = re.sub(r"\$([A-Za-z_]\w*)", lambda name: variables.get(name[1], ".*"), expression)
    asked = {"query": filled, "start": between[0], "end": between[1], "step": step_s}
    answer = requests.post(f"{prometheus}/api/v1/query_range", data=asked, timeout=60).json()
    assert answer["status"] == "success", (filled, answer)
    return any(
        value != "NaN" for series in answer["data"]["result"] for _, value in series["values"]
    )
