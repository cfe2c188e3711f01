"""
JSON Schemas of trigger metadata and of the configuration, made from the same fields as the parser.

A schema accepts every key that the parser accepts and no other; texts by their form, numbers by
their range. In a text the keywords ``minimum`` and ``maximum`` tell the range of the number that is
written (of a duration: seconds, of a share: 0 to 1); validators look for no number there, and a
pattern refuses what is outside. Keys that need one another are left to the parser.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

from scaler.configuration import Configuration
from scaler.ranges import Range, range_of, unwrapped
from scaler.source import Role

from .forms import Form, form_of
from .keys import NO_DEFAULT, Key, attribute_docstrings, default_of, key_name, keys_of
from .metadata import DECLARED, FROM_ENV, KEDA_KEYS
from .outside import outside

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def metadata_schema() -> Schema:
    """Return the schema of ``spec.triggers[].metadata``: one of two shapes, by its role."""
    return {
        "$schema": DIALECT,
        "title": "Trigger metadata of kvtide",
        "type": "object",
        "if": {"properties": {"role": {"const": str(Role.TRAINING)}}, "required": ["role"]},
        "then": {"$ref": f"#/$defs/{Role.TRAINING}"},
        "else": {"$ref": f"#/$defs/{Role.INFERENCE}"},
        "$defs": {str(role): _of_role(role) for role in Role},
    }


def configuration_schema() -> Schema:
    """Return the schema of the configuration file."""
    return {"$schema": DIALECT, "title": "Configuration of kvtide", **_of_class(Configuration)}


def described_keys(kind: type) -> list[tuple[Key, str]]:
    """Return the keys that a flat dataclass declares, each with what it means, in words of keys."""
    docs, keys = attribute_docstrings(kind), keys_of(kind)
    names = {key.field: key.name for key in keys}

    def in_keys(doc: str) -> str:
        return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), doc)

    return [(key, in_keys(docs.get(key.field, ""))) for key in keys]


def _of_role(role: Role) -> Schema:
    described = [pair for kind in DECLARED[role] for pair in described_keys(kind)]
    names = "|".join(key.name for key, _ in described)
    return {
        "type": "object",
        "properties": {
            **{key.name: _of_key(key, doc) for key, doc in described},
            **{
                name: {"type": "string", "description": "KEDA's own."} for name in sorted(KEDA_KEYS)
            },
        },
        "patternProperties": {
            f"^({names}){FROM_ENV}$": {
                "type": "string",
                "description": "The variable of the scaled container that holds the value.",
            }
        },
        "additionalProperties": False,
    }


def _of_key(key: Key, doc: str) -> Schema:
    schema = _of_text(key.form, key.range)
    if doc:
        schema["description"] = doc
    if default_text(key.form, key.default) is not None:
        schema["default"] = default_text(key.form, key.default)
    return schema


def bounds(declared: Range | None) -> Schema:
    """Return a range in the keywords of JSON Schema; infinite ones are none."""
    if declared is None:
        return {}
    keywords = {
        "minimum": declared.ge if declared.gt is None else None,
        "exclusiveMinimum": declared.gt,
        "maximum": declared.le,
        "exclusiveMaximum": declared.lt if declared.le is None else None,
    }
    return {
        keyword: bound
        for keyword, bound in keywords.items()
        if bound is not None and math.isfinite(bound)
    }


def _of_text(form: Form, declared: Range | None) -> Schema:
    """Return the schema of a text; with a range, of the number in it."""
    if form.choices:
        return {"type": "string", "enum": list(form.choices)}
    refused = outside(declared, form.suffixes) if declared else ""
    return {
        "type": "string",
        "pattern": f"^(?:{form.pattern})$",
        **bounds(declared),
        **({"not": {"pattern": f"^(?:{refused})$"}} if refused else {}),
    }


def default_text(form: Form, default: object) -> str | None:
    """Return a default as it would be typed; None where there is none, or "nothing" is it."""
    if default in (NO_DEFAULT, ()) or (default is None and not form.pattern.startswith("auto|")):
        return None
    return form.write(default)


def _of_class(kind: type) -> Schema:
    """Return the schema of a dataclass in YAML."""
    hints = get_type_hints(kind, include_extras=True)
    docs = attribute_docstrings(kind)
    fields = dataclasses.fields(kind)
    properties = {}
    for field in fields:
        schema = _of_node(field.name, hints[field.name])
        doc = {"description": docs[field.name]} if field.name in docs else {}
        properties[key_name(field.name)] = {**schema, **doc}
    required = [key_name(field.name) for field in fields if default_of(field) is NO_DEFAULT]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _of_node(name: str, hint: Any) -> Schema:  # noqa: ANN401 - a type hint is any object
    """Return the schema of one value in YAML."""
    bare, _ = unwrapped(hint)
    if bare is Any:
        return {}
    if dataclasses.is_dataclass(bare) and isinstance(bare, type):
        return _of_class(bare)
    if get_origin(bare) is Mapping:
        return {"type": "object", "additionalProperties": _of_node(name, get_args(bare)[1])}
    if get_origin(bare) is tuple:
        return _of_tuple(name, get_args(bare)[0])
    return _of_scalar(name, hint)


def _of_tuple(name: str, part: Any) -> Schema:  # noqa: ANN401
    """Return the schema of a list; pairs are written as a mapping."""
    if get_origin(part) is tuple:
        return {"type": "object", "additionalProperties": {"type": list(SCALARS)}}
    return {"type": "array", "items": _of_node(name, part)}


def _of_scalar(name: str, hint: Any) -> Schema:  # noqa: ANN401
    bare, _ = unwrapped(hint)
    if bare is str:
        return {"type": list(SCALARS)}
    declared = range_of(hint)
    text = _of_text(form_of(name, hint), declared)
    native = None if name.endswith("_s") else NATIVE.get(bare)
    return text if native is None else {"anyOf": [{"type": native, **bounds(declared)}, text]}


SCALARS = ("string", "number", "boolean")
NATIVE: Mapping[type, str] = {int: "integer", bool: "boolean", float: "number"}
"""Types that YAML has itself; what has a unit is text."""
