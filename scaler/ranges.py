"""
What a number may be, declared in its field's own type: ``Annotated[float, Range(ge=6, le=3600)]``.

Validation, the JSON Schemas and the reference pages read this one declaration. The four bounds
have the names that annotated-types and pydantic gave them.
"""

import dataclasses
import functools
import math
import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from scaler.errors import Problem
from scaler.numerals import decimal_text
from scaler.said import Said


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers between two bounds, in the unit of their field; NaN is in none."""

    ge: float = -math.inf
    gt: float | None = None
    le: float | None = None
    lt: float = math.inf
    """Without ``le``: by itself, any finite number."""
    words: Said | None = None
    """What is allowed, where a person is told so in other words than the bounds'."""

    def __contains__(self, number: float) -> bool:
        """Say whether a number is within the bounds."""
        above = number >= self.ge if self.gt is None else number > self.gt
        below = number < self.lt if self.le is None else number <= self.le
        return above and below

    @property
    def allowed(self) -> str:
        """The bounds as a person is told them, without a unit."""
        if self.words is not None:
            return self.words
        floor = (
            Said("at least {low:g}", low=self.ge)
            if self.gt is None
            else Said("above {low:g}", low=self.gt)
        )
        if self.le == math.inf:
            return floor
        if self.le is not None:
            ceiling = Said("at most {high:g}", high=self.le)
        elif self.lt == math.inf:
            return Said("{floor} and finite", floor=floor)
        else:
            ceiling = Said("below {high:g}", high=self.lt)
        return Said("{floor} and {ceiling}", floor=floor, ceiling=ceiling)

    def problems(self, field: str, number: float | None) -> tuple[Problem, ...]:
        """Return the problem of a field outside of it; None (not stated) is always allowed."""
        if number is None or number in self:
            return ()
        return (Problem(field=field, got=decimal_text(number), allowed=self.allowed),)


def range_problems(value: object, **narrower: Range) -> tuple[Problem, ...]:
    """Return the fields of a dataclass outside their ranges; ``narrower`` hold for this one."""
    kind: type = type(value)
    return tuple(
        problem
        for field, declared in ranges_of(kind).items()
        for problem in narrower.get(field, declared).problems(field, getattr(value, field))
    )


@functools.cache
def ranges_of(kind: type) -> Mapping[str, Range]:
    """Return the ranges that the fields of a dataclass declare, by field."""
    hints = get_type_hints(kind, include_extras=True)
    ranges = {field: range_of(hint) for field, hint in hints.items()}
    return {field: declared for field, declared in ranges.items() if declared is not None}


def range_of(hint: Any) -> Range | None:  # noqa: ANN401 - a type hint is any object
    """Return the range that a field's type declares; None: it has none."""
    return next((mark for mark in unwrapped(hint)[1] if isinstance(mark, Range)), None)


def unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:  # noqa: ANN401
    """Return a type without its annotations and its None, and those annotations."""
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        bare, more = unwrapped(inner)
        return bare, (*marks, *more)
    if get_origin(hint) in {Union, types.UnionType}:
        (inner,) = [part for part in get_args(hint) if part is not types.NoneType]
        return unwrapped(inner)
    return hint, ()
