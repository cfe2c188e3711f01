"""The page of guarantees names tests, and they are there."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
NAMED = sorted(
    set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/guarantees.md").read_text()))
)


def test_each_guarantee_names_a_test():
    guaranteed, measured, _ = (
        (ROOT / "docs/guarantees.md").read_text().partition("## What they cost")
    )
    assert measured
    rows = [
        line
        for line in guaranteed.splitlines()
        if line.startswith("| ") and not line.startswith("| attack")
    ]

    assert len(NAMED) > 20
    assert [row for row in rows if "`tests/" not in row] == []


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_each_test_that_is_named_is_there(path, name):
    module = ast.parse((ROOT / path).read_text())
    defined = {
        node.name
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert name in defined
