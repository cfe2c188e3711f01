"""An object as the API's JSON, and a refusal as values: what needs no client to be read."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

Manifest = dict[str, Any]
Key = tuple[str, str]
"""Namespace (empty: of the cluster) and name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An API call that failed: its HTTP status (None: the API was not reached), and why."""

    status: int | None
    message: str


def key_of(manifest: Manifest) -> Key:
    """Return an object's namespace (empty: of the cluster) and name."""
    meta = manifest["metadata"]
    return meta.get("namespace", ""), meta["name"]


def at_path(value: Mapping[str, Any], path: Sequence[str], default: Any = None) -> Any:  # noqa: ANN401
    """Return what lies at a path of keys, or the default."""
    found: Any = value
    for key in path:
        if not isinstance(found, Mapping) or found.get(key) is None:
            return default
        found = found[key]
    return found
