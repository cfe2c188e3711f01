"""
Write the dashboards as JSON: ``python -m dashboards.build``, part of ``make generate``.

Grafana's own builders are used so that a wrong field is a type error here rather than an empty
panel there. The chart ships the same files; a test rebuilds and compares both.
"""

import pathlib
import shutil

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import health, inference, lending

HERE = pathlib.Path(__file__).parent
CHART = HERE.parent / "charts/kvtide/files"
"""Helm reads only what lies inside the chart."""

DASHBOARDS = {
    "kvtide-inference": inference.build,
    "kvtide-lending": lending.build,
    "kvtide-health": health.build,
}


def rendered() -> dict[str, str]:
    """Return each dashboard's file name and text."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {
        f"{name}.json": encoder.encode(_numbered(page().build())) + "\n"
        for name, page in DASHBOARDS.items()
    }


def _numbered(page: Dashboard) -> Dashboard:
    """Give every panel its own number, by which links and alerts name it."""
    for number, panel in enumerate(page.panels or (), start=1):
        panel.id_val = number
    return page


def main() -> None:
    """Write every dashboard beside this file, and the chart's copies of them and of the alerts."""
    for name, text in rendered().items():
        (HERE / name).write_text(text)
        (CHART / name).write_text(text)
        print(f"dashboards/{name}")
    shutil.copyfile(HERE / "alerts.yaml", CHART / "alerts.yaml")


if __name__ == "__main__":
    main()
