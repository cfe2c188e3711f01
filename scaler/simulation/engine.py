"""
One engine replica under continuous batching, event by event.

An engine step serves every running request: one token for each that decodes, and as much of the
waiting prompts as is left of the step's token budget (chunked prefill). With N running requests
and p prompt tokens a step takes ``a + b·N + c·p`` seconds. Requests hold KV blocks that fill token
by token; when none is free the request admitted last is preempted, loses its blocks and is
computed again from the start (vLLM's scheduler, ``vllm/v1/core/sched/scheduler.py``: running
requests first, admission in order of arrival and only if the whole prompt fits, no admission in a
step that preempted).

Steps in which only the same requests decode are one *stretch*: nothing about them depends on the
step, so a stretch is advanced in closed form. That is exact, not an approximation: blocks are
counted by the step (modulo the block size) at which each request needs its next one.

What must stay true: requests in = finished + running + waiting + taken out; blocks in use never
exceed what there is and are exactly those of the running requests.
"""

import dataclasses
import heapq
import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable

from scaler.decision.policy import StepCost
from scaler.errors import ConfigurationError, Problem

from .histogram import Buckets
from .reading import E2E_S, ITL_S, STEP_TOKENS, TTFT_S, Reading, lengths_tokens
from .request import Request


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """What one replica can do."""

    step_cost: StepCost
    num_blocks: int
    """KV-cache blocks as the engine reports them; one of them is the null block."""
    block_tokens: int = 16
    max_num_seqs: int = 256
    """Most requests that run at once."""
    max_num_batched_tokens: int = 2048
    """Token budget of one step."""
    max_model_len: int = 8192
    """Longest request, prompt and output."""

    def __post_init__(self) -> None:
        """Refuse an engine that could start a request it can never finish."""
        longest = math.ceil(self.max_model_len / self.block_tokens) + 1
        checks = (
            ("num_blocks", self.num_blocks, longest, "for one request of max_model_len"),
            ("block_tokens", self.block_tokens, 1, "token"),
            ("max_num_seqs", self.max_num_seqs, 1, "request"),
            ("max_model_len", self.max_model_len, 2, "tokens"),
            (
                "max_num_batched_tokens",
                self.max_num_batched_tokens,
                self.max_num_seqs,
                "(max_num_seqs), so that every running request gets its token",
            ),
        )
        problems = tuple(
            Problem(field=field, got=str(got), allowed=f"at least {least} {why}")
            for field, got, least, why in checks
            if got < least
        )
        if problems:
            raise ConfigurationError(*problems)

    @property
    def usable_blocks(self) -> int:
        """Blocks that requests can hold: all but the null block."""
        return self.num_blocks - 1


class Engine:
    """
    A replica's scheduler and cache; :meth:`turn` must be called at each :attr:`due_s`.

    Attributes:
        due_s: when the stretch under way ends; ``inf`` while idle.
    """

    def __init__(self, config: EngineConfig, on_finish: Callable[[Request], None]) -> None:
        self.config = config
        self._a_s, self._b_s, self._c_s = (
            config.step_cost.a_s,
            config.step_cost.b_s,
            config.step_cost.c_s,
        )
        self._block = config.block_tokens
        self._free = config.usable_blocks
        self._decoding = 0
        """Requests that decode in the step under way."""
        self.due_s = math.inf
        self.running: dict[Request, None] = {}
        """In order of admission; the newest is preempted first."""
        self.waiting: deque[Request] = deque()
        self._on_finish = on_finish
        self._partial: Request | None = None
        """The one request whose prompt is computed in part: always the one admitted last."""
        self._prefills: list[tuple[Request, int]] = []
        """Prompts, and their tokens, in the step under way."""
        self._finishing: list[tuple[int, int, Request]] = []
        """Heap of decoding requests by the step at which they are done."""
        self._serial = 0
        self._needs_block = [0] * config.block_tokens
        """Decoding requests by the step, modulo block size, at which each needs a block."""
        # The stretch under way: `_steps` steps of `_step_s` seconds from `_from_s` on.
        self._from_s = 0.0
        self._step_s = 0.0
        self._steps = 0
        self._step = 0
        self._open_counters(config)

    def _open_counters(self, config: EngineConfig) -> None:
        lengths = lengths_tokens(config.max_model_len)
        self.prompt_tokens_total = 0
        self.generation_tokens_total = 0
        self.preemptions_total = 0
        self.busy_s_total = 0.0
        self.ttft_s = Buckets(TTFT_S)
        self.itl_s = Buckets(ITL_S)
        self.e2e_s = Buckets(E2E_S)
        self.queue_s = Buckets(E2E_S)
        self.request_prompt_tokens = Buckets(lengths)
        self.request_generation_tokens = Buckets(lengths)
        self.step_tokens = Buckets(STEP_TOKENS)

    # Events

    def add(self, request: Request, now_s: float) -> None:
        """Take a request in; it is looked at when the step under way ends, or at once."""
        behind_others = bool(self.waiting)
        self.waiting.append(request)
        if self._steps == 0:
            self._begin(now_s)
        elif self._steps > 1 and not behind_others:
            # Whoever waits during a stretch is blocked until it ends; nobody did, so this
            # request may be admitted as soon as the step under way is over.
            elapsed = math.ceil((now_s - self._from_s) / self._step_s)
            self._steps = min(self._steps, max(1, elapsed))
            self.due_s = self._from_s + self._steps * self._step_s

    def turn(self) -> None:
        """End the stretch that is due, and begin the next."""
        now_s = self.due_s
        self._end(now_s)
        self._begin(now_s)

    def abort(self) -> list[Request]:
        """Stop at once; return the requests that are lost with it."""
        lost = [*self.running, *self.waiting]
        self.running.clear()
        self.waiting.clear()
        self._finishing.clear()
        self._prefills.clear()
        self._partial = None
        self._needs_block = [0] * self._block
        self._free = self.config.usable_blocks
        self._decoding = self._steps = 0
        self.due_s = math.inf
        return lost

    @property
    def open_requests(self) -> int:
        """Requests running and waiting."""
        return len(self.running) + len(self.waiting)

    @property
    def blocks_used(self) -> int:
        """Blocks held when the stretch under way began."""
        return self.config.usable_blocks - self._free

    def read(self, now_s: float) -> Reading:
        """Return what ``/metrics`` says at an instant of the stretch under way."""
        steps = self._steps_done(now_s)
        decoded = steps * self._decoding
        elapsed_s = min(now_s, self.due_s) - self._from_s if self._steps else 0.0
        return Reading(
            requests_running=len(self.running),
            requests_waiting=len(self.waiting),
            kv_cache_usage=(self.blocks_used + self._blocks_over(steps))
            / self.config.usable_blocks,
            steps_total=self.step_tokens.count + (steps if decoded else 0),
            prompt_tokens_total=self.prompt_tokens_total,
            generation_tokens_total=self.generation_tokens_total + decoded,
            requests_finished_total=self.e2e_s.count,
            preemptions_total=self.preemptions_total,
            busy_s_total=self.busy_s_total + max(0.0, elapsed_s),
            itl_sum_s=self.itl_s.total + decoded * self._step_s,
            itl_count=self.itl_s.count + decoded,
            ttft_sum_s=self.ttft_s.total,
            ttft_count=self.ttft_s.count,
            e2e_sum_s=self.e2e_s.total,
            e2e_count=self.e2e_s.count,
        )

    def shown(self, now_s: float) -> tuple[Buckets, Buckets]:
        """Return inter-token latencies and tokens per step as histograms at an instant."""
        steps = self._steps_done(now_s)
        itl_s, step_tokens = self.itl_s.copy(), self.step_tokens.copy()
        if steps and self._decoding:
            itl_s.observe(self._step_s, steps * self._decoding)
            step_tokens.observe(self._decoding, steps)
        return itl_s, step_tokens

    # A stretch: its beginning

    def _begin(self, now_s: float) -> None:
        """Schedule the next step, and how often it repeats."""
        self._from_s = now_s
        running = self.running
        if not running and not self.waiting:
            self._steps = 0
            self.due_s = math.inf
            return
        preempted = False
        while self._needs_block[(self._step + 1) % self._block] > self._free:
            self._preempt(now_s)
            preempted = True
        prompt_tokens = 0
        if self._partial is not None or (self.waiting and not preempted):
            prompt_tokens = self._schedule_prompts(now_s, admit=not preempted)
        step_s = self._a_s + self._b_s * len(running)
        if prompt_tokens:
            step_s += self._c_s * prompt_tokens
            steps = 1
        else:
            steps = 1 if preempted else self._repeats()
        self._step_s = step_s
        self._steps = steps
        self.due_s = now_s + steps * step_s

    def _preempt(self, now_s: float) -> None:
        """Take the request admitted last off the engine; it will be computed again."""
        request, _ = self.running.popitem()
        if request is self._partial:
            self._partial = None
            self._free += self._blocks_of(request.computed_tokens)
        else:
            self._leave_decoding(request)
            request.generated_tokens += self._step - request.since_step
            request.length_tokens = request.prompt_tokens + request.generated_tokens
            request.finish_step = -1
            request.last_token_s = now_s
        request.computed_tokens = 0
        request.preemptions += 1
        self.preemptions_total += 1
        self.waiting.appendleft(request)

    def _schedule_prompts(self, now_s: float, *, admit: bool) -> int:
        """Spend what decoding leaves of the step's budget on prompts; return the tokens."""
        budget = self.config.max_num_batched_tokens - self._decoding
        # The next step's blocks of the decoding requests are theirs already.
        owed = self._needs_block[(self._step + 1) % self._block]
        scheduled = 0
        if self._partial is not None:
            scheduled = self._continue(self._partial, budget, self._free - owed)
            if not scheduled:
                self._preempt(now_s)
                return 0
        if admit and self._partial is None:
            scheduled += self._admit(budget - scheduled, self._free - owed, now_s)
        return scheduled

    def _continue(self, request: Request, budget: int, free: int) -> int:
        """Compute more of the prompt that is computed in part; 0: there are no blocks for it."""
        missing = request.length_tokens - request.computed_tokens
        chunk = min(missing, budget)
        blocks = self._blocks_of(request.computed_tokens + chunk)
        blocks -= self._blocks_of(request.computed_tokens)
        if blocks > free:
            return 0
        self._free -= blocks
        self._prefills.append((request, chunk))
        if chunk == missing:
            self._partial = None
        return chunk

    def _admit(self, budget: int, free: int, now_s: float) -> int:
        """Admit waiting requests in order while seats, budget and blocks last."""
        size = self._block
        seats = self.config.max_num_seqs - len(self.running)
        waiting = self.waiting
        left = budget
        while waiting and seats and left:
            request = waiting[0]
            length = request.length_tokens
            if -(-length // size) > free:
                break
            waiting.popleft()
            chunk = min(left, length)
            blocks = -(-chunk // size)
            free -= blocks
            self._free -= blocks
            seats -= 1
            left -= chunk
            self.running[request] = None
            self._prefills.append((request, chunk))
            if request.admitted_s is None:
                request.admitted_s = now_s
            if chunk < length:
                self._partial = request
        return budget - left

    def _repeats(self) -> int:
        """Steps until a request is done or the blocks run out, whichever comes first."""
        heap = self._finishing
        while heap[0][0] != heap[0][2].finish_step:
            heapq.heappop(heap)  # it was preempted
        steps = heap[0][0] - self._step
        size = self._block
        free = self._free
        if self._decoding * (steps // size + 1) <= free:
            return steps
        cycles, left = divmod(free, self._decoding)
        fit = cycles * size
        while fit < steps:
            left -= self._needs_block[(self._step + fit + 1) % size]
            if left < 0:
                break
            fit += 1
        return min(steps, fit)

    # A stretch: its end

    def _end(self, now_s: float) -> None:
        """Apply every step of the stretch: tokens, blocks, and whoever is done."""
        steps, step_s = self._steps, self._step_s
        output_tokens = self._decoding
        self.busy_s_total += steps * step_s
        if output_tokens:
            times = steps * output_tokens
            if steps == 1:
                self._free -= self._needs_block[(self._step + 1) % self._block]
            else:
                self._free -= self._blocks_over(steps)
            self.generation_tokens_total += times
            # Buckets.observe, written out: this is every step of every engine.
            itl_s = self.itl_s
            itl_s.counts[bisect_left(ITL_S, step_s)] += times
            itl_s.total += step_s * times
        self._step = step = self._step + steps
        heap = self._finishing
        while heap and heap[0][0] <= step:
            finish_step, _, request = heapq.heappop(heap)
            if finish_step == request.finish_step:
                self._leave_decoding(request)
                self._finish(request, now_s)
        if self._prefills:
            output_tokens += self._end_prefills(now_s)
        if output_tokens:
            # vLLM counts a step only when something comes out of it, prompts in full then.
            step_tokens = self.step_tokens
            step_tokens.counts[bisect_left(STEP_TOKENS, output_tokens)] += steps
            step_tokens.total += output_tokens * steps

    def _end_prefills(self, now_s: float) -> int:
        """Hand each fully computed prompt its next token; return what vLLM counts for them."""
        counted = 0
        for request, chunk in self._prefills:
            request.computed_tokens = computed = request.computed_tokens + chunk
            if computed < request.length_tokens:
                continue
            request.generated_tokens += 1
            counted += 1
            self.generation_tokens_total += 1
            if request.first_token_s is None:
                counted += request.prompt_tokens
                request.first_token_s = now_s
                self.prompt_tokens_total += request.prompt_tokens
                self.ttft_s.observe(now_s - request.arrived_s)
            else:
                self.itl_s.observe(now_s - request.last_token_s)
            if request.generated_tokens == request.output_tokens:
                self._free += self._blocks_of(request.length_tokens)
                self._finish(request, now_s)
            else:
                self._join_decoding(request)
        self._prefills.clear()
        return counted

    def _join_decoding(self, request: Request) -> None:
        step = self._step
        request.since_step = step
        request.finish_step = finish_step = step + request.output_tokens - request.generated_tokens
        # Step s writes token number length + s - step; a block begins after each multiple.
        self._needs_block[(step + 1 - request.length_tokens) % self._block] += 1
        self._decoding += 1
        self._serial += 1
        heapq.heappush(self._finishing, (finish_step, self._serial, request))

    def _leave_decoding(self, request: Request) -> None:
        """Give back what a decoding request holds."""
        since, length, size = request.since_step, request.length_tokens, self._block
        self._needs_block[(since + 1 - length) % size] -= 1
        self._decoding -= 1
        self._free -= -(length + self._step - since) // size

    def _finish(self, request: Request, now_s: float) -> None:
        del self.running[request]
        request.finished_s = now_s
        admitted_s = now_s if request.admitted_s is None else request.admitted_s
        arrived_s = request.arrived_s
        for buckets, value in (
            (self.e2e_s, now_s - arrived_s),
            (self.queue_s, admitted_s - arrived_s),
            (self.request_prompt_tokens, request.prompt_tokens),
            (self.request_generation_tokens, request.output_tokens),
        ):
            buckets.counts[bisect_left(buckets.upper, value)] += 1
            buckets.total += value
        self._on_finish(request)

    # Counting

    def _steps_done(self, now_s: float) -> int:
        """Whole steps of the stretch under way that are over at an instant."""
        if not self._steps:
            return 0
        done = math.floor((now_s - self._from_s) / self._step_s)
        # The last step's results, and whoever it finishes, show when the stretch has ended.
        return min(max(0, done), self._steps - 1)

    def _blocks_over(self, steps: int) -> int:
        """Blocks that the decoding requests take over the next steps."""
        size = self._block
        needs = self._needs_block
        first = (self._step + 1) % size
        cycles, rest = divmod(steps, size)
        end = first + rest
        part = sum(needs[first:end])
        if end > size:
            part += sum(needs[: end - size])
        return cycles * self._decoding + part

    def _blocks_of(self, tokens: int) -> int:
        return -(-tokens // self._block)
