import re

import pytest

from .helm import CHARTS, PROMETHEUS_OPERATOR, ROOT, rendered

EVERYTHING = {
    "kvtide": (
        (
            "--set=networkPolicy.enabled=true",
            "--set=tls.enabled=true",
            "--set=tls.certManager.issuerRef.name=internal",
        ),
        ("--set=controller.namespace=training",),
    ),
    "llm-on-kvtide": (
        (
            f"--values={CHARTS}/llm-on-kvtide/examples/ack.yaml",
            "--set=inference.gatewayLimit.enabled=true",
            "--set=placement.kueue=true",
        ),
        (
            f"--values={CHARTS}/llm-on-kvtide/examples/ack.yaml",
            "--set=fluid.runtime=AlluxioRuntime",
            "--set=training.kind=Job",
        ),
    ),
}


@pytest.mark.parametrize("chart", EVERYTHING)
def test_names_every_kind_of_object_that_a_chart_makes(chart):
    apis = (PROMETHEUS_OPERATOR, "autoscaling.k8s.io/v1")
    made = {
        manifest["kind"]
        for switches in EVERYTHING[chart]
        for manifest in rendered(chart, *switches, apis=apis)
    }
    page = (ROOT / "docs/install.md").read_text()
    section = page.partition(f"### charts/{chart}\n")[2].partition("\n##")[0]
    named = re.findall(r"\w+", " ".join(re.findall(r"^\|([^|]*)\|", section, flags=re.MULTILINE)))
    assert made - set(named) - {name.removesuffix("s") for name in named} == set()
