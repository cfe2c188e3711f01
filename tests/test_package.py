"""What is published holds all that the program reads, however it is built."""

import pathlib
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
import yaml

from scaler.settings import RUNBOOKS

ROOT = pathlib.Path(__file__).parent.parent


def built(kind: str, source: pathlib.Path, into: pathlib.Path) -> pathlib.Path:
    """Build a wheel or an sdist of a tree, without a network, and return its path."""
    command = (sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(into))
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    (made,) = into.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


def from_checkout(folder: pathlib.Path) -> pathlib.Path:
    return built("wheel", ROOT, folder)


def from_sdist(folder: pathlib.Path) -> pathlib.Path:
    with tarfile.open(built("sdist", ROOT, folder)) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.glob("kvtide-*/")
    return built("wheel", source, folder)


@pytest.mark.parametrize("build", [from_checkout, from_sdist])
def test_a_wheel_holds_every_file_of_the_package_and_the_command(build, tmp_path):
    with zipfile.ZipFile(build(tmp_path)) as wheel:
        held = set(wheel.namelist())
        (entry_points,) = (name for name in held if name.endswith("/entry_points.txt"))
        commands = wheel.read(entry_points).decode()

    package = (ROOT / "scaler").rglob("*")
    files = {
        path.relative_to(ROOT).as_posix()
        for path in package
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {name for name in held if name.startswith("scaler/")} == files
    assert "kvtide = scaler.cli:main" in commands


def test_the_repository_is_named_alike_wherever_it_is_named():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["urls"]["Runbooks"] == RUNBOOKS
    assert RUNBOOKS.startswith(project["urls"]["Repository"])
    for chart in (ROOT / "charts").glob("*/Chart.yaml"):
        assert (
            yaml.safe_load(chart.read_text(encoding="utf-8"))["home"]
            == project["urls"]["Repository"]
        )


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "requirements").iterdir()))
def test_every_locked_dependency_has_the_hash_of_its_files(name):
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    pinned = re.findall(r"^\S+==.*", text.replace("\\\n", " "), re.MULTILINE)

    assert pinned
    assert [one.split()[0] for one in pinned if "--hash=sha256:" not in one] == []


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile"])
def test_what_is_locked_is_installed_by_its_hashes(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    installs = [one for one in lines if "-r requirements/" in one and "uv tool run" not in one]

    assert installs
    assert [one for one in installs if "--require-hashes" not in one] == []
