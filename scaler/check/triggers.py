"""The triggers in files of ScaledObjects, for whoever decides on them without KEDA."""

import dataclasses
from collections.abc import Mapping

from scaler.configuration import Configuration
from scaler.documents.metadata import FROM_ENV
from scaler.documents.yaml_text import documents_of
from scaler.errors import ConfigurationError, Problem
from scaler.source import Trigger

from .files import parsed, unresolved
from .finding import METADATA
from .scaled_object import ScaledObject, TriggerSpec, scaled_objects_of

TARGET = "spec.scaleTargetRef"


def triggers_in(
    texts: Mapping[str, str],
    configuration: Configuration,
    *,
    changes: Mapping[str, str] | None = None,
) -> dict[str, Trigger]:
    """
    Return the triggers of every ScaledObject of ``texts`` (by file name), by ``namespace/name``.

    Objects without a trigger of ours are passed by. Without ``workload`` the target is the
    object's own, as the Kubernetes API would tell a server. ``changes`` are metadata to read in the
    place of what the objects state.

    Raises:
        ConfigurationError: with every problem of every object, or because there is none.
    """
    triggers: dict[str, Trigger] = {}
    problems: list[Problem] = []
    for origin, text in texts.items():
        found, misshapen = scaled_objects_of(documents_of(text, origin), origin)
        problems += (
            dataclasses.replace(problem, field=f"{key}: {problem.field}")
            for key, problem in misshapen
        )
        for scaled in found:
            triggers |= _trigger(scaled, configuration, problems, changes or {})
    if not triggers and not problems:
        problems.append(
            Problem(field=", ".join(texts), got="holds no ScaledObject with a trigger for kvtide")
        )
    if problems:
        raise ConfigurationError(*problems)
    return triggers


def _trigger(
    scaled: ScaledObject,
    configuration: Configuration,
    problems: list[Problem],
    changes: Mapping[str, str],
) -> dict[str, Trigger]:
    if not scaled.our_triggers:
        return {}
    spec = _with_target(scaled)
    spec = dataclasses.replace(spec, metadata={**spec.metadata, **changes})
    trigger, wrong = parsed(scaled, spec, configuration)
    wrong += tuple(
        Problem(field=key, got="a value that only the cluster knows", allowed="the value itself")
        for key in sorted(unresolved(spec))
    )
    stated = scaled.our_triggers[0].metadata
    for problem in wrong:
        own = problem.field == "workload" and "workload" not in stated
        field = TARGET if own else f"{METADATA}{problem.field}"
        problems.append(dataclasses.replace(problem, field=f"{scaled.key}: {field}"))
    return {} if trigger is None else {scaled.key: trigger}


def _with_target(scaled: ScaledObject) -> TriggerSpec:
    """Return an object's trigger with the workload stated: the object's target, where it is not."""
    spec = scaled.our_triggers[0]
    if {"workload", f"workload{FROM_ENV}"} & spec.metadata.keys():
        return spec
    target = str(scaled.spec.scale_target_ref.target)
    return dataclasses.replace(spec, metadata={**spec.metadata, "workload": target})
