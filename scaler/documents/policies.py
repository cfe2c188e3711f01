"""
Policies from the values that were read, their problems said in the author's words.

A policy names its fields (``stable_window_s: got 2; allowed: at least 6``); whoever typed
``stableWindow: 2s`` is told so.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from scaler.decision.policy import InferencePolicy, LendingPolicy
from scaler.errors import ConfigurationError, Problem
from scaler.said import joined

from .forms import Form
from .keys import key_name, keys_of, quoted

Made = TypeVar("Made", InferencePolicy, LendingPolicy)


def read_policy(
    kind: type[Made], values: Mapping[str, Any], stated: Mapping[str, str]
) -> tuple[Made | None, tuple[Problem, ...]]:
    """
    Return the value made of those ``values`` that are its fields, or what is wrong with it.

    ``stated`` are the texts by key, for the problems to quote.
    """
    fields = [field.name for field in dataclasses.fields(kind)]
    try:
        return kind(**{name: values[name] for name in fields if name in values}), ()
    except ConfigurationError as error:
        declared: type = kind
        forms = {key.field: key.form for key in keys_of(declared)}
        return None, tuple(in_typed_words(problem, forms, stated) for problem in error.problems)


def in_typed_words(
    problem: Problem, forms: Mapping[str, Form], stated: Mapping[str, str]
) -> Problem:
    """
    Return a problem with keys in the place of fields, the text that was typed, and its unit.

    ``forms`` are those of the fields that are written as one text, ``stated`` the texts by key.
    """
    told = problem.renamed(_key_in)
    if not told.allowed or told.field not in stated or problem.field not in forms:
        return told
    unit = forms[problem.field].unit
    return dataclasses.replace(
        told, got=quoted(stated[told.field]), allowed=joined("", (told.allowed, unit))
    )


def _key_in(field: str) -> str:
    """Return a field as a key; what follows it (``queries.my_name``) is its author's already."""
    name, dot, within = field.partition(".")
    return f"{key_name(name)}{dot}{within}" if name.isidentifier() else field
