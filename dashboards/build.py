"""
Write the dashboards as JSON: ``python -m dashboards.build``, part of ``make generate``.

Grafana's own builders are used so that a wrong field is a type error here rather than an empty
panel there. The chart ships the same files; a test rebuilds and compares both.
"""

import pathlib

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import health, inference, lending

HERE = pathlib.Path(__file__).parent

DASHBOARDS = {
    "kvtide-inference": inference.build,
    "kvtide-lending": lending.build,
    "kvtide-health": health.build,
}


def rendered() -> dict[str, str]:
    """Return each dashboard's file name and text."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {
        f"{name}.json": encoder.encode(build().build()) + "\n" for name, build in DASHBOARDS.items()
    }


def main() -> None:
    """Write every dashboard beside this file."""
    for name, text in rendered().items():
        (HERE / name).write_text(text)
        print(f"dashboards/{name}")


if __name__ == "__main__":
    main()
