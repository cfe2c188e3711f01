"""
What a run was worth: how many requests met their objective, and what it cost.

What must stay true: every scored request is counted once, as finished or as failed; memory does
not grow with the run.
"""

import dataclasses

from .histogram import Distribution
from .request import Request


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """
    The objective of one request: its time to first token, and its mean inter-token latency.

    TTFT may take ``max(ttft_least_s, ttft_base_s + prompt_tokens × ttft_per_prompt_token_s)``:
    long prompts are given longer, as whoever sends them expects.
    """

    ttft_least_s: float = 2.0
    ttft_base_s: float = 0.5
    ttft_per_prompt_token_s: float = 1 / 8000
    itl_s: float = 0.1

    def ttft_budget_s(self, prompt_tokens: int) -> float:
        """Return the longest allowed time to first token, seconds."""
        by_length_s = self.ttft_base_s + prompt_tokens * self.ttft_per_prompt_token_s
        return max(self.ttft_least_s, by_length_s)


class Outcomes:
    """
    What became of the requests; those that arrived before ``score_from_s`` are left out.

    Attributes:
        finished, failed: requests; ``within_slo`` of the finished.
        preempted: finished requests that were preempted at least once.
        ttft_s, itl_s: distributions, seconds; ``ttft_total_s`` the sum of the first.
    """

    def __init__(self, slo: Slo, *, score_from_s: float = 0.0) -> None:
        self.slo = slo
        self.score_from_s = score_from_s
        self.finished = 0
        self.failed = 0
        self.within_slo = 0
        self.preempted = 0
        self.ttft_s = Distribution()
        self.ttft_total_s = 0.0
        self.itl_s = Distribution()

    def finish(self, request: Request) -> None:
        """Count a request that was answered in full."""
        arrived_s, first_token_s = request.arrived_s, request.first_token_s
        if arrived_s < self.score_from_s or first_token_s is None:
            return
        self.finished += 1
        if request.preemptions:
            self.preempted += 1
        ttft_s = first_token_s - arrived_s
        self.ttft_s.add(ttft_s)
        self.ttft_total_s += ttft_s
        in_time = ttft_s <= self.slo.ttft_budget_s(request.prompt_tokens)
        if (itl_s := request.itl_s) is not None:
            self.itl_s.add(itl_s)
            in_time = in_time and itl_s <= self.slo.itl_s
        if in_time:
            self.within_slo += 1

    def fail(self, request: Request) -> None:
        """Count a request that was refused or cut off: it misses any objective."""
        if request.arrived_s >= self.score_from_s:
            self.failed += 1

    @property
    def slo_attainment(self) -> float | None:
        """Share of the requests with an outcome that met the objective; None: none has one."""
        settled = self.finished + self.failed
        return self.within_slo / settled if settled else None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Quantiles in seconds; None: nothing was measured."""

    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, distribution: Distribution) -> "Latency":
        """Return the quantiles of a distribution."""
        return cls(
            p50=distribution.quantile(0.50),
            p95=distribution.quantile(0.95),
            p99=distribution.quantile(0.99),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One run in figures; the names are those that ``kvtide simulate --json`` prints."""

    requests: int
    gpu_hours: float
    """GPU-hours that inference pods held, from being scheduled until they were gone."""
    slo_attainment: float | None
    ttft_s: Latency
    itl_s: Latency
    queue_peak: int
    """Most requests that waited at once, in engines and at the gateway."""
    scale_events: int
    """Changes of the wanted replicas."""
    max_replicas: int
    preempted_requests: int
    failed_requests: int
    training_gpu_hours: float
    """Training work that was kept."""
    training_lost_gpu_hours: float
    """Training work that was lost, since no checkpoint had it when its worker was stopped."""
    reclaim_s: Latency
    """From wanting workers gone until their GPUs were free."""

    def costing(self, other: "Score") -> "Score":
        """Return this score with what ``other`` cost and what training did in it."""
        return dataclasses.replace(
            self,
            gpu_hours=other.gpu_hours,
            training_gpu_hours=other.training_gpu_hours,
            training_lost_gpu_hours=other.training_lost_gpu_hours,
        )

    def since(self, before: "Score") -> "Score":
        """Return this score without what ``before``, an earlier one of the same run, cost."""
        return dataclasses.replace(
            self,
            requests=self.requests - before.requests,
            gpu_hours=self.gpu_hours - before.gpu_hours,
            scale_events=self.scale_events - before.scale_events,
            training_gpu_hours=self.training_gpu_hours - before.training_gpu_hours,
            training_lost_gpu_hours=self.training_lost_gpu_hours - before.training_lost_gpu_hours,
        )
