"""The local stack, as far as it can be checked without Docker."""

import pathlib
import subprocess
from typing import Any

import pytest
import yaml

from scaler.documents.configuration import load_configuration
from tests.programs import program

ROOT = pathlib.Path(__file__).parent.parent
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())[
    "services"
]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("kvtide:")]
OTHERS = [name for name in SERVICES if name not in OURS]


def test_the_stack_has_every_part_of_the_loop():
    assert sorted(SERVICES) == ["cluster", "grafana", "prometheus", "scaler"]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_only(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there_and_cannot_be_written(name):
    for mount in SERVICES[name].get("volumes", []):
        source, _, mode = mount.split(":")
        assert (ROOT / source).exists()
        assert mode == "ro"


@pytest.mark.parametrize("name", OTHERS)
def test_images_of_others_are_pinned_by_version(name):
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert tag.lstrip("v").count(".") == 2


@pytest.mark.parametrize("name", OURS)
def test_our_containers_write_nothing_and_gain_no_rights(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_image_runs_as_somebody_by_number():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER 65532:65532" in lines


def test_the_scaler_reads_its_configuration():
    read = load_configuration(ROOT / "compose/kvtide.yaml")
    assert read.prometheus["default"].url == "http://prometheus:9090"


def test_prometheus_understands_its_configuration():
    promtool = program("promtool", get_it="install Debian's prometheus (make system)")
    checked = subprocess.run(
        [promtool, "check", "config", "--syntax-only", ROOT / "compose/prometheus.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_prometheus_scrapes_the_scaler_and_what_it_decides_by():
    scraped = yaml.safe_load((ROOT / "compose/prometheus.yaml").read_text())["scrape_configs"]
    jobs = [job["job_name"] for job in scraped]
    assert jobs == ["engines", "dcgm", "kube-state-metrics", "gateway", "kvtide"]


def test_grafana_finds_its_source_and_dashboards():
    folder = ROOT / "compose/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards/kvtide.yaml").read_text())["providers"]
    mounted = {mount.split(":")[1]: mount for mount in SERVICES["grafana"]["volumes"]}
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert source["isDefault"] is True
    assert provider["options"]["path"] in mounted
    assert (ROOT / "dashboards" / pathlib.Path(home).name).exists()
