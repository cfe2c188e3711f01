"""
The engine again, written for plainness instead of speed: one pass per step, one count of blocks
per request. Tests compare the fast engine with it, request by request.
"""

import dataclasses
import math

from scaler.simulation.engine import EngineConfig
from scaler.simulation.traffic import Arrival


@dataclasses.dataclass(slots=True, eq=False)
class Slow:
    arrived_s: float
    prompt_tokens: int
    output_tokens: int
    to_compute: int = 0
    """Tokens of its prompt (and of what it had generated) before it decodes."""
    cached: int = 0
    generated: int = 0
    blocks: int = 0
    preemptions: int = 0
    decoding: bool = False
    first_token_s: float | None = None
    finished_s: float | None = None


class SlowEngine:
    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.free = config.usable_blocks
        self.running: list[Slow] = []
        self.waiting: list[Slow] = []
        self.preemptions = 0

    def run(self, arrivals: list[Arrival]) -> list[Slow]:
        requests = [
            Slow(a.at_s, a.prompt_tokens, a.output_tokens, to_compute=a.prompt_tokens)
            for a in arrivals
        ]
        coming = list(requests)
        now_s = 0.0
        while coming or self.running or self.waiting:
            if not self.running and not self.waiting:
                # An idle engine begins with the first request, before the next is there.
                now_s = max(now_s, coming[0].arrived_s)
                self.waiting.append(coming.pop(0))
            while coming and coming[0].arrived_s < now_s:
                self.waiting.append(coming.pop(0))
            now_s = self.step(now_s)
        return requests

    def step(self, now_s: float) -> float:
        """Run one step; return when it ends."""
        preempted = self.room_for_decoding()
        decoding = [request for request in self.running if request.decoding]
        for request in decoding:
            self.hold(request, request.cached + 1)
        budget = self.config.max_num_batched_tokens - len(decoding)
        chunks: list[tuple[Slow, int]] = []
        for request in [request for request in self.running if not request.decoding]:
            chunk = min(request.to_compute - request.cached, budget)
            if self.blocks(request.cached + chunk) - request.blocks > self.free:
                self.preempt()
                preempted = True
                break
            self.hold(request, request.cached + chunk)
            chunks.append((request, chunk))
            budget -= chunk
        while (
            not preempted
            and self.waiting
            and budget
            and len(self.running) < self.config.max_num_seqs
            and self.blocks(self.waiting[0].to_compute) <= self.free
        ):
            request = self.waiting.pop(0)
            chunk = min(request.to_compute, budget)
            self.hold(request, chunk)
            chunks.append((request, chunk))
            budget -= chunk
            self.running.append(request)
        cost = self.config.step_cost
        now_s += cost.a_s + cost.b_s * len(self.running)
        now_s += cost.c_s * sum(chunk for _, chunk in chunks)
        for request in decoding:
            request.cached += 1
            self.emit(request, now_s)
        for request, chunk in chunks:
            request.cached += chunk
            if request.cached == request.to_compute:
                request.decoding = True
                self.emit(request, now_s)
        return now_s

    def room_for_decoding(self) -> bool:
        preempted = False
        while True:
            decoding = [request for request in self.running if request.decoding]
            needed = sum(self.blocks(r.cached + 1) - r.blocks for r in decoding)
            if needed <= self.free:
                return preempted
            self.preempt()
            preempted = True

    def preempt(self) -> None:
        request = self.running.pop()
        self.free += request.blocks
        request.blocks = request.cached = 0
        request.decoding = False
        request.to_compute = request.prompt_tokens + request.generated
        request.preemptions += 1
        self.preemptions += 1
        self.waiting.insert(0, request)

    def emit(self, request: Slow, now_s: float) -> None:
        request.generated += 1
        if request.first_token_s is None:
            request.first_token_s = now_s
        if request.generated == request.output_tokens:
            request.finished_s = now_s
            self.running.remove(request)
            self.free += request.blocks

    def hold(self, request: Slow, tokens: int) -> None:
        more = self.blocks(tokens) - request.blocks
        request.blocks += more
        self.free -= more
        assert self.free >= 0

    def blocks(self, tokens: int) -> int:
        return math.ceil(tokens / self.config.block_tokens)
