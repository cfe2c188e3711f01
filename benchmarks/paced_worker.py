"""
A vLLM worker whose steps take a stated time, for engines on a shared machine.

vLLM loads it with ``--worker-cls benchmarks.paced_worker.PacedWorker``: everything is vLLM's own
(server, scheduler, cache, counters, a forward pass of a small model), but a step ends no sooner
than ``a + b·requests + c·prompt tokens`` seconds after it began (``KVTIDE_STEP_COST=a,b,c``): the
engine waits for it as for a GPU, and what else runs on the machine hardly shows.
"""

import os
import time

from vllm.v1.utils import compute_iteration_details  # type: ignore[import-not-found]
from vllm.v1.worker.cpu_worker import CPUWorker  # type: ignore[import-not-found]

A_S, B_S, C_S = map(float, os.environ["KVTIDE_STEP_COST"].split(","))


class PacedWorker(CPUWorker):  # type: ignore[misc]
    """A CPU worker that takes its time."""

    def execute_model(self, scheduler_output):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        """Run the step, and end it when its time is over."""
        until_s = time.monotonic()
        if scheduler_output.total_num_scheduled_tokens:
            step = compute_iteration_details(scheduler_output)
            requests = step.num_ctx_requests + step.num_generation_requests
            until_s += A_S + B_S * requests + C_S * step.num_ctx_tokens
        output = super().execute_model(scheduler_output)
        time.sleep(max(0.0, until_s - time.monotonic()))
        return output
