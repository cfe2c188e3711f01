"""
A decision with its reasons.

A Decision is a chain of steps, each with the count so far, a Reason and a sentence with the
numbers that led to it. ``explain``, the log line, the metrics, the Kubernetes Event and the status
page all render this one value; none of them computes anything.
"""

import dataclasses
import enum


class Reason(enum.StrEnum):
    """Why a step left the count where it is: a closed vocabulary, spelled like Kubernetes'."""

    # An answer is not possible: hold what is.
    NO_DATA = "NoData"
    """No fresh reading of any chosen signal."""
    PARTIAL_DATA = "PartialData"
    """Some ready replicas do not report."""
    NO_HISTORY = "NoHistory"
    """Less than one stable window of samples so far."""
    NO_CAPACITY = "NoCapacity"
    """The safe concurrency of a replica is not known, and no other signal is chosen."""
    MEMBER_UNKNOWN = "MemberUnknown"
    """A named member of the pool or tier group was not heard of yet."""

    HELD = "Held"
    """The newest readings decide nothing: what was decided on those before stands for a while."""
    UNITS_UNKNOWN = "UnitsUnknown"
    """How many units of the pool a replica holds is not known: nothing is lent."""

    # Inference: where the count comes from.
    DEMAND = "Demand"
    """Load averaged over the stable window, over the target."""
    PANIC = "Panic"
    """Load averaged over the panic window rules: the surge is past the panic threshold."""
    KNOWN_ZERO = "KnownZero"
    """The workload is at zero and nothing asks for it."""
    WOKEN = "Woken"
    """Requests wait at the gateway of a workload at zero."""
    IDLE = "Idle"
    """No request ran, waited or arrived for the whole stable window."""
    ZERO_UNPROVEN = "ZeroUnproven"
    """Zero would be wanted, but neither scale target nor gateway could tell zero from silence."""
    GPU_MEMORY = "GpuMemory"
    """The fullest replica's GPU memory is past its threshold: one more, and none less."""
    GPU_UTILIZATION = "GpuUtilization"
    """GPU utilisation is past its target while another signal is at its own."""
    FORECAST = "Forecast"
    """Capacity for the load expected when a replica asked for now would be ready."""
    NOT_WOKEN = "NotWoken"
    """Replicas sleep on though load needs them: as many more are asked for in their place."""
    TIER_SHARE = "TierShare"
    """This tier's share of the group's demand."""
    TIER_PROBE = "TierProbe"
    """The tier cannot schedule; one pending pod probes it."""

    # Inference: limits and delays.
    SCALE_UP_LIMIT = "ScaleUpLimit"
    SCALE_DOWN_LIMIT = "ScaleDownLimit"
    SCALE_DOWN_STABILIZED = "ScaleDownStabilized"
    """A higher count was wanted within the scale-down delay."""
    SIGNAL_MISSING = "SignalMissing"
    """A chosen signal abstains: no scale-down on the word of the others."""
    ACTIVATION_SCALE = "ActivationScale"
    TOLERANCE = "Tolerance"
    """Rounded to a count that an HPA with a dead band acts on."""
    TOO_FEW_REPLICAS = "TooFewReplicas"
    """Raised to the minimum."""
    TOO_MANY_REPLICAS = "TooManyReplicas"
    """Cut to the maximum."""

    # Lending.
    LENT = "Lent"
    """Free units of the pool, as workers."""
    NOT_LENDING = "NotLending"
    """The latch is off: online load has not been low enough for long enough."""
    RECLAIMED = "Reclaimed"
    """Online load is past the reclaim threshold: everything goes back at once."""
    BLIND_RECLAIM = "BlindReclaim"
    """Online load has been unknown for too long: everything goes back."""
    BLIND_HOLD = "BlindHold"
    """Online load is unknown: nothing new is lent."""
    NO_ROOM = "NoRoom"
    """No free units for even the smallest count of workers."""
    BAND = "Band"
    """Between the thresholds workers may shrink, never grow."""
    LEND_DELAY = "LendDelay"
    """A reclaim was too recent to lend again."""
    MIN_RUNTIME = "MinRuntime"
    """A small shrink waits until the workers have run for the minimum time."""
    WHOLE_GANG = "WholeGang"
    """Rounded down to a count that the object can take."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain: the count so far (None: hold), why, and the numbers behind it."""

    replicas: int | None
    reason: Reason
    detail: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What one chosen signal said: its load in replicas (1.0: one replica full), or why not."""

    name: str
    load: float | None
    target: float
    detail: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    The answer for one object, with everything needed to explain it.

    ``replicas`` counts engine replicas for inference and workers for training; None means hold:
    whoever asks must keep what is.
    """

    at_s: float
    """The instant of the newest sample it rests on, Unix seconds."""
    steps: tuple[Step, ...]
    signals: tuple[Signal, ...] = ()
    load: float | None = None
    """Inference: load in full replicas, the largest of the signals. Training: online load, 0–1."""
    ready_replicas: int | None = None
    spec_replicas: int | None = None
    safe_concurrency: int | None = None
    binding_limit: str | None = None
    panic: bool = False
    woken: bool = False
    """Something asks for a workload at zero: activate even though no replica reports yet."""
    reported: float | None = None
    """What KEDA is told where that differs from ``replicas``: see :attr:`value`."""
    notes: tuple[str, ...] = ()
    """What rests for want of what; warnings. Whole sentences."""

    @property
    def replicas(self) -> int | None:
        """The count at the end of the chain; None: hold."""
        return self.steps[-1].replicas

    @property
    def reason(self) -> Reason:
        """The reason of the last step that changed the count: what a one-line rendering shows."""
        deciding = self.steps[0]
        for before, step in zip(self.steps, self.steps[1:], strict=False):
            if step.replicas != before.replicas:
                deciding = step
        return deciding.reason

    @property
    def holds(self) -> bool:
        """Whether the answer is "keep what is"."""
        return self.replicas is None

    @property
    def value(self) -> float | None:
        """
        The number that KEDA is told; None: hold.

        It is ``replicas``, or less than one below it where an HPA with a dead band would not act
        on the count itself; the HPA rounds it up to ``replicas`` again.
        """
        return self.replicas if self.reported is None else self.reported

    @property
    def active(self) -> bool:
        """KEDA's activation: more than zero wanted."""
        return bool(self.replicas)

    @property
    def detail(self) -> str:
        """The sentence of the step that :attr:`reason` names."""
        return next(step.detail for step in reversed(self.steps) if step.reason is self.reason)
