"""
``kvtide check``: every finding in the ScaledObjects of some files, against one configuration.

Pure: the texts are given to it. Where a trigger's metadata is wrong, the rules about the object
alone are still asked.
"""

import collections
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping

from scaler.configuration import Configuration
from scaler.documents.metadata import FROM_ENV, NAMES
from scaler.documents.nodes import scalar_text
from scaler.documents.trigger import parse_trigger
from scaler.documents.yaml_text import documents_of
from scaler.errors import ConfigurationError, Problem
from scaler.source import Role, Trigger

from . import hpa, inference, keda, scaled_job, shards, tiers, training, zero
from .address import as_meant, scaler_address
from .finding import METADATA, Finding, Level, error, warning
from .many import too_many
from .places import placed
from .scaled_object import OURS, ScaledObject, TriggerSpec, scaled_objects_of
from .seen import Rule, Seen

RULES: tuple[Rule, ...] = (
    *keda.RULES,
    *hpa.RULES,
    *zero.RULES,
    *inference.RULES,
    *training.RULES,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The objects that were looked at (``namespace/name``), and everything found."""

    objects: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        return sum(1 for finding in self.findings if finding.level is Level.ERROR)

    @property
    def warnings(self) -> int:
        return len(self.findings) - self.errors


def check(texts: Mapping[str, str], configuration: Configuration) -> Checked:
    """
    Return what is wrong or unwise in the ScaledObjects of ``texts`` (by file name).

    Raises:
        ConfigurationError: a text is not YAML, or none has a ScaledObject.
    """
    objects: list[ScaledObject] = []
    findings: list[Finding] = []
    for origin, text in texts.items():
        documents = documents_of(text, origin)
        found, misshapen = scaled_objects_of(documents, origin)
        objects += found
        findings += (Finding.of(problem, key, origin) for key, problem in misshapen)
        findings += scaled_job.findings(documents, origin)
    if not objects and not findings:
        names = ", ".join(texts)
        raise ConfigurationError(
            Problem(field=names, got="holds no ScaledObject (apiVersion: keda.sh/v1alpha1)")
        )
    seen: list[Seen] = []
    for scaled in objects:
        one, found_of_it = _of_one(scaled, configuration)
        seen += () if one is None else (one,)
        findings += (_at(scaled, finding) for finding in found_of_it)
    findings += _of_all(objects)
    for group in tiers.groups_of(seen):
        found_of_group = (*tiers.findings(group), *shards.of_tiers(group))
        findings += (_at(scaled, finding) for scaled, finding in found_of_group)
    findings += (_at(scaled, finding) for scaled, finding in shards.of_pools(seen))
    keys = dict.fromkeys([*(scaled.key for scaled in objects), *(f.object for f in findings)])
    objects_seen = tuple(key for key in keys if key)
    return Checked(objects=objects_seen, findings=placed(findings, texts))


def _of_one(
    scaled: ScaledObject, configuration: Configuration
) -> tuple[Seen | None, tuple[Finding, ...]]:
    """Return an object with the trigger that is ours, where it has one, and what is found in it."""
    scaled, misspelt = as_meant(scaled)
    if not scaled.our_triggers:
        types = " or ".join(OURS)
        why = f"none of type {types}: kvtide has no say in this object"
        return None, (warning("spec.triggers", why),)
    spec = scaled.our_triggers[0]
    trigger, problems = parsed(scaled, spec, configuration)
    seen = Seen(object=scaled, spec=spec, trigger=trigger, configuration=configuration)
    return seen, (
        *misspelt,
        *_metadata_findings(spec),
        *(Finding.of(problem, scaled.key, scaled.origin, within=METADATA) for problem in problems),
        *(finding for rule in RULES for finding in rule(seen)),
    )


def parsed(
    scaled: ScaledObject, spec: TriggerSpec, configuration: Configuration
) -> tuple[Trigger | None, tuple[Problem, ...]]:
    """
    Return the trigger that metadata states, or what is wrong with it.

    Values that KEDA takes from the environment (:func:`unresolved`) are not known here: neither
    right nor wrong, but a trigger that needs one is None.
    """
    texts = {key: scalar_text(node) or "" for key, node in spec.metadata.items()}
    try:
        return parse_trigger(scaled.namespace, scaled.name, texts, configuration), ()
    except ConfigurationError as wrong:
        unknown = unresolved(spec)
        return None, tuple(problem for problem in wrong.problems if problem.field not in unknown)


def unresolved(spec: TriggerSpec) -> frozenset[str]:
    """Return the keys of a trigger whose value is the name of an environment variable."""
    role = Role.TRAINING if spec.metadata.get("role") == Role.TRAINING else Role.INFERENCE
    return frozenset(
        key
        for key in spec.metadata
        if key.endswith(FROM_ENV) and key.removesuffix(FROM_ENV) in NAMES[role]
    )


def _as_yaml_reads(node: object) -> str:
    """Return an unquoted value as YAML takes it: ``yes`` is true."""
    return json.dumps(node, default=str)[:80]


def _metadata_findings(spec: TriggerSpec) -> Iterator[Finding]:
    """Yield what KEDA itself refuses in a trigger's metadata."""
    for key, node in spec.metadata.items():
        if not isinstance(node, str):
            yield error(
                f"{METADATA}{key}",
                f"{_as_yaml_reads(node)} is no text, and Kubernetes refuses it. Put it in quotes",
            )
    yield from scaler_address(spec)


def _of_all(objects: Iterable[ScaledObject]) -> Iterator[Finding]:
    """Yield what is wrong between objects."""
    by_target: dict[tuple[str, str, str], list[ScaledObject]] = collections.defaultdict(list)
    by_key: dict[str, list[ScaledObject]] = collections.defaultdict(list)
    for scaled in objects:
        ref = scaled.spec.scale_target_ref
        by_target[scaled.namespace, ref.group, str(ref.target)].append(scaled)
        by_key[scaled.key].append(scaled)
    for (namespace, _, name), owners in by_target.items():
        names = sorted({owner.name for owner in owners})
        if len(names) > 1:
            yield _at(
                owners[-1],
                error(
                    "spec.scaleTargetRef",
                    f"{name} in {namespace} has {len(names)} ScaledObjects ({', '.join(names)}): "
                    "KEDA refuses all but the first",
                ),
            )
    for same in by_key.values():
        if len(same) > 1:
            why = f"this object is there {len(same)} times: the last one applied wins"
            yield _at(same[-1], error("metadata.name", why))
    if (many := too_many(len(by_key))) is not None:
        yield warning("", many)


def _at(scaled: ScaledObject, finding: Finding) -> Finding:
    return dataclasses.replace(finding, object=scaled.key, origin=scaled.origin)
