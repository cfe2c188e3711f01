"""
The keys that a document may have, made from the dataclass that it is read into.

One declaration: a field ``stable_window_s`` of a policy is the key ``stableWindow``; its type says
how the text is read, its default what holds when the key is absent, its docstring what it means.
A new field is a new key by itself. ``read`` finds every problem of a document in one pass.
"""

import ast
import dataclasses
import difflib
import functools
import inspect
import itertools
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

from scaler.decision.policy import Written
from scaler.errors import ConfigurationError, Problem
from scaler.ranges import Range, range_of, unwrapped

from .forms import Form, form_of

NO_DEFAULT = dataclasses.MISSING
LONGEST_NAME = 80
"""Characters of a typed name that an error shows as they are."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a document."""

    name: str
    """As a person types it: ``stableWindow``."""
    field: str
    """The field of the dataclass: ``stable_window_s``."""
    form: Form
    default: Any
    """Value where the key is absent; :data:`NO_DEFAULT`: it must be there."""
    range: Range | None = None
    """What its number may be; None: any, or it is no number."""


@functools.cache
def hints_of(kind: type) -> Mapping[str, Any]:
    """Return the types of a dataclass' fields with their annotations."""
    return get_type_hints(kind, include_extras=True)


@functools.cache
def keys_of(kind: type) -> tuple[Key, ...]:
    """Return the keys of a dataclass in its order; fields that are computed are none."""
    hints = hints_of(kind)
    return tuple(
        Key(
            name=key_name(field.name),
            field=field.name,
            form=form_of(field.name, hints[field.name]),
            default=default_of(field),
            range=range_of(hints[field.name]),
        )
        for field in dataclasses.fields(kind)
        if Written.COMPUTED not in unwrapped(hints[field.name])[1]
    )


def default_of(field: "dataclasses.Field[Any]") -> Any:  # noqa: ANN401 - a default is any value
    """Return what a field is without being stated; :data:`NO_DEFAULT` where it must be stated."""
    if field.default_factory is dataclasses.MISSING:
        return field.default
    return field.default_factory()


def key_name(field: str) -> str:
    """Return the key of a field: camelCase, GiB as GiB, durations without their ``_s``."""
    first, *others = field.removesuffix("_s").split("_")
    return first + "".join("GiB" if word == "gib" else word.capitalize() for word in others)


def attribute_docstrings(kind: type) -> dict[str, str]:
    """Return the text under each field of a dataclass, as its source has it, on one line."""
    (declared,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(declared, ast.ClassDef)  # noqa: S101 - inspect promises it
    return {
        statement.target.id: " ".join(below.value.value.split())
        for statement, below in itertools.pairwise(declared.body)
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def read(
    keys: Iterable[Key], stated: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """
    Return the values of the keys that are there, by field, and every problem in reading them.

    Keys of ``stated`` that are not among ``keys`` are left to the caller.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for key in keys:
        if key.name not in stated:
            continue
        text = stated[key.name]
        try:
            values[key.field] = key.form.read(text)
        except ConfigurationError as error:
            problems += (
                dataclasses.replace(problem, field=_inner(key.name, problem.field))
                for problem in error.problems
            )
        except ValueError:
            problems.append(Problem(field=key.name, got=quoted(text), allowed=key.form.allowed))
    return values, tuple(problems)


def quoted(text: str) -> str:
    """Return a text as an error shows it: in quotes, a long one cut."""
    return repr(text if len(text) <= LONGEST_NAME else f"{text[:77]}...")


def shown(name: str) -> str:
    """Return a name that somebody typed as an error says it: a plain one as it is, else quoted."""
    plain = len(name) <= LONGEST_NAME and name.isprintable()
    return name if plain else quoted(name)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant; None where nothing is near."""
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.65)
    return folded[near[0]] if near else None


def _inner(key: str, field: str) -> str:
    """Return where in a key's value a problem is: ``stepCost.a`` for ``step_cost.a``."""
    _, dot, part = field.rpartition(".")
    return f"{key}{dot}{part if dot else ''}"
