"""
SLO-driven loops in the manner of NVIDIA Dynamo's planner, for engines that do both phases.

Source: ai-dynamo/dynamo, ``docs/design-docs/planner-design.md`` and its ``PlannerConfig``. Both of
its modes predict latency from a profile of one engine; here the profile is the engine's own step
cost, exactly, which flatters it. ``share`` is the part of the objective that it aims at.

What must stay true: nothing is predicted of an interval in which nothing was finished.
"""

import math
from collections.abc import Sequence

from scaler.decision.facts.columns import Columns
from scaler.decision.policy import StepCost
from scaler.decision.sample import Replica, Sample
from scaler.simulation.baselines.counted import mean_prompt_tokens, total_increase
from scaler.simulation.score import Slo
from scaler.simulation.simulate import View

_THROUGHPUT_S = 180.0
_LOAD_S = 5.0
_SENSITIVITY = 0.8
_MOST_RHO = 0.95
_CHUNK_TOKENS = 2048


class ThroughputPlanner:
    """
    Throughput-based scaling: the traffic of the last interval over what one engine can do.

    Every 180 s it takes the requests of the interval and their mean lengths, predicts the same for
    the next one (``constant``, its default predictor) and divides by the highest rate at which the
    profile keeps the inter-token latency: an engine that is busy for a share rho of its time
    takes a / (1 - rho) per token.
    """

    history_s = 0.0

    def __init__(
        self, *, share: float = 1.0, cost: StepCost, slo: Slo, every_s: float = _THROUGHPUT_S
    ) -> None:
        self.name = f"slo-planner {share:g}"
        self.every_s = every_s
        self.lookback_s = every_s + 60.0
        self._cost = cost
        self.safe_rho = max(0.05, min(_MOST_RHO, 1 - cost.a_s / (share * slo.itl_s)))

    def act(self, view: View) -> int | None:
        """Return the replicas for the interval that has passed; None: nothing was finished."""
        window = view.window()
        return None if window is None else self.count(window.last(self.every_s))

    def count(self, samples: Sequence[Sample]) -> int | None:
        """Return the replicas that the traffic between the first and the last sample needs."""
        span_s = samples[-1].at_s - samples[0].at_s
        finished = total_increase(samples, "requests_finished_total")
        prompt = total_increase(samples, "prompt_tokens_total")
        output = total_increase(samples, "generation_tokens_total")
        if not finished or not span_s or prompt is None or output is None:
            return None
        ends = (Columns.of([one]).newest for one in (samples[0], samples[-1]))
        open_by = [end.running + end.backlog for end in ends]
        came = max(0.0, finished + open_by[1] - open_by[0])
        work_s = (prompt * self._cost.c_s + output * self._cost.b_s) / finished
        return math.ceil(came / span_s * work_s / self.safe_rho - 1e-9)


class SloPlanner:
    """
    Load-based scaling above the throughput-based floor, which its guide calls the best of both.

    Every 5 s it estimates each engine's TTFT (its queue, chunk by chunk) and inter-token latency
    (a step of what runs and a share of the queue). One more replica if every engine misses either;
    one fewer if every engine keeps both within 80 % of them; nothing while replicas still change.
    """

    every_s = _LOAD_S
    lookback_s = _THROUGHPUT_S + 60.0
    history_s = 0.0

    def __init__(self, *, share: float = 1.0, cost: StepCost, slo: Slo) -> None:
        self.name = f"slo-planner-both {share:g}"
        self._cost = cost
        self._ttft_s, self._itl_s = share * slo.ttft_least_s, share * slo.itl_s
        self._floor = ThroughputPlanner(share=share, cost=cost, slo=slo)
        self._floor_due_s, self._least = 0.0, 1

    def act(self, view: View) -> int | None:
        """Return one more, one fewer or the floor; None: it waits, or nobody reports."""
        if view.now_s >= self._floor_due_s:
            self._floor_due_s = view.now_s + _THROUGHPUT_S
            self._least = self._floor.act(view) or self._least
        window = view.window()
        if view.spec_replicas != view.ready_replicas or window is None:
            return max(view.spec_replicas, self._least)
        each = mean_prompt_tokens(window.last(_THROUGHPUT_S)) or 0.0
        return max(self._least, view.spec_replicas + self.step(window.latest.replicas, each))

    def step(self, engines: Sequence[Replica], prompt_tokens: float) -> int:
        """Return +1, 0 or -1 for what engines hold now, each prompt of the mean length."""
        estimates = [self._estimate(one, prompt_tokens) for one in engines]
        if not estimates:
            return 0
        if min(ttft for ttft, _ in estimates) > self._ttft_s:
            return 1
        if min(itl for _, itl in estimates) > self._itl_s:
            return 1
        low = _SENSITIVITY
        is_low = all(
            ttft < low * self._ttft_s and itl < low * self._itl_s for ttft, itl in estimates
        )
        return -1 if is_low else 0

    def _estimate(self, engine: Replica, prompt_tokens: float) -> tuple[float, float]:
        """Return the TTFT of one more request and the inter-token latency, seconds."""
        running, queued = engine.requests_running or 0.0, engine.requests_waiting or 0.0
        tokens = (queued + 1) * prompt_tokens
        decode_s = self._cost.a_s + self._cost.b_s * running
        ttft_s = math.ceil(tokens / _CHUNK_TOKENS) * decode_s + tokens * self._cost.c_s
        chunk = min(_CHUNK_TOKENS, queued * prompt_tokens)
        return ttft_s, decode_s + chunk * self._cost.c_s
