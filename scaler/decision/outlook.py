"""What load may become within one lead time, and how an upper quantile is taken."""

import dataclasses
import math
from collections.abc import Sequence

MINUTE_S = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What load may become within one lead time, in replicas, and how that is known."""

    load: float
    """What it rises from."""
    rise: float
    why: str


def quantile(values: Sequence[float], share: float) -> float:
    """Return the least of ``values`` (at least one) that ``share`` of them do not exceed."""
    rank = math.ceil(share * len(values) - 1e-9)
    return sorted(values)[max(rank, 1) - 1]
