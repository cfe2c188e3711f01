"""What Helm prints at the end: three commands that can be typed as they are."""

import re
import shutil

import pytest
import yaml

from .helm import CHARTS, KUBERNETES, helm, rendered


def notes(chart, folder):
    """Return NOTES.txt as ``helm install`` prints it, which needs a cluster to do so."""
    copy = shutil.copytree(CHARTS / chart, folder / chart)
    text = (copy / "templates/NOTES.txt").read_text(encoding="utf-8")
    indented = "".join(f"  {line}\n" for line in text.splitlines())
    (copy / "templates/NOTES.txt").unlink()
    (copy / "templates/notes.yaml").write_text(f"notes: |\n{indented}", encoding="utf-8")
    shown = helm(
        *("template", "release", copy, "--namespace=kvtide", f"--kube-version={KUBERNETES}.0"),
        "--show-only=templates/notes.yaml",
    )
    return yaml.safe_load(shown)["notes"]


@pytest.mark.parametrize("chart", ["kvtide", "llm-on-kvtide"])
def test_notes_end_in_three_commands_on_objects_that_the_chart_makes(chart, tmp_path):
    text = notes(chart, tmp_path)

    made = {
        (one["kind"].lower(), one["metadata"].get("namespace", "kvtide"), one["metadata"]["name"])
        for one in rendered(chart)
    }
    namespaces = {namespace for _, namespace, _ in made}
    commands = re.findall(r"^  (kubectl .*|kvtide .*)$", text, flags=re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        if named := re.search(r" -n (\S+)", command):
            assert named[1] in namespaces, command
        if named := re.search(r" (deployment|svc)/(\S+)", command):
            kind = {"svc": "service"}.get(named[1], named[1])
            assert (kind, "kvtide", named[2]) in made, command
        if named := re.search(r"explain (\S+)/(\S+)", command):
            assert ("scaledobject", named[1], named[2]) in made, command
