"""A latency to stay under, as people state it: on average, or in most cases."""

import dataclasses
import math

from scaler.errors import ConfigurationError, Problem
from scaler.numerals import (
    DURATION,
    UNSIGNED,
    decimal_text,
    matching,
    read_duration,
    write_duration,
)
from scaler.said import Said

LATENCY_TARGET = rf"(?:{DURATION})(?:@p{UNSIGNED})?"
A_LATENCY_TARGET = Said("a duration such as 100ms (the mean), or 100ms@p99 (the 99th percentile)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LatencyTarget:
    """Seconds that the mean stays under; with a percentile, that so many percent stay under."""

    seconds: float
    percentile: float | None = None
    """Of all latencies, percent; None: the target is for their mean."""

    def __post_init__(self) -> None:
        """Refuse what nothing can stay under, and shares that are none."""
        if not 0 < self.seconds < math.inf:
            raise ConfigurationError(
                Problem(
                    field="target", got=decimal_text(self.seconds), allowed=Said("above 0, seconds")
                )
            )
        if self.percentile is not None and not 0 < self.percentile < 100:
            allowed = Said("a percentile above 0 and below 100, such as p99")
            raise ConfigurationError(
                Problem(field="target", got=f"p{self.percentile:g}", allowed=allowed)
            )

    @property
    def share(self) -> float | None:
        """The percentile as a share, 0 to 1; None: the target is for the mean."""
        return None if self.percentile is None else self.percentile / 100


def read_target(text: str) -> LatencyTarget:
    """
    Return the target that ``100ms`` or ``100ms@p99`` states.

    Raises:
        ValueError: it is no such text.
        ConfigurationError: nothing can stay under it.
    """
    matching(LATENCY_TARGET, text)
    duration, at, percentile = text.partition("@p")
    return LatencyTarget(
        seconds=read_duration(duration), percentile=float(percentile) if at else None
    )


def write_target(target: LatencyTarget) -> str:
    """Return the text that reads as this target."""
    share = "" if target.percentile is None else f"@p{decimal_text(target.percentile)}"
    return f"{write_duration(target.seconds)}{share}"
