"""
What a gateway calls the requests that it holds, and which of its rows are a workload's.

A gauge counts all that are in flight through the gateway, or only those that wait in it: a profile
says which. Profiles are data; a user adds one in the configuration in the same format.
"""

import dataclasses
import importlib.resources
import re
import string
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import yaml

from scaler.errors import ConfigurationError, Problem
from scaler.readings.promql import any_of as any_name
from scaler.readings.readings import Reading
from scaler.readings.written import Written
from scaler.source import Workload

_KEYS = ("over", "select", "in_flight", "waiting", "arrivals", "none_while")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GatewayProfile:
    """Where a gateway's readings are found; the parts of a reading are added."""

    name: str
    in_flight: tuple[Reading, ...] = ()
    """Gauges of all requests that came and are not answered."""
    waiting: tuple[Reading, ...] = ()
    """Gauges of the requests that no engine has yet."""
    arrivals: tuple[Reading, ...] = ()
    """Counters of the requests that came."""
    select: tuple[tuple[str, str], ...] = ()
    """Labels and patterns of a workload's rows, with ``$namespace`` and ``$workload`` in them."""
    none_while: str | None = None
    """A gauge that is there as long as the gateway is: while it is fresh, no row means none."""
    none_while_select: tuple[tuple[str, str], ...] = ()
    namespaces: tuple[str, ...] = ()
    """Namespaces beside the workload's own whose rows it may select freely."""

    @property
    def readings(self) -> Iterator[Reading]:
        """Every reading."""
        yield from (*self.in_flight, *self.waiting, *self.arrivals)


def shipped_gateways() -> dict[str, GatewayProfile]:
    """Return the presets that come with the package, by name."""
    documents = {
        entry.name.removesuffix(".yaml"): yaml.safe_load(entry.read_text(encoding="utf-8"))
        for entry in importlib.resources.files(__package__).iterdir()
        if entry.name.endswith(".yaml")
    }
    return parse_gateways(documents)


def parse_gateways(documents: Mapping[str, Any]) -> dict[str, GatewayProfile]:
    """
    Read profiles, by name.

    Raises:
        ConfigurationError: every problem of every document.
    """
    problems: list[Problem] = []
    profiles = {
        name: _profile(Written(f"gateways.{name}", problems), name, document)
        for name, document in documents.items()
    }
    if problems:
        raise ConfigurationError(*problems)
    return profiles


def rows_of(profile: GatewayProfile, workload: Workload) -> dict[str, str]:
    """
    Return, by label, the regular expressions of a workload's rows.

    What its own selector says of a label comes in place of the profile's pattern. Where no
    pattern ties the rows to the workload's namespace, they are of a gateway there, or of one in a
    namespace that the configuration allows: nobody wakes on the requests of somebody else.
    """
    names = {"namespace": re.escape(workload.namespace), "workload": re.escape(workload.name)}
    stated = {label: re.escape(value) for label, value in workload.gateway_selector}
    kept = {label: pattern for label, pattern in profile.select if label not in stated}
    found = {**{label: _filled(pattern, names) for label, pattern in kept.items()}, **stated}
    if not any("$namespace" in pattern for pattern in kept.values()):
        found.setdefault("namespace", any_name((workload.namespace, *profile.namespaces)))
    return found


def signs_of(profile: GatewayProfile, workload: Workload) -> dict[str, str]:
    """Return the same of the gauge that shows the gateway to be there."""
    names = {"namespace": re.escape(workload.namespace), "workload": re.escape(workload.name)}
    names.update(rows_of(profile, workload))
    return {label: _filled(pattern, names) for label, pattern in profile.none_while_select}


def any_of(selections: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """
    Return the patterns of the rows of several workloads: each one's, and maybe more.

    A label that only some of them select by is left out.
    """
    shared = set.intersection(*(set(selection) for selection in selections))
    return {label: _either({selection[label] for selection in selections}) for label in shared}


def _filled(pattern: str, names: Mapping[str, str]) -> str:
    return string.Template(pattern).safe_substitute(names)


def _either(patterns: Collection[str]) -> str:
    if len(patterns) == 1:
        return next(iter(patterns))
    return "|".join(f"(?:{pattern})" for pattern in sorted(patterns))


def _profile(document: Written, name: str, written: object) -> GatewayProfile:
    fields = document.mapping("", written, _KEYS)
    over = document.texts("over", fields.get("over", ["namespace", "pod", "instance"]))
    alive = document.mapping("none_while", fields.get("none_while", {}), ("metric", "select"))
    select = _patterns(document, "select", fields.get("select", {}))
    profile = GatewayProfile(
        name=name,
        in_flight=_parts(document, "in_flight", fields.get("in_flight"), over),
        waiting=_parts(document, "waiting", fields.get("waiting"), over),
        arrivals=_parts(document, "arrivals", fields.get("arrivals"), over),
        select=select,
        none_while=str(alive["metric"]) if "metric" in alive else None,
        none_while_select=_patterns(
            document, "none_while.select", alive.get("select", {}), *(label for label, _ in select)
        ),
    )
    if not any(profile.readings):
        document.problem("in_flight", "nothing", "in_flight or waiting, or arrivals")
    if profile.in_flight and profile.waiting:
        document.problem("waiting", "beside in_flight", "one of the two: what the gauge counts")
    return profile


def _parts(
    document: Written, where: str, written: object, over: tuple[str, ...]
) -> tuple[Reading, ...]:
    if written is None:
        return ()
    parts = written if isinstance(written, list) else [written]
    return tuple(document.reading(where, part, over) for part in parts)


def _patterns(
    document: Written, where: str, written: object, *labels: str
) -> tuple[tuple[str, str], ...]:
    """Read patterns, in which two placeholders and the labels of another selection may stand."""
    names = dict.fromkeys(("namespace", "workload", *labels), "n")
    found = []
    for label, pattern in document.mapping(where, written, None).items():
        try:
            re.compile(string.Template(str(pattern)).substitute(names))
        except (KeyError, ValueError, re.error) as error:
            known = ", ".join(f"${name}" for name in names)
            document.problem(
                f"{where}.{label}",
                f"{pattern} ({error})",
                f"a regular expression, in which {known} may stand ($$ is a dollar sign)",
            )
            continue
        found.append((label, str(pattern)))
    return tuple(found)
