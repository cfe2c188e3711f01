"""The page about readings: every engine and gateway is on it, and what it shows can be pasted."""

import pathlib
import re

import pytest

from scaler.documents.configuration import read_configuration
from scaler.documents.engines import engine_names
from scaler.documents.gateways import gateway_names

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "readings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("names", [engine_names, gateway_names])
def test_every_name_is_on_the_page(names):
    configured = read_configuration("")
    missing = {name for name in names(configured) if f"`{name}`" not in PAGE}
    assert not missing


@pytest.mark.parametrize(
    "example", re.findall(r"```yaml\n(?!# not kvtide)(.*?)```", PAGE, re.DOTALL)
)
def test_what_the_page_shows_is_a_configuration(example):
    assert read_configuration(example) != read_configuration("")


def test_a_gateway_on_the_page_has_the_gauge_that_it_says():
    profiles = dict(re.findall(r"^\| `([\w-]+)` \| `([\w:]+)", PAGE, re.MULTILINE))
    folder = pathlib.Path(__file__).parents[2] / "scaler" / "readings" / "gateways"
    for name, gauge in profiles.items():
        assert gauge in (folder / f"{name}.yaml").read_text(encoding="utf-8")
