"""
ScaledObjects as people write them, with the fields that decide how KEDA uses our answers.

Field names are KEDA's and the HPA's own (``stabilizationWindowSeconds`` is
``stabilization_window_seconds``), so that a misspelt one is found with what was probably meant:
the API server would drop it in silence. Absent fields are None here; their defaults are constants
below, since "the default" and "stated as such" read differently in a finding.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from scaler.autoscaling import COOLDOWN_S, POLLING_INTERVAL_S
from scaler.documents.forms import Form
from scaler.documents.keys import shown
from scaler.documents.names import OBJECT, ScaleTarget
from scaler.documents.nodes import read_known
from scaler.errors import Problem

from . import kserve

APPS = "apps/v1"
KEDA = "keda.sh/v1alpha1"
ANYTHING = Form(read=str, write=str, noun="text", allowed="text", pattern=".*")
"""The empty text, too: an annotation with it is a yes to KEDA, a name no name."""
OURS = ("external", "external-push")
"""Types of triggers that an external scaler answers."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPolicy:
    """One policy of the HPA: so many Pods, or so many Percent, per period."""

    type: str
    value: int
    period_seconds: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRules:
    """The HPA's rules for one direction (autoscaling/v2 HPAScalingRules)."""

    stabilization_window_seconds: int | None = None
    select_policy: str | None = None
    policies: tuple[ScalingPolicy, ...] = ()
    tolerance: str | None = None
    """A quantity: 0, "0.05" or "50m"."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Behavior:
    """What the HPA adds to our answer in each direction."""

    scale_up: ScalingRules | None = None
    scale_down: ScalingRules | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HorizontalPodAutoscalerConfig:
    """Settings that KEDA copies into the HPA."""

    name: Annotated[str | None, ANYTHING] = None
    """Empty: KEDA's own; KServe wants it stated so."""
    behavior: Behavior | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """``spec.advanced``."""

    restore_to_original_replica_count: bool | None = None
    horizontal_pod_autoscaler_config: HorizontalPodAutoscalerConfig | None = None
    scaling_modifiers: Any = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """``spec.fallback``: what KEDA does while we answer with errors."""

    failure_threshold: int | None = None
    replicas: int | None = None
    behavior: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TriggerSpec:
    """One of ``spec.triggers``."""

    type: str
    name: str | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    metric_type: str | None = None
    use_cached_metrics: bool | None = None
    authentication_ref: Any = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScaleTargetRef:
    """``spec.scaleTargetRef``."""

    name: str
    kind: str = "Deployment"
    api_version: str | None = None
    env_source_container_name: str | None = None

    @property
    def target(self) -> ScaleTarget:
        return ScaleTarget(self.kind, self.name)

    @property
    def group(self) -> str:
        """API group of the target; the empty one is Kubernetes' core."""
        return (self.api_version or APPS).rpartition("/")[0]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """``spec`` of a ScaledObject."""

    scale_target_ref: ScaleTargetRef
    triggers: tuple[TriggerSpec, ...]
    polling_interval: int | None = None
    cooldown_period: int | None = None
    initial_cooldown_period: int | None = None
    idle_replica_count: int | None = None
    min_replica_count: int | None = None
    max_replica_count: int | None = None
    fallback: Fallback | None = None
    advanced: Advanced | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMeta:
    """What we read of ``metadata``; the rest is Kubernetes'."""

    name: Annotated[str, OBJECT]
    namespace: Annotated[str, OBJECT] = "default"
    annotations: Mapping[str, Annotated[str, ANYTHING]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScaledObject:
    """A ScaledObject, and the file it stands in."""

    origin: str
    namespace: str
    name: str
    annotations: Mapping[str, str]
    spec: Spec

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def floor(self) -> int:
        """Replicas that KEDA leaves while nothing is active."""
        idle = self.spec.idle_replica_count
        return self.spec.min_replica_count or 0 if idle is None else idle

    @property
    def can_fall(self) -> bool:
        """Whether KEDA itself, and not the HPA, ever takes replicas away."""
        return self.spec.idle_replica_count is not None or not self.spec.min_replica_count

    @property
    def cooldown_s(self) -> int:
        """What KEDA waits, since it last heard "active", before it scales to zero or idle."""
        stated = self.spec.cooldown_period
        return COOLDOWN_S if stated is None else stated

    @property
    def polling_s(self) -> int:
        """How often KEDA looks."""
        stated = self.spec.polling_interval
        return POLLING_INTERVAL_S if stated is None else stated

    @property
    def behavior(self) -> Behavior | None:
        config = self.spec.advanced and self.spec.advanced.horizontal_pod_autoscaler_config
        return config.behavior if config else None

    @property
    def our_triggers(self) -> tuple[TriggerSpec, ...]:
        return tuple(trigger for trigger in self.spec.triggers if trigger.type in OURS)


def scaled_objects_of(
    documents: Iterable[Any], origin: str
) -> tuple[tuple[ScaledObject, ...], tuple[tuple[str, Problem], ...]]:
    """
    Return the ScaledObjects of a file's YAML documents, and what is wrong with their shape.

    Problems come with the object's ``namespace/name``; one without a known shape is left out.
    Objects of other kinds are passed by, but those that ScaledObjects are made of.
    """
    found: list[ScaledObject] = []
    misshapen: list[tuple[str, Problem]] = []
    documents = list(documents)
    made = (
        scaled
        for node in objects_of(documents, kserve.KIND)
        for scaled in kserve.scaled_objects_made_of(node)
    )
    for node in itertools.chain(objects_of(documents, "ScaledObject"), made):
        scaled, problems = _scaled_object(node, origin)
        if node.get("apiVersion", KEDA) != KEDA:
            got = repr(node.get("apiVersion"))
            problems = (*problems, Problem(field="apiVersion", got=got, allowed=KEDA))
        found += () if scaled is None else (scaled,)
        misshapen += ((key_of(node), problem) for problem in problems)
    return tuple(found), tuple(misshapen)


def objects_of(documents: Iterable[Any], kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of one kind among YAML documents, whatever their shape."""
    for node in (part for document in documents for part in _items(document)):
        if isinstance(node, dict) and node.get("kind") == kind:
            yield node


def key_of(node: Mapping[str, Any]) -> str:
    """Return an object's ``namespace/name`` as far as it states them."""
    meta = node.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    return "/".join(
        shown(str(meta.get(part) or otherwise))
        for part, otherwise in (("namespace", "default"), ("name", "?"))
    )


def _items(document: Any) -> list[Any]:  # noqa: ANN401 - whatever a YAML document is
    """Return the objects of a document, those of a List one by one."""
    if isinstance(document, dict) and str(document.get("kind", "")).endswith("List"):
        items = document.get("items")
        return items if isinstance(items, list) else []
    return [document]


def _scaled_object(
    node: Mapping[str, Any], origin: str
) -> tuple[ScaledObject | None, tuple[Problem, ...]]:
    meta, problems = read_known(ObjectMeta, _known(node.get("metadata"), ObjectMeta), "metadata")
    spec, more = read_known(Spec, node.get("spec"), "spec")
    if meta is None or spec is None:
        return None, (*problems, *more)
    scaled = ScaledObject(
        origin=origin,
        namespace=meta.namespace,
        name=meta.name,
        annotations=meta.annotations,
        spec=spec,
    )
    return scaled, (*problems, *more)


def _known(node: object, kind: type) -> object:
    """Return a mapping without the keys that are nothing to us."""
    if not isinstance(node, dict):
        return node
    fields = {field.name for field in dataclasses.fields(kind)}
    return {key: item for key, item in node.items() if key in fields}
