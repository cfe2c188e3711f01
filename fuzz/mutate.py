"""
Changes of documents, for what is read as JSON: of random bytes hardly any is a document still.

A value somewhere in it becomes another one, goes, or comes twice.
"""

import json
import random
from collections.abc import Callable
from typing import Any

from .seeds import PIECES

Mutate = Callable[[bytes, int], bytes]

_BYTEWISE = 0.2
"""Share of the changes after which it may be no document any more: that is read as well."""


def mutated(data: bytes, most: int, rng: random.Random, bytewise: Mutate) -> bytes:
    """Return the data with one value changed, at most so long; what is no JSON changes bytewise."""
    if rng.random() < _BYTEWISE:
        return bytewise(data, most)
    try:
        document = [json.loads(data)]
        _change(rng.choice(list(_inner(document))), rng)
        changed = "\n".join(map(json.dumps, document)).encode()
    except (ValueError, RecursionError):
        return bytewise(data, most)
    return changed if len(changed) <= most else bytewise(data, most)


def _inner(value: Any) -> Any:  # noqa: ANN401 -- JSON
    """Yield the lists and mappings in a document that hold something."""
    if isinstance(value, dict | list) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _inner(inner)


def _change(holder: Any, rng: random.Random) -> None:  # noqa: ANN401
    """Change one value of a list or a mapping."""
    place = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    way = rng.randrange(4)
    if way == 0:
        del holder[place]
    elif way == 1 and isinstance(holder, list):
        holder.append(holder[place])
    elif way == 1:
        holder[_text(rng)] = holder[place]
    else:
        holder[place] = _value(rng)


def _text(rng: random.Random) -> str:
    return rng.choice(PIECES).decode(errors="replace")


def _value(rng: random.Random) -> Any:  # noqa: ANN401
    """Return a value: what a piece means, or the piece itself."""
    text = _text(rng)
    try:
        return json.loads(text)
    except ValueError:
        return text
