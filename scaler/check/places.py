"""
Where in a file a finding stands: the line of the field, or of what the field would stand in.

A text is composed anew for it, with the marks that plain values have lost, and only where something
was found.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping

import yaml

from .finding import Finding

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TRIGGERS = "spec.triggers"
_OURS = ("external", "external-push", "external_push")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def placed(findings: Iterable[Finding], texts: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return the findings with the lines of ``texts`` (by file name) that they are about."""
    known: dict[str, dict[str, list[yaml.MappingNode]]] = {}
    made = []
    for finding in findings:
        if finding.origin not in known:
            known[finding.origin] = _objects(texts.get(finding.origin, ""))
        objects = known[finding.origin].get(finding.object, [])
        made.append(_placed(finding, objects[-1]) if objects else finding)
    return tuple(made)


def _placed(finding: Finding, node: yaml.MappingNode) -> Finding:
    field, trigger = finding.field, ""
    if field.startswith(_TRIGGERS):
        at, kind = _ours(node)
        trigger = f"{at + 1} ({kind})" if kind else ""
        field = field.replace(_TRIGGERS, f"{_TRIGGERS}[{at}]", 1) if kind else field
    return dataclasses.replace(finding, line=_line(node, field), trigger=trigger)


def _ours(node: yaml.MappingNode) -> tuple[int, str]:
    """Return which of the triggers is kvtide's, and its type; "": none."""
    listed = _into(_into(node, "spec"), "triggers")
    for at, one in enumerate(listed.value if isinstance(listed, yaml.SequenceNode) else ()):
        kind = _into(one, "type")
        if isinstance(kind, yaml.ScalarNode) and kind.value in _OURS:
            return at, kind.value
    return 0, ""


def _line(node: yaml.Node, field: str) -> int:
    """Return the line of a field, as far as the way to it is there."""
    line = node.start_mark.line
    for name, place in _STEP.findall(field):
        found = _entry(node, name, int(place) if place else None)
        if found is None:
            break
        line, node = found
    return int(line) + 1


def _entry(node: yaml.Node, name: str, place: int | None) -> tuple[int, yaml.Node] | None:
    """Return the line of one step, that of a key rather than of its value, and what is there."""
    if place is not None:
        listed = node.value if isinstance(node, yaml.SequenceNode) else ()
        return (listed[place].start_mark.line, listed[place]) if place < len(listed) else None
    for key, value in _entries(node):
        if key.value == name:
            return key.start_mark.line, value
    return None


def _objects(text: str) -> dict[str, list[yaml.MappingNode]]:
    """Return the objects of a text by ``namespace/name``, those in lists as well."""
    found: dict[str, list[yaml.MappingNode]] = {}
    for document in yaml.compose_all(text, Loader=_Loader):
        for node in _with_items(document):
            meta = _into(node, "metadata")
            name, namespace = _into(meta, "name"), _into(meta, "namespace")
            if isinstance(name, yaml.ScalarNode) and _is_scaled(node):
                where = namespace.value if isinstance(namespace, yaml.ScalarNode) else "default"
                found.setdefault(f"{where}/{name.value}", []).append(node)
    return found


def _with_items(document: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    if isinstance(document, yaml.MappingNode):
        yield document
        items = _into(document, "items")
        for item in items.value if isinstance(items, yaml.SequenceNode) else ():
            yield from _with_items(item)


def _is_scaled(node: yaml.MappingNode) -> bool:
    kind = _into(node, "kind")
    return isinstance(kind, yaml.ScalarNode) and kind.value in ("ScaledObject", "ScaledJob")


def _into(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in _entries(node) if key.value == name), None)


def _entries(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    return node.value if isinstance(node, yaml.MappingNode) else []
