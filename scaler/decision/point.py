"""
What the rules over time read of one bucket: load, and the replicas that carry or will carry it.

``load.py`` makes these points from samples; ``kpa.py`` and ``forecast.py`` fold over them, in time
order. A missing reading is None and never zero.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoadPoint:
    """One workload at the end of one bucket."""

    at_s: float
    """Unix seconds."""
    load: float | None
    """Load in replicas (1.0: one replica full); None: not known."""
    ready: int | None = None
    """Replicas ready to serve; None: not known."""
    loading: int = 0
    """Replicas that exist and are not yet ready."""
