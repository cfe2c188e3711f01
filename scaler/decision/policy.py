"""
What a user asks for: targets, windows, limits.

One declaration per field: the trigger metadata parser, its JSON Schema and the reference page are
made from these dataclasses (metadata ``stableWindow: 60s`` is ``stable_window_s=60``; the suffixes
``_s`` and ``_gib``, and ``Share``, ``Percent`` and ``Auto`` in the types, say how a text is read; a
``Range`` says what it may be). Values are checked here, every problem of a policy at once.
"""

import copy
import dataclasses
import enum
from typing import Annotated, Self, TypeVar

from scaler.capacity.kv_cache import KvCapacity, KvLayout
from scaler.capacity.latency_target import LatencyTarget
from scaler.capacity.token_length import TokenLength
from scaler.errors import NOTHING, ConfigurationError, Problem, stated, stated_since
from scaler.numerals import decimal_text
from scaler.ranges import Range, range_problems
from scaler.said import Said

T = TypeVar("T")


class Written(enum.Enum):
    """How a person writes a value where the name of its field does not say."""

    SHARE = "share"
    """``0.7`` or ``70%``."""
    PERCENT = "percent"
    """``200`` or ``200%``: both two hundred."""
    AUTO = "auto"
    """``auto`` is None: found from what is seen."""
    COMPUTED = "computed"
    """Not written at all: made from other things that are."""


LEAST_UTILIZATION = 0.7
"""How full a replica may run where nothing is known of how load rises; Knative's default."""
DEFAULT_RECLAIM_TIME_S = 30.0
"""Kubernetes' own grace period, of a borrower that nothing is known of."""

Share = Annotated[float, Written.SHARE]
Percent = Annotated[float, Written.PERCENT]
Auto = Annotated[T | None, Written.AUTO]
Computed = Annotated[T | None, Written.COMPUTED]
Count = Annotated[int, Range(ge=1)]
Amount = Annotated[int, Range(ge=0)]
Positive = Annotated[float, Range(gt=0)]
Cost = Annotated[float, Range(gt=0, words=Said("above 0, seconds"))]
SmallShare = Annotated[Share, Range(gt=0, lt=1)]
"""Part of a whole, and never all of it."""
WholeShare = Annotated[Share, Range(gt=0, le=1)]
WindowShare = Annotated[Percent, Range(ge=1, le=100)]
Window = Annotated[float, Range(ge=6, le=3600)]
"""Knative's limits of a stable window, seconds."""


class SignalName(enum.StrEnum):
    """The signals a workload may be scaled on (``metrics:``)."""

    WORK = "work"
    CONCURRENCY = "concurrency"
    KV_CACHE = "kv-cache"
    BATCH = "batch"
    QUEUE = "queue"
    RPS = "rps"
    GPU_MEMORY = "gpu-memory"
    GPU_UTILIZATION = "gpu-utilization"


class ConcurrencyMode(enum.StrEnum):
    """How the KV-safe concurrency of a replica is found."""

    STATISTICAL = "statistical"
    MEAN = "mean"
    WORST_CASE = "worst-case"
    EXPLICIT = "explicit"


class Phase(enum.StrEnum):
    """Which half of disaggregated serving a fleet does; ``both`` is the ordinary engine."""

    BOTH = "both"
    PREFILL = "prefill"
    DECODE = "decode"


class Forecast(enum.StrEnum):
    OFF = "off"
    RISE = "rise"
    TREND = "trend"


class OnBurst(enum.StrEnum):
    """What is done about a burst that comes back every hour."""

    MISS = "miss"
    ABSORB = "absorb"


class LoadBase(enum.StrEnum):
    """What online load is a share of: the whole pool, or what the services have ready."""

    POOL = "pool"
    SERVICE = "service"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """
    Seconds of one engine step: ``a + b·running + c·prompt_tokens``.

    ``a`` seconds per step, ``b`` seconds per running request, ``c`` seconds per prompt token.
    """

    a_s: Cost
    b_s: Cost
    c_s: Cost

    def __post_init__(self) -> None:
        """Refuse costs that are not positive and finite."""
        problems = range_problems(self)
        if problems:
            raise ConfigurationError(
                *(
                    dataclasses.replace(problem, field=f"step_cost.{problem.field[0]}")
                    for problem in problems
                )
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class InferencePolicy:
    """How many replicas of an inference workload."""

    metrics: tuple[SignalName, ...] = (SignalName.WORK, SignalName.CONCURRENCY)
    """Signals that are asked, combined by the maximum; scale-down needs each of them alive."""
    phase: Phase = Phase.BOTH
    """Which half of disaggregated serving the replicas do; both: an ordinary engine."""

    # Bounds; None: the ScaledObject's where known, else 0 and no limit.
    min_replicas: Amount | None = None
    """Fewest replicas wanted; not stated: the ScaledObject's, where known."""
    max_replicas: Count | None = None
    """Most replicas wanted; not stated: the ScaledObject's, where known."""

    # Capacity of one replica.
    max_concurrency: Count | None = None
    """Requests one replica may hold at once, as stated; caps whatever is computed."""
    concurrency_mode: ConcurrencyMode = ConcurrencyMode.STATISTICAL
    """How the KV-safe concurrency is found: by how often the cache may overflow, by the mean
    request, by the longest one, or as stated."""
    overflow_probability: SmallShare = 0.01
    """Statistical mode: how often the KV cache may overflow."""
    max_model_len: Count | None = None
    """Longest request, tokens; worst-case mode needs it."""
    max_num_seqs: Count | None = None
    """The engine's limit on running requests (``--max-num-seqs``)."""
    units_per_replica: Auto[Count] = None
    """GPUs (or MIG slices) that one replica holds; not stated: its parallel ranks, where stated,
    else what its pods ask for or claim; where nothing tells, pools lend nothing."""
    prompt_tokens: TokenLength | None = None
    """How long prompts are, for want of the engine's own histogram."""
    output_tokens: TokenLength | None = None
    """How long outputs are, for want of the engine's own histogram."""
    kv_layout: Computed[KvLayout] = None
    """What a request holds in the engine's blocks; from the model and the engine's flags."""
    kv_capacity: Computed[KvCapacity] = None
    """The blocks of one engine; from the GPU's memory, where the engine reports none."""

    # Targets.
    target_utilization: Auto[WholeShare] = None
    """Share of a replica's safe concurrency (or safe work) to run at; auto: 0.7, and up to 0.9
    where forecast rise shows that load never rose by what that leaves free."""
    queue_target: Positive | None = None
    """Waiting requests that are worth one more replica; for the queue signal."""
    rps_target: Positive | None = None
    """Completions per second of one replica; for the rps signal."""
    itl_target: LatencyTarget | None = None
    """Inter-token latency to stay under: on average, or with ``@p99`` in 99 of 100 cases, by the
    engine's own histogram."""
    ttft_target: LatencyTarget | None = None
    """Time to first token to stay under: on average, or with ``@p99`` for 99 of 100 requests, by
    the engine's own histogram."""
    gpu_memory_threshold: WholeShare = 0.90
    """Memory of the fullest replica's GPUs at which one more is asked for."""
    gpu_utilization_target: WholeShare = 0.90
    """Mean GPU utilisation at which another signal's need is confirmed."""
    backlog_drain_s: Annotated[float, Range(ge=0, le=3600)] = 30.0
    """Drain waiting requests within this time; 0: within one service time (Knative's way)."""
    step_cost: StepCost | None = None
    """Cost of an engine step where it is stated rather than fitted."""

    # Pace: Knative's names and, but for the panic window (10 %) and the delay (0), its defaults.
    stable_window_s: Window = 60.0
    """Load is averaged over it, and panic lasts at least as long."""
    panic_window_percentage: WindowShare = 33.0
    """The panic window as percent of the stable window."""
    panic_threshold: Annotated[Percent, Range(ge=110, le=1000)] = 200.0
    """Percent of what the replicas hold at which panic begins."""
    panic_horizon_s: Auto[Annotated[float, Range(gt=0, le=86_400)]] = None
    """How far back a panic's running maximum reaches; auto: max(10m, 5 × stable window)."""
    max_scale_up_rate: Annotated[float, Range(gt=1)] = 1000.0
    """Most replicas at once, as a multiple of those that are ready or loading."""
    max_scale_down_rate: Annotated[float, Range(gt=1)] = 2.0
    """Fewest replicas at once: those that are ready or loading, over this."""
    scale_down_delay_s: Auto[Annotated[float, Range(ge=0, le=3600)]] = None
    """How long a lower count must have been wanted; auto: max(2m, 2 × lead time), else 5m."""
    activation_scale: Count = 1
    """Replicas to start with when there is any demand at all."""
    activation_load: Annotated[float, Range(ge=0)] = 0.0
    """Load, in replicas, at or below which a workload counts as idle."""
    hpa_tolerance: Auto[Annotated[Share, Range(ge=0, lt=1)]] = None
    """The HPA's dead band; auto: 0 where the HPA read back carries ours, else 0.1."""
    forecast: Forecast = Forecast.RISE
    """Capacity for later load: the usual rise within one lead time; the trend; off."""
    forecast_lookback_s: Annotated[float, Range(ge=600, le=14 * 86_400)] = 345_600.0
    """How far back a forecast looks for what load does here: from three days on, at this hour."""
    forecast_quantile: SmallShare = 0.9
    """How rarely the load may rise by more than the forecast allows for."""
    burst: OnBurst = OnBurst.MISS
    """A burst that came back at the same minute of most hours: replicas are ready for it, or it is
    missed where it is shorter than a cold start; what it costs is told. With forecast rise."""
    lead_time_s: Auto[Annotated[float, Range(ge=0, le=7200)]] = None
    """From asking for a replica until it serves; auto: p90 of this workload's own pods."""
    wake_time_s: Annotated[float, Range(ge=0, le=600)] = 30.0
    """How long a replica that sleeps may take to serve once load needs it, whoever wakes it; after
    it others are started in its place."""
    hold_for_s: Annotated[float, Range(ge=0, le=1800)] = 120.0
    """How long the last decision stands where readings fail, before an error; 0s: never."""
    fast_path: bool = False
    """The controller may write the scale at once from zero and in panic; a surge then asks for what
    the newest reading says, not the mean of its window."""

    # Tiers.
    tier_group: str | None = None
    """Tiers of one demand bear the same name."""
    tier_cost: Positive | None = None
    """Cost of one replica-hour, in any unit that the group shares."""
    tier_preference: int = 0
    """Higher: preferred at the peak (faster GPUs)."""
    tier_peak_above: WholeShare = 0.6
    """Share of the cheap tiers' capacity above which fast tiers come first."""
    tier_peak_below: SmallShare = 0.4
    """Share of the cheap tiers' capacity below which cheap tiers come first again."""

    def __post_init__(self) -> None:
        """Check every field; all problems in one error."""
        problems = (
            *range_problems(self),
            *_in_order(self, "min_replicas", "max_replicas"),
            *_in_order(self, "tier_peak_below", "tier_peak_above"),
            *self._missing_companions(),
        )
        if problems:
            raise ConfigurationError(*problems)

    def _missing_companions(self) -> tuple[Problem, ...]:
        needs = (
            (not self.metrics, "metrics", Said("at least one signal"), ()),
            (
                SignalName.RPS in self.metrics and self.rps_target is None,
                "rps_target",
                stated(Said(", since the {signal} signal is chosen", signal="rps")),
                (),
            ),
            (
                SignalName.QUEUE in self.metrics and self.queue_target is None,
                "queue_target",
                stated(Said(", since the {signal} signal is chosen", signal="queue")),
                (),
            ),
            (
                self.concurrency_mode is ConcurrencyMode.EXPLICIT and self.max_concurrency is None,
                "max_concurrency",
                stated(Said(", since {key} is {value}", key="concurrency_mode", value="explicit")),
                ("concurrency_mode",),
            ),
            (
                self.phase is Phase.PREFILL and self.ttft_target is None,
                "ttft_target",
                stated(Said(", since {key} is {value}", key="phase", value="prefill")),
                ("phase",),
            ),
            (
                self.tier_group is not None and self.tier_cost is None,
                "tier_cost",
                stated_since("tier_group"),
                ("tier_group",),
            ),
        )
        return tuple(
            Problem(field=field, got=NOTHING, allowed=allowed, others=others)
            for missing, field, allowed, others in needs
            if missing
        )

    @property
    def ttft_target_s(self) -> float | None:
        """The time to first token to stay under, seconds, for whatever share of requests."""
        return None if self.ttft_target is None else self.ttft_target.seconds

    @property
    def panic_window_s(self) -> float:
        """Panic window: its share of the stable window, whole seconds, at least 1 s."""
        return max(1.0, float(round(self.stable_window_s * self.panic_window_percentage / 100)))

    @property
    def effective_panic_horizon_s(self) -> float:
        """How far back a panic's running maximum reaches."""
        if self.panic_horizon_s is not None:
            return self.panic_horizon_s
        return max(600.0, 5 * self.stable_window_s)

    def effective_scale_down_delay_s(self, lead_time_s: float | None) -> float:
        """Return the scale-down delay, ``auto`` resolved with the lead time that is known."""
        if self.scale_down_delay_s is not None:
            return self.scale_down_delay_s
        return 300.0 if lead_time_s is None else min(3600.0, max(120.0, 2 * lead_time_s))

    @property
    def effective_target_utilization(self) -> float:
        """The stated share, or for ``auto`` the one that suits load of which nothing is known."""
        stated = self.target_utilization
        return LEAST_UTILIZATION if stated is None else stated

    def aiming_at(self, target_utilization: float) -> Self:
        """Return the same with another target, in its range; nothing else is checked again."""
        acts = copy.copy(self)
        object.__setattr__(acts, "target_utilization", target_utilization)
        return acts

    @property
    def lookback_s(self) -> float:
        """How far back fine samples can matter to a decision, with the longest auto delay."""
        delay_s = self.effective_scale_down_delay_s(self.lead_time_s)
        if self.scale_down_delay_s is None and self.lead_time_s is None:
            delay_s = 1800.0
        return delay_s + self.effective_panic_horizon_s + self.stable_window_s + self.panic_window_s


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LendingPolicy:
    """How many training workers may borrow units of a pool that inference does not need."""

    pool_units: Count
    """GPUs, MIG slices or shares in the pool."""
    reserved_units: Amount = 0
    """Units that are never lent."""
    load_base: LoadBase = LoadBase.POOL
    """Online load is a share of the whole pool, or of what the services have ready."""
    units_per_worker: Count = 1
    """Units that one training worker holds."""
    lend_below: SmallShare = 0.30
    """Online load under which lending may begin, after a whole stable window."""
    reclaim_above: WholeShare = 0.70
    """Online load over which everything goes back at once."""
    latch_lookback_s: Annotated[float, Range(ge=60, le=86_400)] = 21_600.0
    """How far back the last crossing of a threshold is looked for; none: not lending."""
    lend_delay_s: Annotated[float, Range(ge=0, lt=86_400)] = 60.0
    """Wait after a reclaim before lending again."""
    min_runtime_s: Annotated[float, Range(ge=0, lt=86_400)] = 300.0
    """Workers run at least this long before a small shrink, and a further one is lent once its
    units would have been free for as long; a reclaim never waits."""
    min_workers: Count = 1
    """Fewest workers that the borrower can run."""
    max_workers: Count | None = None
    """Most workers; not stated: what the pool could ever hold."""
    resizable: bool = True
    """Whether the borrower takes any count from min_workers up; else 0 or max_workers."""
    headroom_units: Auto[Amount] = None
    """Units kept free; auto: while inference rises, what it comes to need in addition within one
    reclaim time."""
    blind_reclaim_after_s: Annotated[float, Range(gt=0, lt=86_400)] = 300.0
    """Online load unknown for so long: everything goes back."""
    stable_window_s: Window = 60.0
    """Online load must stay below lendBelow for so long."""
    panic_window_percentage: WindowShare = 10.0
    """The window that decides a reclaim, as percent of the stable window."""
    reclaim_time_s: Auto[Annotated[float, Range(ge=0, lt=7200)]] = None
    """From "give back" to free units, by which the automatic headroom is sized; auto: the longest
    of the borrower's last reclaims, before the first its checkpoint grace, else 30s."""
    forecast_quantile: SmallShare = 0.75
    """Share of the steps by which rises went on that the automatic headroom was enough for."""

    def __post_init__(self) -> None:
        """Check every field; all problems in one error."""
        problems = (
            *range_problems(self),
            *_in_order(self, "lend_below", "reclaim_above", strict=True),
            *_in_order(self, "reserved_units", "pool_units"),
            *_in_order(self, "min_workers", "max_workers"),
        )
        if problems:
            raise ConfigurationError(*problems)

    @property
    def panic_window_s(self) -> float:
        """The short window whose load decides a reclaim: whole seconds, at least 1 s."""
        return max(1.0, float(round(self.stable_window_s * self.panic_window_percentage / 100)))

    def effective_reclaim_time_s(self, seen_s: float | None) -> float:
        """Return how long a reclaim takes, seconds; ``seen_s`` is what the borrower's took."""
        if self.reclaim_time_s is not None:
            return self.reclaim_time_s
        return DEFAULT_RECLAIM_TIME_S if seen_s is None else seen_s

    @property
    def most_workers(self) -> int:
        """The largest count worth asking for: stated, else what the pool could ever hold."""
        fits = (self.pool_units - self.reserved_units) // self.units_per_worker
        return fits if self.max_workers is None else self.max_workers


Policy = InferencePolicy | LendingPolicy


def _in_order(policy: Policy, low: str, high: str, *, strict: bool = False) -> tuple[Problem, ...]:
    """Return the problem of two fields in the wrong order; None is in order with everything."""
    lower: float | None = getattr(policy, low)
    upper: float | None = getattr(policy, high)
    if lower is None or upper is None or lower < upper or (lower == upper and not strict):
        return ()
    allowed = (
        Said("below {key} ({value:g})", key=high, value=upper)
        if strict
        else Said("at most {key} ({value:g})", key=high, value=upper)
    )
    return (Problem(field=low, got=decimal_text(lower), allowed=allowed, others=(high,)),)
