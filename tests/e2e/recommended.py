"""How the repository's own manifests tell KEDA to go to zero: what the tests run on."""

from typing import Any

import yaml

from tests.charts.helm import CHARTS, ROOT, Manifest, rendered

EXAMPLES = CHARTS / "llm-on-kvtide/examples"
HELD = ("holdFor",)
TO_ZERO = (
    "minReplicaCount",
    "idleReplicaCount",
    "pollingInterval",
    "cooldownPeriod",
    "initialCooldownPeriod",
)


def waits(manifest: Manifest) -> dict[str, Any]:
    """Return the part of a ScaledObject that says when it goes to zero, as ``Cluster.scale``'s."""
    spec = manifest["spec"]
    (trigger,) = spec["triggers"]
    return {
        **{key: spec[key] for key in TO_ZERO if key in spec},
        "trigger": trigger["type"],
        "cached": trigger.get("useCachedMetrics", False),
        "metadata": {key: trigger["metadata"][key] for key in HELD if key in trigger["metadata"]},
    }


def inference() -> dict[str, dict[str, Any]]:
    """Return what is recommended for inference, by where."""
    to_zero = rendered(
        "llm-on-kvtide", f"--values={EXAMPLES}/whole-gpus.yaml", "--set=inference.minReplicas=0"
    )
    return {
        "readme": waits(_of_role(_readme(), "inference")),
        "example": waits(_of_role(_example("inference"), "inference")),
        "chart, to zero": waits(_of_role(to_zero, "inference")),
    }


def training() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return what is recommended for training, by where: the kind of its target, and when."""
    job = rendered("llm-on-kvtide", f"--values={EXAMPLES}/mig-a100.yaml", "--set=training.kind=Job")
    found = {
        "readme": _of_role(_readme(), "training"),
        "example": _of_role(_example("training"), "training"),
        "chart, a Job": _of_role(job, "training"),
    }
    return {
        name: (one["spec"]["scaleTargetRef"].get("kind", "Deployment"), waits(one))
        for name, one in found.items()
    }


def _of_role(manifests: tuple[Manifest, ...], role: str) -> Manifest:
    return next(
        one
        for one in manifests
        if one["kind"] == "ScaledObject"
        and one["spec"]["triggers"][0]["metadata"].get("role", "inference") == role
    )


def _example(name: str) -> tuple[Manifest, ...]:
    return tuple(yaml.safe_load_all((CHARTS / f"kvtide/examples/{name}.yaml").read_text()))


def _readme() -> tuple[Manifest, ...]:
    blocks = (ROOT / "README.md").read_text().split("```yaml\n")[1:]
    documents = (yaml.safe_load(block.split("```")[0]) for block in blocks)
    return tuple(one for one in documents if one.get("kind") == "ScaledObject")
