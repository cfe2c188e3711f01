"""
YAML text into plain nodes, refusing what YAML lets pass and a person never means.

A key twice in one mapping silently loses one of the two; here it is an error, like syntax. A short
text may also describe a document without end (an alias of an alias of an alias), or one that no
stack holds: both are found by its events, before anything is built.
"""

from typing import Any

import yaml

from scaler.errors import ConfigurationError, Problem

MOST_DEPTH = 100
"""Mappings and lists within one another; a ScaledObject needs ten."""
MOST_NODES = 2_000_000
"""Scalars, mappings and lists of one text, those behind an alias counted at each of its uses."""
LONGEST_TOLD = 300
"""Characters of what is wrong with a text."""
LONGEST_NUMBER = 100
"""Characters; a longer one is no number that anybody means."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_Loader):  # type: ignore[misc]
    """SafeLoader that refuses a key given twice, and keeps timestamps as text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the overridden signature
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise _error(f"the key {key.value!r} is there twice", node)
                seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _as_text(loader: Any, node: yaml.ScalarNode) -> str:  # noqa: ANN401
    return str(loader.construct_scalar(node))


def _number(construct: Any) -> Any:  # noqa: ANN401
    """Return a constructor that refuses what would take long to convert, or to print."""

    def constructed(loader: Any, node: yaml.ScalarNode) -> Any:  # noqa: ANN401
        if len(node.value) > LONGEST_NUMBER:
            raise _error(f"a number of {len(node.value)} characters", node)
        try:
            return construct(loader, node)
        except (ValueError, OverflowError) as error:
            raise _error(f"{node.value!r} is no number", node) from error

    return constructed


def _error(problem: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", _as_text)
_StrictLoader.add_constructor("tag:yaml.org,2002:int", _number(_Loader.construct_yaml_int))
_StrictLoader.add_constructor("tag:yaml.org,2002:float", _number(_Loader.construct_yaml_float))


def documents_of(text: str, origin: str) -> list[Any]:
    """
    Return the documents of a YAML text, empty ones left out.

    Raises:
        ConfigurationError: it is not YAML, or too much of it; ``origin`` (a file's name) is the
            field.
    """
    try:
        _refuse_endless(text)
        nodes = list(yaml.load_all(text, Loader=_StrictLoader))
    except yaml.YAMLError as error:
        got = _in_one_line(error)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        got = f"a value that its own tag does not fit ({error})"
    else:
        return [node for node in nodes if node is not None]
    short = got if len(got) <= LONGEST_TOLD else f"{got[:LONGEST_TOLD]}…"
    raise ConfigurationError(Problem(field=origin, got=f"this is no YAML: {short}"))


def _refuse_endless(text: str) -> None:
    """Raise where a text is deeper or larger than any document that a person writes."""
    extent = _Extent()
    for event in yaml.parse(text, Loader=_Loader):
        extent.add(event)


class _Extent:
    """How much a text describes, by its events."""

    def __init__(self) -> None:
        self._count = 0
        self._open: list[tuple[str | None, int]] = []
        """Anchor of each mapping or list that is open, and how many nodes came before it."""
        self._behind: dict[str, int] = {}
        """Nodes behind each anchor of the document at hand."""

    def add(self, event: yaml.Event) -> None:
        """Count a node in, those behind an alias at each of its uses."""
        if isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, self._count))
            self._count += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = self._open.pop()
            self._behind |= {} if anchor is None else {anchor: self._count - before}
        elif isinstance(event, yaml.ScalarEvent):
            self._count += 1
            self._behind |= {} if event.anchor is None else {event.anchor: 1}
        elif isinstance(event, yaml.DocumentStartEvent):
            self._behind.clear()
        if len(self._open) > MOST_DEPTH:
            raise _event_error(f"more than {MOST_DEPTH} nodes within one another", event)
        if self._count > MOST_NODES:
            raise _event_error(f"more than {MOST_NODES} nodes", event)

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self._behind:
            raise _event_error(f"the alias {event.anchor!r} of nothing, or of itself", event)
        self._count += self._behind[event.anchor]


def _event_error(problem: str, event: yaml.Event) -> yaml.YAMLError:
    where: Any = event.start_mark
    return yaml.composer.ComposerError(None, None, problem, where)


def _in_one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"
    return " ".join(str(error).split())
