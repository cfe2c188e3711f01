"""
Regular expressions of texts whose number lies outside a range, for JSON Schemas to refuse.

``minimum`` means nothing to a validator where the number is written as text. What is written
plainly (``70``, ``120%``, ``2s``) is told by its digits; with an exponent, or in several units
(``1h30m``), it is left to the parser. No lookarounds: Helm's validator knows none.
"""

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction

from scaler.ranges import Range

ZERO = r"[+-]?(?:0+(?:\.0*)?|\.0+)"
NEGATIVE = r"-[0-9]*(?:[1-9][0-9]*(?:\.[0-9]*)?|\.0*[1-9][0-9]*)"
A_LITTLE_MORE = r"\.0*[1-9][0-9]*"


def outside(declared: Range, units: Mapping[str, Fraction]) -> str:
    """
    Return the pattern of texts outside a range of numbers from 0 up, unanchored; empty: of none.

    ``units`` are what may follow the digits, and how many of each make one of the range's unit.
    """
    told = ((unit, "|".join(_decimals(declared, per_one))) for unit, per_one in units.items())
    return "|".join(f"(?:{decimals}){unit}" for unit, decimals in told if decimals)


def _decimals(declared: Range, per_one: Fraction) -> Iterator[str]:
    """Yield patterns by whole numbers: a broken bound is rounded away from the range, and told."""
    low = declared.ge if declared.gt is None else declared.gt
    high = declared.lt if declared.le is None else declared.le
    below, above = _scaled(low, per_one), _scaled(high, per_one)
    floor = None if below is None else math.floor(below)
    ceiling = None if above is None else math.ceil(above)
    if low >= 0:
        yield NEGATIVE
    if floor:
        yield rf"{ZERO}|[+]?0*\.[0-9]+"
    wholes = "|".join((*_less(floor), *_more(ceiling)))
    if wholes:
        yield rf"[+]?0*(?:{wholes})(?:\.[0-9]*)?"
    if floor is not None and (declared.gt is not None or below != floor):
        yield rf"[+]?0*{floor}(?:\.0*)?" if floor else ZERO
    if ceiling is not None:
        with_it = declared.le is None or above != ceiling
        yield rf"[+]?0*{ceiling or ''}{'(?:[.][0-9]*)?' if with_it else A_LITTLE_MORE}"


def _scaled(bound: float, per_one: Fraction) -> Fraction | None:
    """Return a bound in another unit; None: there is none."""
    return Fraction(str(bound)) * per_one if math.isfinite(bound) else None


def _less(bound: int | None) -> Iterator[str]:
    """Yield patterns of the whole numbers from 1 up to a bound, without it."""
    digits = str(bound or 0)
    if len(digits) > 1:
        yield f"[1-9][0-9]{{0,{len(digits) - 2}}}"
    for place, digit in enumerate(digits):
        least = 0 if place else 1
        if int(digit) > least:
            yield f"{digits[:place]}[{least}-{int(digit) - 1}]{_any(digits, place)}"


def _more(bound: int | None) -> Iterator[str]:
    """Yield patterns of the whole numbers above a bound; None: there is none."""
    if bound is None:
        return
    digits = str(bound or "")
    yield f"[1-9][0-9]{{{len(digits)},}}"
    for place, digit in enumerate(digits):
        if int(digit) < 9:
            yield f"{digits[:place]}[{int(digit) + 1}-9]{_any(digits, place)}"


def _any(digits: str, place: int) -> str:
    """Return the pattern of as many digits as come after a place."""
    after = len(digits) - place - 1
    return f"[0-9]{{{after}}}" if after > 1 else "[0-9]" * after
