"""Whether a chart's schema describes every value and refuses any other."""

from collections.abc import Iterator
from typing import Any


def undescribed(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the keys that the schema does not have, and the objects that it leaves open."""
    for key, value in values.items():
        described = schema["properties"].get(key)
        if described is None:
            yield path + key
        elif isinstance(value, dict) and "properties" in described:
            if described.get("additionalProperties") is not False:
                yield f"{path}{key} is open"
            yield from undescribed(value, described, f"{path}{key}.")
