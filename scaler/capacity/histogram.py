"""How long requests are, and what takes how long, as an engine counts it."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """
    Cumulative-bucket histogram of a length or a latency, as Prometheus has it.

    ``upper`` are the bucket boundaries in increasing order (the last may be ``inf``), ``counts``
    the number of observations in each bucket alone (not cumulative), same length.
    """

    upper: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def total(self) -> float:
        """Observations in all buckets."""
        return sum(self.counts)
