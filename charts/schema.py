"""
Put the configuration's schema into the chart's: ``python -m charts.schema``.

What the scaler would refuse at its start, Helm then refuses before anything is changed.
"""

import json
import pathlib

HERE = pathlib.Path(__file__).parent
CHART = HERE / "kvtide/values.schema.json"
CONFIGURATION = HERE.parent / "docs/configuration.schema.json"


def rendered() -> str:
    """Return the chart's schema with the configuration as it is now."""
    schema = json.loads(CHART.read_text())
    configuration = json.loads(CONFIGURATION.read_text())
    for key in ("$schema", "title"):
        del configuration[key]
    schema["properties"]["configuration"] = configuration | {"required": ["prometheus"]}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write it."""
    CHART.write_text(rendered())
    print("charts/kvtide/values.schema.json")


if __name__ == "__main__":
    main()
