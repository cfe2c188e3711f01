"""``kvtide mock``: the simulated cluster's pages, for a Prometheus and a scaler that run apart."""

import dataclasses
import math

from scaler.errors import ConfigurationError, Problem
from scaler.numerals import decimal_text

from . import scene
from .stage import Play


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MockOptions:
    """What a person may choose."""

    replicas: int = 2
    host: str = "127.0.0.1"
    port: int = 9100
    speed: float = 1.0
    scaler: str | None = None
    """``host:port`` of an external scaler to play KEDA and the HPA for; None: nobody scales."""
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be served."""
        limits = (
            ("--replicas", self.replicas, 0, scene.UNITS),
            ("--port", self.port, 0, 65_535),
            ("--speed", self.speed, 0.1, 100),
        )
        problems = [
            Problem(field=field, got=decimal_text(value), allowed=f"{low:g} to {high:g}")
            for field, value, low, high in limits
            if not low <= value <= high
        ]
        if self.scaler is not None and not self.scaler.rpartition(":")[2].isdigit():
            problems.append(Problem(field="--scaler", got=self.scaler, allowed="host:port"))
        if problems:
            raise ConfigurationError(*problems)

    @property
    def play(self) -> Play:
        """The demand curve again and again, without end."""
        return Play(
            arrivals=lambda: scene.demand(length_s=math.inf, seed=self.seed),
            length_s=math.inf,
            speed=self.speed,
            seed=self.seed,
            replicas=self.replicas,
        )
