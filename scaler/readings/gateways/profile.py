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
from scaler.readings.spellings import Meaning, Renames, Spelling
from scaler.readings.written import Written
from scaler.source import Workload

Selection = tuple[tuple[str, str], ...]
"""Labels and patterns of rows, with ``$namespace`` and ``$workload`` in them."""

_READINGS = ("in_flight", "waiting", "arrivals")
_KEYS = (
    "over",
    "select",
    "in_flight",
    "waiting",
    "arrivals",
    "none_while",
    "cannot_wake",
    "prefixes",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A gauge that is there as long as the gateway is: while it is fresh, no row means none."""

    reading: Reading
    select: Selection = ()
    of: tuple[str, ...] = _READINGS
    """Of which readings no row means none then."""


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
    selections: tuple[Selection, ...] = ()
    """Which rows are a workload's: of several, the first that has a label which its trigger's
    selector names, else the first."""
    signs: tuple[Sign, ...] = ()
    """What shows the gateway to be there (``none_while``)."""
    cannot_wake: str | None = None
    """Why no request that comes at zero replicas shows in its readings."""
    namespaces: tuple[str, ...] = ()
    """Namespaces beside the workload's own whose rows it may select freely."""

    @property
    def ties_rows_to_workloads(self) -> bool:
        """Whether its rows say whose they are; else a trigger must say which are its own."""
        patterns = (pattern for selection in self.selections for _, pattern in selection)
        return any("$" in pattern for pattern in patterns)

    @property
    def readings(self) -> Iterator[Reading]:
        """Every reading of requests."""
        yield from (*self.in_flight, *self.waiting, *self.arrivals)

    def spelled(self, spelling: Spelling) -> "GatewayProfile":
        """Return the profile with every name that each of its metrics is stored under."""

        def gauges(readings: Sequence[Reading]) -> tuple[Reading, ...]:
            return tuple(spelling.reading(one) for one in readings)

        return dataclasses.replace(
            self,
            in_flight=gauges(self.in_flight),
            waiting=gauges(self.waiting),
            arrivals=tuple(spelling.reading(one, Meaning.COUNTER) for one in self.arrivals),
            signs=tuple(
                dataclasses.replace(sign, reading=spelling.reading(sign.reading))
                for sign in self.signs
            ),
        )


def shipped_gateways() -> dict[str, GatewayProfile]:
    """Return the presets that come with the package, by name."""
    return parse_gateways(shipped_documents())


def shipped_documents() -> dict[str, Any]:
    """Return the presets that come with the package as they are written, by name."""
    return {
        entry.name.removesuffix(".yaml"): yaml.safe_load(entry.read_text(encoding="utf-8"))
        for entry in importlib.resources.files(__package__).iterdir()
        if entry.name.endswith(".yaml")
    }


def parse_gateways(
    documents: Mapping[str, Any], *, renames: Renames = ()
) -> dict[str, GatewayProfile]:
    """
    Read profiles, by name; each metric under every name that it is stored under.

    Raises:
        ConfigurationError: every problem of every document.
    """
    problems: list[Problem] = []
    profiles = {
        name: _profile(Written(f"gateways.{name}", problems), name, document, renames)
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
    chosen = _selection(profile, stated)
    kept = {label: pattern for label, pattern in chosen if label not in stated}
    found = {**{label: _filled(pattern, names) for label, pattern in kept.items()}, **stated}
    if not any("$namespace" in pattern for pattern in kept.values()):
        found.setdefault("namespace", any_name((workload.namespace, *profile.namespaces)))
    return found


def rows_of_sign(sign: Sign, profile: GatewayProfile, workload: Workload) -> dict[str, str]:
    """Return the same of a gauge that shows the gateway to be there."""
    names = {"namespace": re.escape(workload.namespace), "workload": re.escape(workload.name)}
    rows = rows_of(profile, workload)
    found = {label: _filled(pattern, {**names, **rows}) for label, pattern in sign.select}
    if not any("$namespace" in pattern for _, pattern in sign.select):
        found.setdefault("namespace", any_name((workload.namespace, *profile.namespaces)))
    return found


def any_of(selections: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """
    Return the patterns of the rows of several workloads: each one's, and maybe more.

    A label that only some of them select by is left out.
    """
    shared = set.intersection(*(set(selection) for selection in selections))
    return {label: _either({selection[label] for selection in selections}) for label in shared}


def _selection(profile: GatewayProfile, stated: Collection[str]) -> Selection:
    """Return the selection of the release, or the kind of row, that a trigger's labels are of."""
    named = (one for one in profile.selections if any(label in stated for label, _ in one))
    return next(named, profile.selections[0] if profile.selections else ())


def _filled(pattern: str, names: Mapping[str, str]) -> str:
    return string.Template(pattern).safe_substitute(names)


def _either(patterns: Collection[str]) -> str:
    if len(patterns) == 1:
        return next(iter(patterns))
    return "|".join(f"(?:{pattern})" for pattern in sorted(patterns))


def _profile(document: Written, name: str, written: object, renames: Renames) -> GatewayProfile:
    fields = document.mapping("", written, _KEYS)
    over = document.texts("over", fields.get("over"))
    selections = _selections(document, fields.get("select", {}))
    labels = {label for selection in selections for label, _ in selection}
    profile = GatewayProfile(
        name=name,
        in_flight=_parts(document, "in_flight", fields.get("in_flight"), over),
        waiting=_parts(document, "waiting", fields.get("waiting"), over),
        arrivals=_parts(document, "arrivals", fields.get("arrivals"), over),
        selections=selections,
        signs=_signs(document, fields.get("none_while"), over, labels),
        cannot_wake=None if (why := fields.get("cannot_wake")) is None else str(why),
    )
    if not any(profile.readings):
        document.problem("in_flight", "nothing", "in_flight or waiting, or arrivals")
    if profile.in_flight and profile.waiting:
        document.problem("waiting", "beside in_flight", "one of the two: what the gauge counts")
    prefixes = document.texts("prefixes", fields.get("prefixes"))
    return profile.spelled(Spelling(prefixes=prefixes, renames=renames))


def _parts(
    document: Written, where: str, written: object, over: tuple[str, ...]
) -> tuple[Reading, ...]:
    if written is None:
        return ()
    parts = written if isinstance(written, list) else [written]
    return tuple(document.reading(where, part, over) for part in parts)


def _signs(
    document: Written, written: object, over: tuple[str, ...], labels: Collection[str]
) -> tuple[Sign, ...]:
    """Read one sign, or a list of them: any of them will do."""
    if written is None:
        return ()
    signs = []
    for one in written if isinstance(written, list) else [written]:
        fields = document.mapping("none_while", one, ("metric", "select", "of"))
        of = document.texts("none_while.of", fields.get("of")) or _READINGS
        for unknown in sorted({*of} - {*_READINGS}):
            document.problem("none_while.of", unknown, ", ".join(_READINGS))
        select = _patterns(document, "none_while.select", fields.get("select", {}), *sorted(labels))
        reading = document.reading("none_while", {"metrics": fields.get("metric")}, over)
        signs.append(Sign(reading=reading, select=select, of=of))
    return tuple(signs)


def _selections(document: Written, written: object) -> tuple[Selection, ...]:
    """Read one selection, or a list of them for releases that label their rows differently."""
    several = written if isinstance(written, list) else [written]
    found = [_patterns(document, "select", one) for one in several]
    return tuple(one for one in found if one)


def _patterns(document: Written, where: str, written: object, *labels: str) -> Selection:
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
