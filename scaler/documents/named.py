"""
What a trigger may name: servers, engines, pools, targets, and other namespaces' things.

Whoever may write a ScaledObject in a namespace reads what is there and what the configuration
opens to it; what is closed to a namespace is not told of either.
"""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from scaler.configuration import Configuration
from scaler.errors import NOTHING, Problem, stated_since
from scaler.said import Said
from scaler.source import Role

from .engines import engine_names
from .gateways import gateway_names, gateway_profile
from .keys import closest, key_name, quoted
from .names import INFERENCE_KINDS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A trigger whose texts are read, each by itself; nothing of it is checked together yet."""

    namespace: str
    name: str
    role: Role
    stated: Mapping[str, str]
    """Texts by key."""
    values: Mapping[str, Any]
    """Values by field, of the texts that could be read."""
    configuration: Configuration

    def has(self, field: str) -> bool:
        return field in self.values


def member_problems(draft: Draft) -> tuple[Problem, ...]:
    """Return the members that the configuration lets nobody of this namespace name."""
    permitted = draft.configuration.pool_namespaces
    if permitted is None:
        return ()
    open_to = (draft.namespace, *permitted)
    allowed = Said(
        "workloads of a namespace that poolNamespaces permits: {names}", names=", ".join(open_to)
    )
    return tuple(
        Problem(field="poolWorkloads", got=member, allowed=allowed)
        for member in draft.values.get("pool_workloads", ())
        if member.partition("/")[0] not in open_to
    )


def name_problems(draft: Draft) -> tuple[Problem, ...]:
    """Return the names that neither the configuration nor a built-in list has."""
    named = draft.configuration
    return (
        *_server_problems(draft),
        *not_named(draft, "engine", engine_names(named), Said("engine")),
        *not_named(draft, "gateway", gateway_names(named), Said("gateway")),
        *not_named(draft, "arrival_query", named.queries, Said("query")),
    )


def _server_problems(draft: Draft) -> tuple[Problem, ...]:
    """Return what is wrong with the server; those closed to the namespace are not told of."""
    servers = draft.configuration.prometheus
    if not servers:
        return not_named(draft, "prometheus", ("default",), Said("Prometheus server"))
    known = [name for name, server in servers.items() if server.is_open_to(draft.namespace)]
    if draft.has("prometheus") or "prometheus" in draft.stated or "default" in known:
        return not_named(draft, "prometheus", known, Said("Prometheus server"))
    names = one_of(known) if known else Said("a server; none is open to you")
    return (Problem(field="prometheus", got=NOTHING, allowed=names),)


def not_named(draft: Draft, field: str, known: Collection[str], kind: str) -> tuple[Problem, ...]:
    name = draft.values.get(field)
    if name is None or name in known:
        return ()
    meant = closest(name, known)
    names = one_of(known) if known else Said("a configured {kind}; there is none", kind=kind)
    allowed = Said("did you mean {meant}? ({names})", meant=meant, names=names) if meant else names
    return (Problem(field=key_name(field), got=quoted(name), allowed=allowed),)


def one_of(names: Collection[str]) -> Said:
    return Said("one of {names}", names=", ".join(sorted(names)))


def target_problems(draft: Draft) -> tuple[Problem, ...]:
    """Return the problem of a target whose pods could not be told from others."""
    target = draft.values.get("workload")
    if target is None or target.kind in INFERENCE_KINDS or "selector" in draft.stated:
        return ()
    kinds = ", ".join(INFERENCE_KINDS)
    return (
        Problem(
            field="workload",
            got=quoted(str(target)),
            allowed=Said("{kinds}; another kind with a selector for its series", kinds=kinds),
        ),
    )


def borrower_problems(draft: Draft) -> tuple[Problem, ...]:
    target = draft.values.get("workload")
    if target is None or target.kind != "Job":
        return ()
    allowed = Said(
        "a kind with a scale subresource: for a Job, the ReclaimableJob that refers to it"
    )
    return (Problem(field="workload", got=quoted(str(target)), allowed=allowed),)


def _unselected(draft: Draft) -> tuple[Problem, ...]:
    """Return what a trigger must say at a gateway whose rows do not say whose they are."""
    name = draft.values.get("gateway")
    profile = None if name is None else gateway_profile(draft.configuration, name)
    if profile is None or profile.ties_rows_to_workloads:
        return ()
    allowed = Said("labels of this workload's series at the gateway {name}", name=name)
    return (Problem(field="gatewaySelector", got=NOTHING, allowed=allowed, others=("gateway",)),)


def gateway_problems(draft: Draft) -> tuple[Problem, ...]:
    """Return what a gateway's selector may not say, and where one is needed."""
    selector = dict(draft.values.get("gateway_selector", ()))
    if not selector:
        return () if "gatewaySelector" in draft.stated else _unselected(draft)
    problems = []
    if "gateway" not in draft.stated:
        allowed, others = stated_since("gatewaySelector"), ("gatewaySelector",)
        problems.append(Problem(field="gateway", got=NOTHING, allowed=allowed, others=others))
    elsewhere = selector.get("namespace", draft.namespace)
    permitted = (draft.namespace, *draft.configuration.gateway_namespaces)
    if elsewhere not in permitted:
        problems.append(
            Problem(
                field="gatewaySelector",
                got=f"namespace={elsewhere}",
                allowed=Said(
                    "a namespace that gatewayNamespaces permits: {names}",
                    names=", ".join(permitted),
                ),
            )
        )
    return tuple(problems)
