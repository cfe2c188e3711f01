"""One request on its way through an engine."""


class Request:
    """Its lengths, how far it is, and its times; ``first_token_s`` is None until it has one."""

    __slots__ = (
        "admitted_s",
        "arrived_s",
        "computed_tokens",
        "finish_step",
        "finished_s",
        "first_token_s",
        "generated_tokens",
        "last_token_s",
        "length_tokens",
        "output_tokens",
        "preemptions",
        "prompt_tokens",
        "since_step",
    )

    def __init__(self, *, arrived_s: float, prompt_tokens: int, output_tokens: int) -> None:
        self.arrived_s = arrived_s
        self.prompt_tokens = prompt_tokens
        self.output_tokens = output_tokens
        self.length_tokens = prompt_tokens
        """Tokens to compute before the next new one: the prompt, and after a preemption what
        was generated too."""
        self.computed_tokens = 0
        self.generated_tokens = 0
        self.since_step = 0
        """Step count at which it began to decode; ``finish_step``: at which it will be done."""
        self.finish_step = -1
        self.preemptions = 0
        self.admitted_s: float | None = None
        self.first_token_s: float | None = None
        self.last_token_s = arrived_s
        self.finished_s: float | None = None

    @property
    def ttft_s(self) -> float | None:
        """Time to first token, seconds; None: there is none yet."""
        return None if self.first_token_s is None else self.first_token_s - self.arrived_s

    @property
    def itl_s(self) -> float | None:
        """Mean time between its tokens, seconds; None: not finished, or a single token."""
        if self.finished_s is None or self.first_token_s is None or self.output_tokens == 1:
            return None
        return (self.finished_s - self.first_token_s) / (self.output_tokens - 1)
