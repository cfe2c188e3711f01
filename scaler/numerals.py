"""
How numbers and durations are written, wherever a person writes one.

One grammar for metadata, configuration, settings and flags. Reading is strict, so that a typo is an
error and never a different number: ``60`` is no duration, ``1_000`` and ``nan`` are no numbers.
"""

import math
import re
from decimal import Decimal

from scaler.said import Said

NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
UNSIGNED = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
DURATION = rf"(?:{UNSIGNED}(?:ns|us|µs|μs|ms|s|m|h))+|0"
A_DURATION = Said("a duration with its unit such as 500ms, 60s, 5m or 1h30m")
SECONDS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}


def matching(pattern: str, text: str) -> re.Match[str]:
    """Return the match of a whole text; ValueError where it does not match."""
    match = re.fullmatch(pattern, text)
    if match is None:
        raise ValueError(text)
    return match


def read_number(text: str) -> float:
    """Return a decimal number, perhaps with an exponent; ValueError where it is none."""
    return float(matching(NUMBER, text).group())


def decimal_text(value: float) -> str:
    """Return the shortest text of a number, without exponent."""
    if not math.isfinite(value):
        return f"{value:g}"
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def read_duration(text: str) -> float:
    """Return the seconds of a Go duration (time.ParseDuration); ValueError where it is none."""
    matching(DURATION, text)
    amounts = re.findall(rf"({UNSIGNED})([a-zµμ]+)", text)
    return float(sum((Decimal(amount) * SECONDS[unit] for amount, unit in amounts), Decimal(0)))


def write_duration(seconds: float) -> str:
    """Return a duration that reads as these seconds, in the largest unit that fits."""
    for unit in ("h", "m"):
        count = Decimal(repr(seconds)) / SECONDS[unit]
        if count >= 2 and count == count.to_integral_value():
            return f"{count:.0f}{unit}"
    return f"{decimal_text(seconds)}s"
