"""Examples of others' targets and borrowers: check finds nothing, and the page names each."""

import pathlib

import pytest
import yaml

from scaler.check.files import check
from scaler.check.triggers import triggers_in
from scaler.configuration import Configuration
from scaler.controller.kinds import kind_of

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "charts" / "kvtide" / "examples"
EXAMPLES = sorted([*FOLDER.glob("targets/*.yaml"), *FOLDER.glob("borrowers/*.yaml")])
PAGE = (ROOT / "docs" / "targets.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_check_finds_nothing(path):
    checked = check({path.name: path.read_text(encoding="utf-8")}, Configuration())
    assert len(checked.objects) == 1
    assert not checked.findings


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_page_names_it_and_it_says_what_does_not_work(path):
    assert f"../charts/kvtide/examples/{path.parent.name}/{path.name}" in PAGE
    assert "# Does not work: " in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("borrowers/*.yaml")), ids=lambda path: path.stem
)
def test_a_borrower_is_a_kind_that_the_controller_knows_and_begins_suspended(path):
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    (reclaimable,) = [one for one in documents if one["kind"] == "ReclaimableJob"]
    ref = reclaimable["spec"]["jobRef"]
    assert kind_of(ref["apiVersion"], ref["kind"]) is not None
    (job,) = [one for one in documents if one["kind"] == ref["kind"]]
    assert job["metadata"]["name"] == ref["name"]
    assert job["spec"]["suspend"] is True


def test_what_kserve_makes_of_its_scaling_is_read_from_it():
    path = FOLDER / "targets" / "kserve-scaling.yaml"
    triggers = triggers_in({path.name: path.read_text(encoding="utf-8")}, Configuration())
    ((key, trigger),) = triggers.items()
    assert key == "llm/chat-kserve-keda"
    assert (trigger.workload.kind, trigger.workload.name) == ("Deployment", "chat-kserve")


def test_prefill_of_an_llm_inference_service_is_an_object_of_its_own():
    path = FOLDER / "targets" / "kserve-scaling.yaml"
    service = yaml.safe_load(path.read_text(encoding="utf-8"))
    service["spec"]["prefill"] = {"scaling": service["spec"]["scaling"]}
    checked = check({"kserve.yaml": yaml.safe_dump(service)}, Configuration())
    assert sorted(checked.objects) == ["llm/chat-kserve-keda", "llm/chat-kserve-prefill-keda"]
