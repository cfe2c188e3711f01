"""
What stands where an engine's readings should be: said, so that nobody has to go and look.

A target that is up and has none of the expected names has others: those of another engine, or the
expected ones as a collector renamed them. Series that are nowhere with a workload's namespace and
pods may be there with other labels. A sentence for each, with what would mend it.
"""

import dataclasses
import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

from scaler.said import Said

from .engines.profile import LIVE, EngineProfile

_SHOWN = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was seen of a workload that none of its engine's series were found of."""

    engine: str
    """The profile that was looked for; ``auto``: any."""
    targets: int = 0
    """Targets of its pods that are scraped."""
    up: int = 0
    """Those of them that answer."""
    names: frozenset[str] = frozenset()
    """Metric names that they have."""
    elsewhere: tuple[Mapping[str, str], ...] = ()
    """Labels of some series with the expected names, of whatever namespace and pod."""
    target: tuple[str, str] = ("", "")
    """Namespace and name of what is scaled, which some of these labels may hold."""


def what_is_there(sight: Sight, profiles: Mapping[str, EngineProfile]) -> str:
    """Return the sentence."""
    looked_for = [profiles[sight.engine]] if sight.engine in profiles else [*profiles.values()]
    expected = _live_names(looked_for)
    engine: str = Said("any engine") if len(looked_for) > 1 else looked_for[0].name
    names = ", ".join(expected[:2])
    series = Said("series of {engine} ({names})", engine=engine, names=names)
    if sight.targets and not sight.up:
        return Said(
            "its pods are scraped, and none of their targets ({targets}) answers",
            targets=sight.targets,
        )
    if sight.up:
        return Said(
            "its pods answer when scraped ({up} up) and have no {series}; {instead}",
            up=sight.up,
            series=series,
            instead=_instead(sight, profiles),
        )
    if sight.elsewhere:
        labelled = _labelled(sight)
        return Said(
            "no {series} are of its pods; there are such {labelled}",
            series=series,
            labelled=labelled,
        )
    return Said("the server has no {series}, and scrapes no pod of it", series=series)


def _instead(sight: Sight, profiles: Mapping[str, EngineProfile]) -> str:
    """Say which profile would fit what is there, else what renaming, else the nearest names."""
    fitting = [name for name, one in profiles.items() if _fits(one, sight.names)]
    if fitting:
        found = _named(profiles[fitting[0]], sight.names)
        return Said(
            "they have those of {engine} ({names}): engine: {engine}",
            engine=fitting[0],
            names=", ".join(found),
        )
    wanted = [profiles[sight.engine]] if sight.engine in profiles else list(profiles.values())
    if renamed := renaming(wanted, sight.names):
        old, new, name = renamed
        return Said(
            'they have {name}: renames: {{"{old}": {new}}} in the configuration reads it',
            name=name,
            old=old,
            new=new,
        )
    near = nearest(_live_names(wanted), sight.names)
    if near:
        return Said("the nearest names there are {names}", names=", ".join(near))
    if sight.names:
        return Said("what they expose is no engine's page")
    return Said("their pages are empty")


def renaming(
    profiles: Iterable[EngineProfile], names: Collection[str]
) -> tuple[str, str, str] | None:
    """Return how an expected name begins, how it begins here, and it; None: nothing is alike."""
    for expected in _live_names(profiles):
        head = expected[: expected.find(":") + 1] or expected[: expected.find("_") + 1]
        tail = expected.removeprefix(head)
        for name in sorted(names):
            if name.endswith(tail) and name != expected and len(tail) > len("running"):
                return head, name.removesuffix(tail), name
    return None


def nearest(expected: Iterable[str], names: Collection[str]) -> tuple[str, ...]:
    """Return the names most like the expected ones, the most alike first."""
    found = (near for name in expected for near in difflib.get_close_matches(name, names, _SHOWN))
    return tuple(dict.fromkeys(found))[:_SHOWN]


def _labelled(sight: Sight) -> str:
    """
    Say under which labels series are: those that hold the workload's names, else pods' beside it.

    A reason is read by whoever may name a workload: of other namespaces it tells nothing.
    """
    namespace, name = sight.target
    holding = [
        {label: text for label, text in row.items() if text == namespace or _is_of(text, name)}
        for row in sight.elsewhere
    ]
    best = max(holding, key=len)
    if not any(_is_of(text, name) for text in best.values()):
        beside = (row for row in sight.elsewhere if namespace in row.values())
        best = next((named for row in beside if (named := _of_pods(row))), {})
    if best:
        told = ", ".join(f"{label}={text}" for label, text in sorted(best.items()))
        mapping = _mapping(best, namespace, name)
        return Said("with {labels}{mapping}", labels=told, mapping=mapping)
    known = {label for row in sight.elsewhere for label in row}
    if not any(_of_pods({label: ""}) for label in known):
        return Said(
            "that no label of a pod or namespace names; they have {labels}",
            labels=", ".join(sorted(known)),
        )
    return Said("of others, and none with the namespace {namespace}", namespace=namespace)


def _mapping(best: Mapping[str, str], namespace: str, name: str) -> str:
    """Return the line of configuration that would read such labels, where they hold both names."""
    of_namespace = next((label for label, text in sorted(best.items()) if text == namespace), None)
    of_pod = next((label for label, text in sorted(best.items()) if _is_of(text, name)), None)
    if of_namespace is None or of_pod is None:
        return ""
    return Said(
        ": the server's labels: {{namespace: {of_namespace}, pod: {of_pod}}} reads them",
        of_namespace=of_namespace,
        of_pod=of_pod,
    )


def _is_of(text: str, name: str) -> bool:
    return bool(name) and text.startswith(f"{name}-")


def _of_pods(row: Mapping[str, str]) -> dict[str, str]:
    parts = ("pod", "namespace")
    return {label: text for label, text in row.items() if any(part in label for part in parts)}


def labels_of(what: str, rows: Sequence[Mapping[str, str]], asked: Collection[str]) -> str:
    """Say which values the labels that were asked by have where series are, at most a few."""
    if not rows:
        return Said("the server has no series of {what} beside it", what=what)
    values = {label: sorted({row.get(label, "") for row in rows}) for label in sorted(asked)}
    shown = "; ".join(
        f"{label} is {' or '.join(text or '(absent)' for text in texts)}"
        for label, texts in values.items()
    )
    return Said("there are series of {what} whose {shown}", what=what, shown=shown)


def _fits(profile: EngineProfile, names: Collection[str]) -> bool:
    return all(any(m in names for m in profile.readings[field].metrics) for field in LIVE)


def _named(profile: EngineProfile, names: Collection[str]) -> list[str]:
    return [next(m for m in profile.readings[field].metrics if m in names) for field in LIVE]


def _live_names(profiles: Iterable[EngineProfile]) -> list[str]:
    return [one.readings[field].rows[0].metric for one in profiles for field in LIVE]
