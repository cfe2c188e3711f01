"""How long prompts or outputs are, as people state it: a mean, and perhaps a 95th percentile."""

import dataclasses
import math
from statistics import NormalDist

from scaler.errors import ConfigurationError, Problem
from scaler.numerals import NUMBER, decimal_text, read_number
from scaler.said import Said

LENGTH = f"{NUMBER}(?::{NUMBER})?"
A_LENGTH = Said("mean or mean:p95, tokens, such as 1200:3000")
P95_DEVIATIONS = NormalDist().inv_cdf(0.95)
LARGEST_P95_RATIO = math.exp(P95_DEVIATIONS**2 / 2)
"""The most that a lognormal's 95th percentile is of its mean: 3.87."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TokenLength:
    """Tokens of a prompt or an output; None: the 95th percentile is not known."""

    mean: float
    p95: float | None = None

    def __post_init__(self) -> None:
        """Refuse lengths that no lognormal has."""
        if not 1 <= self.mean < math.inf:
            raise ConfigurationError(
                Problem(
                    field="tokens",
                    got=decimal_text(self.mean),
                    allowed=Said("a mean of at least 1"),
                )
            )
        if self.p95 is not None and not 1 <= self.p95 / self.mean <= LARGEST_P95_RATIO:
            allowed = Said(
                "a 95th percentile of 1 to {most:.2f} times the mean",
                most=LARGEST_P95_RATIO,
            )
            raise ConfigurationError(
                Problem(
                    field="tokens",
                    got=f"{decimal_text(self.mean)}:{decimal_text(self.p95)}",
                    allowed=allowed,
                )
            )


def read_length(text: str) -> TokenLength:
    """
    Return the lengths that ``mean[:p95]`` states.

    Raises:
        ValueError: it is no such text.
        ConfigurationError: lengths that no lognormal has.
    """
    mean, colon, p95 = text.partition(":")
    return TokenLength(mean=read_number(mean), p95=read_number(p95) if colon else None)


def write_length(length: TokenLength) -> str:
    """Return the text that reads as these lengths."""
    known = (length.mean, *(() if length.p95 is None else (length.p95,)))
    return ":".join(map(decimal_text, known))
