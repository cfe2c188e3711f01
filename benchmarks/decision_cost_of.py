"""
The decisions of one checkout, timed: what :mod:`.decision_cost` runs on each of two.

It is run as a file, on whatever ``scaler`` the path has first, and therefore knows only names that
an older checkout has as well; where this one keeps columns beside its samples, they are kept as a
source keeps them, and keeping them is part of what is timed.

Commands on stdin, one a line, answers on stdout: ``steady CASE COUNT`` decides so many times, each
with one bucket more, and answers with the seconds of each; ``cold CASE`` decides once on samples
that nobody has seen. Garbage is collected before each command and not before each decision: a
server decides on one object after the other, and a collection empties the processor's caches.
"""

import contextlib
import copy
import dataclasses
import gc
import importlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from scaler.decision.decide import decide
from scaler.decision.policy import InferencePolicy, LendingPolicy
from scaler.decision.pool import Member, PoolWindow
from scaler.decision.sample import Replica, Sample
from scaler.decision.window import Window


def found(*names: str) -> Any:  # noqa: ANN401 -- whatever a checkout has there
    """Return the first of some names that this checkout has; None: it has none of them."""
    for module, _, name in (one.rpartition(".") for one in names):
        with contextlib.suppress(ImportError, AttributeError):
            return getattr(importlib.import_module(module), name)
    return None


RECORD = found("scaler.decision.facts.record.Record")
"""None: a checkout that keeps what it worked out with the samples."""
KEPT = found("scaler.decision.window.Kept")
FORESIGHT = found("scaler.decision.foresight.Foresight")
MINUTE_S = 60.0
POLICY = InferencePolicy(max_replicas=40, units_per_replica=1)
STARTUP_S = (55.0, 70.0, 62.0)


class Past:
    """One workload's samples, and the window that ends in each."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._interval_s = float(told["interval_s"])
        self._fine_s = float(told["fine_s"])
        self._samples = [_sample(one) for one in told["samples"]]
        both = zip(self._samples, told["thin"], strict=True)
        self._thin = [one for one, is_kept in both if is_kept]
        self._end = int(told["first_end"])
        self._kept: tuple[Any, Any] | None = None
        self._foresight: Any = FORESIGHT() if FORESIGHT else None

    def next(self) -> Callable[[], Window]:
        """Let one bucket pass; return what makes its window, as a source would."""
        new, self._end = self._samples[self._end], self._end + 1
        from_s = MINUTE_S * (math.floor(new.at_s / MINUTE_S) - math.ceil(self._fine_s / MINUTE_S))
        first = next(at for at in range(self._end) if self._samples[at].at_s > from_s)
        history = [one for one in self._thin if one.at_s <= from_s]
        if RECORD is None:
            fine, older = tuple(self._samples[first : self._end]), tuple(history)
            return lambda: self._window(fine, older)
        return lambda: self._recorded(new, self._samples[first : self._end], history)

    def cold(self) -> Callable[[], Window]:
        """Return what makes the newest window of samples that were never seen before."""
        fresh = copy.copy(self)
        fresh._samples = [_anew(one) for one in self._samples]  # noqa: SLF001
        thin = {one.at_s for one in self._thin}
        fresh._thin = [one for one in fresh._samples if one.at_s in thin]  # noqa: SLF001
        fresh._end, fresh._kept = self._end - 1, None  # noqa: SLF001
        fresh._foresight = FORESIGHT() if FORESIGHT else None  # noqa: SLF001
        return fresh.next()

    def _recorded(self, new: Sample, fine: list[Sample], history: list[Sample]) -> Window:
        if self._kept is None:
            self._kept = _record(fine), RECORD(history)
        else:
            record, older = self._kept
            record.add(new)
            record.take_before(fine[0].at_s)
            known = older.samples[-1].at_s if older.samples else -math.inf
            older.merge([one for one in history[-8:] if one.at_s > known])
        record, older = self._kept
        past, present = older.until(fine[0].at_s), record.until(math.inf)
        window: Window = self._window(present.samples, past.samples, kept=KEPT(present, past))
        return self._foresight.given("chat", window, POLICY) if self._foresight else window

    def _window(
        self,
        samples: tuple[Sample, ...],
        history: tuple[Sample, ...],
        **more: Any,  # noqa: ANN401 -- what an older checkout has no word for
    ) -> Window:
        return Window(
            samples=samples,
            history=history,
            interval_s=self._interval_s,
            startup_s=STARTUP_S,
            **more,
        )


def _record(samples: list[Sample]) -> Any:  # noqa: ANN401
    """Return what a source keeps a workload's fine samples in."""
    try:
        return RECORD(samples, packs=True)
    except TypeError:  # a checkout that packs nothing
        return RECORD(samples)


class Case:
    """A workload that is decided on, or a pool of several."""

    def __init__(self, pasts: list[Past]) -> None:
        self._pasts = pasts
        self.steady()  # what is only done once

    def steady(self) -> float:
        """Return the processor seconds of one decision with one bucket more than the last."""
        return self._timed([past.next() for past in self._pasts])

    def cold(self) -> float:
        """Return those of one on samples that are new to it."""
        return self._timed([past.cold() for past in self._pasts])

    def _timed(self, make: list[Callable[[], Window]]) -> float:
        gc.disable()
        started = time.process_time()
        windows = [one() for one in make]
        if len(windows) == 1:
            decide(windows[0], POLICY)
        else:
            decide(_pool(windows), LendingPolicy(pool_units=16))
        spent_s = time.process_time() - started
        gc.enable()
        return spent_s


def _pool(windows: list[Window]) -> PoolWindow:
    members = tuple(
        Member(name=f"llm/chat-{number}", policy=POLICY, window=window)
        for number, window in enumerate(windows)
    )
    at_s = windows[0].latest.at_s
    return PoolWindow(at_s=at_s, members=members, workers=2, workers_since_s=at_s - 400)


def _anew(sample: Sample) -> Sample:
    replicas = tuple(dataclasses.replace(one) for one in sample.replicas)
    return dataclasses.replace(sample, replicas=replicas)


def _sample(told: dict[str, Any]) -> Sample:
    replicas = tuple(Replica(**one) for one in told["replicas"])
    return Sample(**{**told, "replicas": replicas})


def answers(path: str, commands: Iterator[str]) -> Iterator[list[float]]:
    """Yield the seconds that each command asks for."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 -- as in any checkout
        told = json.load(file)
    cases: dict[str, Case] = {}
    for line in commands:
        what, name, *count = line.split()
        if name not in cases:
            cases[name] = Case([Past(one) for one in told[name]])
        case = cases[name]
        gc.collect()
        yield [case.cold()] if what == "cold" else [case.steady() for _ in range(int(count[0]))]


if __name__ == "__main__":
    for seconds in answers(sys.argv[1], iter(sys.stdin)):
        print(json.dumps(seconds), flush=True)
