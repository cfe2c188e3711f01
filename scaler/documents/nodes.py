"""
Plain nodes (mappings, lists, scalars) read into dataclasses, by the types of their fields.

The counterpart of ``keys.read`` for documents with depth: the same names, the same forms for
scalars, and every problem at once, each with the path of its node (``prometheus.eu1.timeout``).
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar, get_args, get_origin

from scaler.errors import ConfigurationError, Problem
from scaler.ranges import unwrapped

from .forms import PROSE, Form, form_of
from .keys import NO_DEFAULT, closest, default_of, hints_of, key_name, quoted, shown
from .policies import in_typed_words

Made = TypeVar("Made")
Fields = Mapping[str, "dataclasses.Field[Any]"]
A_MAPPING = "a mapping of names to values"
MOST_GUESSES = 100
"""Problems of a document after which nobody's meaning is guessed any more; it takes time."""
UNTOLD = "what is not told here, since it may be secret"
NOTHING = object()
"""What a node with a problem is read as; its problem is in the list."""


def read_into(kind: type[Made], node: object, path: str = "") -> Made:
    """
    Return the value of a dataclass that a node describes; null is the same as absent.

    ``path`` is where the node stands in its document.

    Raises:
        ConfigurationError: with every problem there is.
    """
    value, problems = read_known(kind, node, path)
    if problems or value is None:
        raise ConfigurationError(*problems)
    return value


def read_known(
    kind: type[Made], node: object, path: str = ""
) -> tuple[Made | None, tuple[Problem, ...]]:
    """Return the value beside all problems; unknown keys do not keep it from being made."""
    reader = _Reader()
    value = reader.dataclass(kind, node, path)
    return (value if isinstance(value, kind) else None), tuple(reader.problems)


class _Reader:
    """Walks one document and gathers its problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def dataclass(self, kind: type, node: object, path: str) -> Any:  # noqa: ANN401
        if not isinstance(node, dict):
            return self._refuse(path, node, A_MAPPING)
        stated = {str(name): item for name, item in node.items() if item is not None}
        keys = {key_name(field.name): field for field in dataclasses.fields(kind)}
        hints = hints_of(kind)
        self._unknown(stated, keys, path)
        values = {
            field.name: self._field(field, hints[field.name], stated[name], _at(path, name))
            for name, field in keys.items()
            if name in stated
        }
        self._missing(stated, keys, path)
        made = self._made(kind, values, stated, path)
        return NOTHING if _lacks(values.values()) else made

    def _field(self, field: "dataclasses.Field[Any]", hint: Any, node: object, path: str) -> Any:  # noqa: ANN401
        """Return a field's value; what may be secret (it has no ``repr``) is never told of."""
        before = len(self.problems)
        value = self.value(field.name, hint, node, path)
        if not field.repr:
            self.problems[before:] = [
                dataclasses.replace(problem, got=UNTOLD) for problem in self.problems[before:]
            ]
        return value

    def value(self, name: str, hint: Any, node: object, path: str) -> Any:  # noqa: ANN401
        """Return the value of one field (or part of one), by its type."""
        bare, marks = unwrapped(hint)
        if bare is Any:
            return node
        if bare is str and not marks:
            return self._scalar(PROSE, node, path)
        if dataclasses.is_dataclass(bare) and isinstance(bare, type):
            return self.dataclass(bare, node, path)
        if get_origin(bare) is Mapping:
            return self._by_name(name, get_args(bare)[1], node, path)
        if get_origin(bare) is tuple:
            return self._tuple(name, get_args(bare)[0], node, path)
        return self._scalar(form_of(name, hint), node, path)

    def _by_name(self, name: str, part: Any, node: object, path: str) -> Any:  # noqa: ANN401
        if not isinstance(node, dict):
            return self._refuse(path, node, A_MAPPING)
        values = {
            str(key): self.value(name, part, item, _at(path, str(key)))
            for key, item in node.items()
        }
        return NOTHING if _lacks(values.values()) else values

    def _tuple(self, name: str, part: Any, node: object, path: str) -> Any:  # noqa: ANN401
        """Return a list's values; pairs are written as a mapping."""
        if get_origin(part) is tuple:
            pairs = self._by_name(name, str, node, path)
            return pairs if pairs is NOTHING else tuple(pairs.items())
        if not isinstance(node, list):
            return self._refuse(path, node, "a list")
        values = tuple(
            self.value(name, part, item, f"{path}[{place}]") for place, item in enumerate(node)
        )
        return NOTHING if _lacks(values) else values

    def _scalar(self, form: Form, node: object, path: str) -> Any:  # noqa: ANN401
        text = scalar_text(node)
        if text is None:
            return self._refuse(path, node, form.allowed)
        try:
            return form.read(text)
        except ValueError:
            return self._refuse(path, node, form.allowed)

    def _made(
        self, kind: type, values: Mapping[str, Any], stated: Mapping[str, object], path: str
    ) -> Any:  # noqa: ANN401
        """Return the value; without what could not be read, to find what else is wrong with it."""
        good = {name: value for name, value in values.items() if value is not NOTHING}
        if any(
            default_of(field) is NO_DEFAULT and field.name not in good
            for field in dataclasses.fields(kind)
        ):
            return NOTHING
        try:
            return kind(**good)
        except ConfigurationError as error:
            texts = {key: text for key in stated if (text := scalar_text(stated[key])) is not None}
            hints = hints_of(kind)
            told = {field.name for field in dataclasses.fields(kind) if field.repr}
            forms = {
                name: form_of(name, hints[name])
                for name in good
                if name in told and key_name(name) in texts
            }
            self.problems += (
                dataclasses.replace(worded, field=_at(path, worded.field))
                for problem in error.problems
                if values.get(problem.field) is not NOTHING
                for worded in (in_typed_words(problem, forms, texts),)
            )
            return NOTHING

    def _unknown(self, stated: Iterable[str], known: Collection[str], path: str) -> None:
        for name in stated:
            if name not in known:
                meant = closest(name, known) if len(self.problems) < MOST_GUESSES else None
                allowed = f"did you mean {meant}?" if meant else ", ".join(known)
                field = _at(path, shown(name))
                problem = Problem(field=field, got="an unknown key", allowed=allowed)
                self.problems.append(problem)

    def _missing(self, stated: Collection[str], keys: Fields, path: str) -> None:
        self.problems += (
            Problem(field=_at(path, name), got="nothing", allowed="stated")
            for name, field in keys.items()
            if name not in stated and default_of(field) is NO_DEFAULT
        )

    def _refuse(self, path: str, node: object, allowed: str) -> object:
        got = "nothing" if node is None else quoted(scalar_text(node) or type(node).__name__)
        self.problems.append(Problem(field=path or "document", got=got, allowed=allowed))
        return NOTHING


def scalar_text(node: object) -> str | None:
    """Return a scalar as it would be typed; None for what is none."""
    if isinstance(node, bool):
        return "true" if node else "false"
    return str(node) if isinstance(node, str | int | float) else None


def _lacks(values: Iterable[object]) -> bool:
    return any(value is NOTHING for value in values)


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
