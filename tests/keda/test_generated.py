"""The generated stubs are those of the protos beside them."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def test_generating_again_changes_nothing(tmp_path):
    recipe = next(
        line.removeprefix("\t$(BIN)/python ")
        for line in (ROOT / "Makefile").read_text().splitlines()
        if "grpc_tools.protoc" in line
    )
    arguments = recipe.replace("$(PROTO)", "scaler/keda/_pb").replace("out=.", f"out={tmp_path}")
    subprocess.run([sys.executable, *arguments.split()], cwd=ROOT, check=True)
    made = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(made) == 6
    for path in made:
        assert path.read_text() == (ROOT / path.relative_to(tmp_path)).read_text(), path.name
