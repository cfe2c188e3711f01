"""
Charts as Helm renders them, and what each object may look like.

Kubernetes' own kinds are checked against Kubernetes' schemas; kinds of other projects against the
small schemas beside this file, which hold just the fields that our charts set and refuse any other.
"""

import functools
import pathlib
import subprocess
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.programs import program

ROOT = pathlib.Path(__file__).parents[2]
CHARTS = ROOT / "charts"
SCHEMAS = pathlib.Path(__file__).parent / "schemas"
KUBERNETES = "1.35"
PROMETHEUS_OPERATOR = "monitoring.coreos.com/v1"
GET_HELM = "install Helm 3 (make system)"

Manifest = dict[str, Any]


class RefusedError(Exception):
    """Helm did not render, and says why."""


def helm(*arguments: str | pathlib.Path) -> str:
    """Return what Helm prints; a RefusedError with its words when it fails."""
    ran = subprocess.run(
        [program("helm", get_it=GET_HELM), *arguments], capture_output=True, text=True, check=False
    )
    if ran.returncode != 0:
        raise RefusedError(ran.stdout + ran.stderr)
    return ran.stdout


@functools.cache
def rendered(chart: str, *arguments: str, apis: tuple[str, ...] = ()) -> tuple[Manifest, ...]:
    """
    Return every object of a chart, each checked against the schema of its kind.

    ``arguments`` are Helm's, such as ``--set=tls.enabled=true``; ``apis`` are groups that the
    cluster has beside Kubernetes' own.
    """
    text = helm(
        "template",
        "release",
        CHARTS / chart,
        "--namespace=kvtide",
        f"--kube-version={KUBERNETES}.0",
        *(f"--api-versions={api}" for api in apis),
        *arguments,
    )
    manifests = tuple(document for document in yaml.safe_load_all(text) if document)
    for manifest in manifests:
        check(manifest)
    return manifests


def check(manifest: Manifest) -> None:
    """Raise where an object is not what its kind allows."""
    try:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        jsonschema.validate(manifest, _schema(manifest["kind"]))


def _schema(kind: str) -> Manifest:
    """Return the schema of a kind that is not Kubernetes': our own CRD's, or what we set of it."""
    if kind != "ReclaimableJob":
        return _mapping(SCHEMAS / f"{kind}.yaml")
    definition = _mapping(CHARTS / "kvtide/crds/reclaimablejobs.yaml")
    schema: Manifest = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec: Manifest = schema["properties"]["spec"]
    return {**schema, "properties": {"spec": {**spec, "additionalProperties": False}}}


def _mapping(path: pathlib.Path) -> Manifest:
    mapping: Manifest = yaml.safe_load(path.read_text())
    return mapping


def of_kind(manifests: tuple[Manifest, ...], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def only(manifests: tuple[Manifest, ...], kind: str) -> Manifest:
    (manifest,) = of_kind(manifests, kind)
    return manifest


def named(manifests: tuple[Manifest, ...], kind: str, name: str) -> Manifest:
    (manifest,) = (one for one in of_kind(manifests, kind) if one["metadata"]["name"] == name)
    return manifest
