"""
Trigger metadata (strings, as KEDA forwards them) read into a Trigger, and written back.

All problems of one trigger come at once, each with the key as its author typed it, what was got
and what is allowed. ``parse_trigger(render_trigger(trigger)) == trigger``. Whoever may write a
ScaledObject may write anything into it: more than any trigger needs is refused unread, and no more
is told than a person reads.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from scaler.configuration import Configuration, Pool
from scaler.decision.pace import KNATIVE_PRESET
from scaler.decision.policy import InferencePolicy, LendingPolicy
from scaler.errors import NOTHING, UNKNOWN_KEY, ConfigurationError, Problem, stated
from scaler.said import Said
from scaler.source import Role, Trigger, Workload

from .capacity import read_capacity, units_of
from .keys import closest, read, shown
from .metadata import FROM_ENV, KEDA_KEYS, KEYS, NAMES, InferenceKeys
from .named import (
    Draft,
    borrower_problems,
    gateway_problems,
    member_problems,
    name_problems,
    not_named,
    target_problems,
)
from .names import ScaleTarget
from .policies import read_policy

MOST_KEYS = 256
"""Keys of one trigger; there are about a hundred for each role."""
MOST_CHARACTERS = 65_536
"""Of one trigger's keys and texts: room for KEDA's own certificates and a thousand members."""
MOST_TOLD = 32
"""Problems of one trigger that are told; the rest is counted."""
UNKNOWN_UNITS = 1_000_000
"""Stands for the size of a pool that could not be read, so that the other keys are checked."""


def parse_trigger(
    namespace: str, name: str, metadata: Mapping[str, str], configuration: Configuration
) -> Trigger:
    """
    Return what the trigger of the ScaledObject ``namespace/name`` asks for.

    Raises:
        ConfigurationError: with every problem there is, :data:`MOST_TOLD` at most.
    """
    _refuse_too_much(metadata)
    stated, problems = _ours(metadata)
    role = _role(stated)
    values, unread = read(KEYS[role], stated)
    draft = Draft(
        namespace=namespace,
        name=name,
        role=role,
        stated=stated,
        values=values,
        configuration=configuration,
    )
    problems += (*_unknown_keys(stated, role), *unread)
    build = _inference if role is Role.INFERENCE else _training
    trigger, together = build(draft)
    problems += _beyond(together, {problem.field.partition(".")[0] for problem in problems})
    if problems or trigger is None:
        typed = [_as_typed(problem, metadata) for problem in problems[:MOST_TOLD]]
        raise ConfigurationError(*typed, *_untold(problems))
    return trigger


def _refuse_too_much(metadata: Mapping[str, str]) -> None:
    if len(metadata) > MOST_KEYS:
        got = Said("{count} keys", count=len(metadata))
        allowed = Said("at most {most}", most=MOST_KEYS)
        raise ConfigurationError(Problem(field="metadata", got=got, allowed=allowed))
    size = sum(len(key) + len(text) for key, text in metadata.items())
    if size > MOST_CHARACTERS:
        got = Said("{count} characters", count=size)
        allowed = Said("at most {most}", most=MOST_CHARACTERS)
        raise ConfigurationError(Problem(field="metadata", got=got, allowed=allowed))


def _untold(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    more = len(problems) - MOST_TOLD
    if more <= 0:
        return ()
    return (Problem(field="metadata", got=Said("and {count} more problems", count=more)),)


def render_trigger(trigger: Trigger) -> dict[str, str]:
    """
    Return metadata that parses to ``trigger``: what differs from the defaults.

    What was computed from a model, and the resource of a configured pool, have no text.
    """
    values: dict[str, Any] = {
        field.name: getattr(source, field.name)
        for source in (trigger.workload, trigger.policy)
        for field in dataclasses.fields(source)
    }
    target = ScaleTarget(trigger.workload.kind, trigger.workload.name)
    values |= {
        "role": trigger.role,
        "workload": target if trigger.workload.target_stated else None,
        "pool_workloads": trigger.pool_members,
    }
    return {
        key.name: key.form.write(values[key.field])
        for key in KEYS[trigger.role]
        if key.field in values and values[key.field] != key.default
    }


def _ours(metadata: Mapping[str, str]) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """Return the keys that are not KEDA's, ``xFromEnv`` as ``x``."""
    ours = {key: text for key, text in metadata.items() if key not in KEDA_KEYS}
    plain = {key: text for key, text in ours.items() if not key.endswith(FROM_ENV)}
    resolved = {
        key.removesuffix(FROM_ENV): text for key, text in ours.items() if key.endswith(FROM_ENV)
    }
    twice = tuple(
        Problem(
            field=shown(key),
            got=Said("both {one} and {other}", one=shown(key), other=shown(key + FROM_ENV)),
            allowed=Said("one of the two"),
        )
        for key in plain
        if key in resolved
    )
    return resolved | plain, twice


def _as_typed(problem: Problem, metadata: Mapping[str, str]) -> Problem:
    """Return a problem whose field is the key as it stands in the metadata."""
    key, dot, part = problem.field.partition(".")
    if key in metadata or f"{key}{FROM_ENV}" not in metadata:
        return problem
    return dataclasses.replace(problem, field=f"{key}{FROM_ENV}{dot}{part}")


def _role(stated: Mapping[str, str]) -> Role:
    """Return the role; where it cannot be read, the one that more of the other keys fit."""
    text = stated.get("role", Role.INFERENCE.value)
    known = {role.value: role for role in Role}
    return known.get(text) or max(Role, key=lambda role: len(stated.keys() & NAMES[role]))


def _unknown_keys(stated: Mapping[str, str], role: Role) -> tuple[Problem, ...]:
    """Return the problem of each unknown key; no guess for those that nobody is told of."""
    unknown = [key for key in stated if key not in NAMES[role]]
    return tuple(
        _unknown_key(key, role, guess=place < MOST_TOLD) for place, key in enumerate(unknown)
    )


def _unknown_key(key: str, role: Role, *, guess: bool) -> Problem:
    (other,) = set(Role) - {role}
    if key in NAMES[other]:
        return Problem(field=key, got=Said("only with role: {role}", role=other))
    meant = closest(key, NAMES[role]) if guess else None
    allowed = (
        Said("did you mean {meant}?", meant=meant)
        if meant
        else Said("the keys that {page} lists", page="docs/metadata.md")
    )
    return Problem(field=shown(key), got=UNKNOWN_KEY, allowed=allowed)


def _beyond(problems: Collection[Problem], known: AbstractSet[str]) -> tuple[Problem, ...]:
    """Return the problems that do not follow from keys whose problems are known."""
    return tuple(problem for problem in problems if not {problem.field, *problem.others} & known)


def _inference(draft: Draft) -> tuple[Trigger | None, tuple[Problem, ...]]:
    preset: Mapping[str, object] = KNATIVE_PRESET if draft.has("preset") else {}
    capacity, wrong = read_capacity(draft.values, draft.stated, draft.configuration.models)
    values = {
        **preset,
        **units_of(draft.values),
        **draft.values,
        "kv_layout": capacity.kv_layout,
        "kv_capacity": capacity.kv_capacity,
    }
    policy, problems = read_policy(InferencePolicy, values, draft.stated)
    problems += (
        *wrong,
        *target_problems(draft),
        *name_problems(draft),
        *gateway_problems(draft),
    )
    if policy is None:
        return None, problems
    what = {
        field.name: draft.values[field.name]
        for field in dataclasses.fields(InferenceKeys)
        if draft.has(field.name) and field.name != "preset"
    }
    for key, target in (("itl_buckets", policy.itl_target), ("ttft_buckets", policy.ttft_target)):
        what[key] = target is not None and target.percentile is not None
    return Trigger(role=draft.role, workload=_workload(draft, what), policy=policy), problems


def _training(draft: Draft) -> tuple[Trigger | None, tuple[Problem, ...]]:
    pool, problems = _pool(draft)
    values = {"pool_units": UNKNOWN_UNITS, **draft.values}
    if pool is not None:
        values |= {"pool_units": pool.units, "reserved_units": pool.reserved_units}
    policy, more = read_policy(LendingPolicy, values, draft.stated)
    problems += (*more, *borrower_problems(draft), *name_problems(draft))
    if policy is None:
        return None, problems
    trigger = Trigger(
        role=draft.role,
        workload=_workload(draft, {}),
        policy=policy,
        pool_members=pool.workloads if pool else draft.values.get("pool_workloads", ()),
        pool_resource=pool.resource if pool else None,
    )
    return trigger, problems


def _workload(draft: Draft, what: Mapping[str, Any]) -> Workload:
    target = draft.values.get("workload") or ScaleTarget("Deployment", draft.name)
    return Workload(
        namespace=draft.namespace,
        scaled_object=draft.name,
        kind=target.kind,
        name=target.name,
        target_stated=draft.has("workload"),
        prometheus=draft.values.get("prometheus", "default"),
        **what,
    )


def _pool(draft: Draft) -> tuple[Pool | None, tuple[Problem, ...]]:
    """Return the pool that the configuration names; None: stated in the metadata, or wrong."""
    own = ("poolUnits", "reservedUnits", "poolWorkloads")
    if "pool" not in draft.stated:
        return None, member_problems(draft) + tuple(
            Problem(
                field=key,
                got=NOTHING,
                allowed=stated(Said(", or pool: a configured pool's name")),
                others=("pool",),
            )
            for key in ("poolUnits", "poolWorkloads")
            if key not in draft.stated
        )
    both = tuple(
        Problem(
            field=key,
            got=Said("the pool {name} states it; leave it out", name=shown(draft.stated["pool"])),
            others=("pool",),
        )
        for key in own
        if key in draft.stated
    )
    pools = draft.configuration.pools
    return pools.get(draft.values.get("pool", "")), (
        *both,
        *not_named(draft, "pool", pools, Said("pool")),
    )
