"""What an engine shows on ``/metrics``: gauges and counters, and its histograms' boundaries."""

import dataclasses

# Bucket boundaries of vLLM 0.32's own histograms.
TTFT_S = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5),
    *(10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
ITL_S = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5),
    *(10.0, 20.0, 40.0, 80.0),
)
E2E_S = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0),
    *(120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
STEP_TOKENS = tuple(float(2**power) for power in (0, *range(3, 15)))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an engine shows at one instant: gauges, and counters since its start."""

    requests_running: int
    requests_waiting: int
    kv_cache_usage: float
    steps_total: int
    prompt_tokens_total: int
    generation_tokens_total: int
    requests_finished_total: int
    preemptions_total: int
    busy_s_total: float
    """Seconds in which a step ran."""
    itl_sum_s: float
    itl_count: int
    ttft_sum_s: float
    ttft_count: int
    e2e_sum_s: float
    e2e_count: int


def lengths_tokens(highest: int) -> tuple[float, ...]:
    """Return 1, 2, 5, 10, … up to ``highest``: vLLM's boundaries for token lengths."""
    series: list[float] = []
    scale = 1
    while True:
        for digit in (1, 2, 5):
            if digit * scale > highest:
                return tuple(series)
            series.append(float(digit * scale))
        scale *= 10
