"""
Write a chart's README.md from the comments of its values.yaml: ``python -m charts.readme``.

The comments are the reference: a line that begins with ``# --`` (and the comment lines after it)
describes the key below it. Keys without one are listed with their default alone.
"""

import json
import pathlib
import re
from collections.abc import Iterator

import yaml

HERE = pathlib.Path(__file__).parent
CHARTS = ("kvtide", "llm-on-kvtide")
KEY = re.compile(r"^(?P<indent> *)(?P<key>[\w.-]+):")


def rendered(chart: str) -> str:
    """Return the README of a chart."""
    folder = HERE / chart
    about = yaml.safe_load((folder / "Chart.yaml").read_text())
    text = (folder / "values.yaml").read_text()
    values = yaml.safe_load(text)
    rows = [
        f"| `{path}` | {_default(values, path)} | {comment} |" for path, comment in described(text)
    ]
    origin = "Made from `values.yaml` by `make generate`; how to install is in `docs/install.md`."
    return "\n".join(
        [
            f"# {about['name']} {about['version']}",
            "",
            about["description"],
            "",
            f"Kubernetes {about['kubeVersion'].removesuffix('-0')}. {origin}",
            "",
            "| value | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def described(text: str) -> Iterator[tuple[str, str]]:
    """
    Yield the path of each documented or plain key, and its comment.

    A key whose children are listed is not listed itself unless it has a comment, and below a key
    with a comment only children with their own are.
    """
    path: list[tuple[int, str, bool]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment = _continued(comment, stripped)
            continue
        key = KEY.match(line)
        if key is None:
            comment = []
            continue
        indent = len(key["indent"])
        path = [step for step in path if step[0] < indent]
        documented = any(step[2] for step in path)
        path.append((indent, key["key"], bool(comment)))
        leaf = line.partition(":")[2].strip() != ""
        if comment or (leaf and not documented):
            yield ".".join(step[1] for step in path), " ".join(comment)
        comment = []


def _continued(comment: list[str], line: str) -> list[str]:
    if line.startswith("# -- "):
        return [line.removeprefix("# -- ")]
    return [*comment, line.removeprefix("#").strip()] if comment else []


def _default(values: object, path: str) -> str:
    for key in path.split("."):
        values = values[key] if isinstance(values, dict) else None
    return f"`{json.dumps(values)}`"


def main() -> None:
    """Write the README of every chart."""
    for chart in CHARTS:
        (HERE / chart / "README.md").write_text(rendered(chart))
        print(f"charts/{chart}/README.md")


if __name__ == "__main__":
    main()
