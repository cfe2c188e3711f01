"""
Samples in time order: all that a decision may know.

A window slices; it never fetches. It has at least one sample by construction, so that "no data"
is an error at the source and never an empty window that somebody reads as zero.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scaler.capacity.histogram import Histogram

from .facts.bucket import MOST_BEFORE, Instant
from .facts.columns import Columns
from .facts.record import NOTHING, Recorded
from .outlook import Foreseen
from .sample import Sample


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScaleBounds:
    """What the ScaledObject and its HPA say, as read back from the cluster; None: not known."""

    min_replicas: int | None = None
    max_replicas: int | None = None
    tolerance: float | None = None
    """The HPA's dead band as read back: 0 where ``behavior`` still carries ours."""
    paused: bool = False
    """Nobody changes its replicas, whatever is answered."""
    scale_in_paused: bool = False
    """Nobody lowers its replicas."""
    scale_out_paused: bool = False
    """Nobody raises its replicas."""
    others_desired: int | None = None
    """Replicas that an autoscaler of somebody else wants of the same target, where one owns it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Token lengths of the requests of a workload, over the source's histogram range."""

    prompt_tokens: Histogram | None = None
    output_tokens: Histogram | None = None


class Kept(NamedTuple):
    """The columns of a window's samples and of its history, by whoever keeps them."""

    samples: Recorded
    history: Recorded


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """
    What is known of one workload.

    Attributes:
        samples: on the grid, oldest first, at least one, strictly increasing ``at_s``.
        interval_s: the bucket: the scrape interval of the source, at least 1 s.
        history: older samples, thinned to each minute's lowest and highest demand and its fastest
            arrivals, oldest first; all before ``samples[0]``. For forecasts and the lending latch.
        lengths: token lengths, refreshed about once a minute.
        startup_s: creation-to-ready times of this workload's own pods, seconds.
        bounds: the ScaledObject's and HPA's bounds where the cluster tells.
        reclaim_s: how long it takes to take a borrower's workers back, seconds; None: not known.
        allocates_up_front: whether the engine takes its GPU memory at start (its profile says
            so), so that memory in use says nothing about load.
        gateway: which series the gateway's readings come from, in words of the source's own: the
            same in windows that read the same ones; None: no gateway is named.
        gateway_silent: what is not there, where a gateway or a query of arrivals is named and none
            of its series is fresh: nobody could tell that a request came. None: it reads.
        instead: what there is in place of the engine's readings, where there are none of them.
        silent_s: seconds since the newest sample ended; above 0 nothing was heard since.
        read_s: the time of the newest reading in the newest sample, whose bucket may not be over;
            None: the bucket's end.
        fine_s: seconds between the newest samples where pods' own pages were read between two
            scrapes; None: they are as far apart as all others.
        between: what is told of that reading, where it was asked for.
        kept: the columns of samples and history where they are at hand; else they are made here.
        foreseen: what the forecast makes of the whole minutes before the present one, by whoever
            keeps it; else it is made here.
    """

    samples: tuple[Sample, ...]
    interval_s: float
    history: tuple[Sample, ...] = ()
    lengths: Lengths = dataclasses.field(default_factory=Lengths)
    startup_s: tuple[float, ...] = ()
    bounds: ScaleBounds = dataclasses.field(default_factory=ScaleBounds)
    reclaim_s: float | None = None
    allocates_up_front: bool = False
    gateway: str | None = None
    gateway_silent: str | None = None
    instead: str | None = None
    silent_s: float = 0.0
    read_s: float | None = None
    fine_s: float | None = None
    between: str | None = None
    kept: Kept | None = dataclasses.field(default=None, repr=False, compare=False)
    foreseen: Foreseen | None = dataclasses.field(default=None, repr=False, compare=False)
    _fine: Recorded = dataclasses.field(init=False, repr=False, compare=False)
    _history: Recorded = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a window that would make a decision read silence as zero."""
        if not self.samples:
            raise ValueError("a Window has at least one sample; no data is an error at the source")
        if not self.interval_s >= 1:
            raise ValueError(f"interval_s must be at least 1 s, got {self.interval_s:g}")
        kept = self.kept or Kept(NOTHING, NOTHING)
        object.__setattr__(self, "_fine", kept.samples.of(self.samples))
        object.__setattr__(self, "_history", kept.history.of(self.history))
        if not self._is_in_order():
            raise ValueError("samples must be in strictly increasing order of at_s")

    def _is_in_order(self) -> bool:
        """Whether time goes on from sample to sample; in what is kept as columns it does."""
        kept = self.kept or (None, None)
        anew = [
            each.columns.instants.at_s
            for each, known in zip((self._fine, self._history), kept, strict=True)
            if each is not known
        ]
        within = all(bool((each[1:] > each[:-1]).all()) for each in anew)
        return within and (not self.history or self.history[-1].at_s < self.samples[0].at_s)

    @property
    def columns(self) -> Columns:
        """The columns of the samples."""
        return self._fine.columns

    @property
    def past(self) -> Columns:
        """The columns of the history."""
        return self._history.columns

    @property
    def latest(self) -> Sample:
        """The newest sample: its instant is "now" for a decision."""
        return self.samples[-1]

    @property
    def now_s(self) -> float:
        """The instant of the newest reading, Unix seconds: what is told as a decision's time."""
        return self.latest.at_s if self.read_s is None else self.read_s

    @property
    def bucket_s(self) -> float:
        """Seconds between the newest samples: what rules over time count in."""
        return self.interval_s if self.fine_s is None else self.fine_s

    @property
    def asked_s(self) -> float:
        """The end of the bucket that the window was asked for, Unix seconds."""
        return self.latest.at_s + self.silent_s

    def until(self, at_s: float) -> "Window | None":
        """Return the window as it was at an earlier instant; None: there is no sample so old."""
        end = int(np.searchsorted(self.columns.instants.at_s, at_s, side="right"))
        if not end:
            return None
        read_s = self.read_s if end == len(self.samples) else None
        fine = Recorded(self.samples[:end], self.columns.between(0, end))
        until = self._with(fine, self._history)
        return dataclasses.replace(until, silent_s=0.0, read_s=read_s)

    @property
    def now(self) -> Instant:
        """What the newest sample says of load."""
        return self.columns.newest

    @property
    def earlier(self) -> Columns:
        """The buckets before the newest one: what may be learned from."""
        return self.columns.between(0, len(self.columns) - 1)

    @property
    def whole(self) -> "Window":
        """The window with its thinned history as samples: what long looks back read."""
        if not self.history:
            return self
        first = Columns.of(self.samples[:1], self.history[-MOST_BEFORE:])
        columns = self.columns.joined_to(self.past, first)
        return self._with(Recorded((*self.history, *self.samples), columns), NOTHING)

    def without_history_before(self, first: int) -> "Window":
        """Return the window with its history from a sample of it on."""
        history = Recorded(self.history[first:], self.past.between(first))
        return self._with(Recorded(self.samples, self.columns), history)

    def part_with_history(self, older: tuple[int, int], fine: tuple[int, int]) -> "Window | None":
        """Return a part of the history and one of the samples behind it as samples; None: none."""
        first, last = older
        history = Recorded(self.history[first:last], self.past.between(first, last))
        begin, end = fine
        if begin >= end:
            return self._with(history, NOTHING) if history.samples else None
        samples, columns = self.samples[begin:end], self.columns.between(begin, end)
        if history.samples:
            joined = Columns.of(samples[:1], history.samples[-MOST_BEFORE:])
            samples = (*history.samples, *samples)
            columns = columns.joined_to(history.columns, joined)
        return self._with(Recorded(samples, columns), NOTHING)

    def parts(self, spans: Sequence[tuple[int, int]]) -> "Window":
        """
        Return the samples from one number on, and before another, of some spans, as one window.

        Spans (at least one, in order of time) know nothing of each other: each begins anew.
        """
        pasts = [self.columns.between(first, end) for first, end in spans]
        samples = tuple(one for first, end in spans for one in self.samples[first:end])
        return self._with(Recorded(samples, pasts[-1].after(*pasts[:-1])), NOTHING)

    def with_latest(self, sample: Sample) -> "Window":
        """Return the same window with another newest sample."""
        newest = Columns.of((sample,), self.samples[-1 - MOST_BEFORE : -1])
        columns = newest.after(self.columns.between(0, len(self.columns) - 1))
        return self._with(Recorded((*self.samples[:-1], sample), columns), self._history)

    def _with(self, fine: Recorded, history: Recorded) -> "Window":
        """Return the window with other samples and history."""
        return dataclasses.replace(
            self, samples=fine.samples, history=history.samples, kept=Kept(fine, history)
        )

    def last(self, seconds: float) -> tuple[Sample, ...]:
        """Samples in the half-open span ``(latest − seconds, latest]``; the newest one at least."""
        return self.samples[self.first_of(seconds) :]

    def first_of(self, seconds: float) -> int:
        """Return the first bucket within so many seconds of the latest; the newest at most."""
        times = self.columns.instants.at_s
        start = np.searchsorted(times, self.latest.at_s - seconds, side="right")
        return min(int(start), len(times) - 1)

    @property
    def span_s(self) -> float:
        """Seconds covered by the fine samples, the oldest one's own bucket included."""
        return self.latest.at_s - self.samples[0].at_s + self.interval_s
