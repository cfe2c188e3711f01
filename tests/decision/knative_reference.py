"""
Knative's pod autoscaler, written a second time: stateful, one tick a second, as Knative runs it.

Nothing here is shared with ``scaler.decision``. It follows the rules as Knative documents and
tests them: seconds in a dict, a panic time, a running maximum, a list of past answers. ``horizon``
bounds the running maximum; None is Knative's own, which has no bound.
"""

import dataclasses
import math


@dataclasses.dataclass(kw_only=True)
class Knative:
    target: float
    stable_s: int
    panic_s: int
    threshold: float
    up_rate: float
    down_rate: float
    activation: int
    delay_s: int
    horizon_s: int | None = None

    def __post_init__(self) -> None:
        self.writes: dict[int, dict[int, float]] = {self.stable_s: {}, self.panic_s: {}}
        self.panic_time: int | None = None
        self.panic_wants: list[tuple[int, int]] = []
        self.answers: list[tuple[int, int]] = []

    def create(self, now: int, ready: int | None) -> None:
        """Start with panic where several pods serve: there is no history to take any away."""
        if ready is not None and ready > 1:
            self.panic_time = now
            self.panic_wants = [(now, ready)]

    def write(self, now: int, load: float) -> None:
        for window, seconds in self.writes.items():
            if seconds and now - max(seconds) >= window:
                seconds.clear()
            seconds[now] = seconds.get(now, 0.0) + load

    def average(self, now: int, window: int) -> float:
        seconds = self.writes[window]
        if not seconds or now - max(seconds) >= window:
            return 0.0
        first, last = min(seconds), max(seconds)
        total = sum(load for at, load in seconds.items() if at > now - window)
        return round(total / min(last - first + 1, window - (now - last)), 6)

    def has_no_data(self, now: int) -> bool:
        return all(
            not seconds or now - max(seconds) > window for window, seconds in self.writes.items()
        )

    def tick(self, now: int, ready: int | None) -> int | None:
        """Return the desired count; None is Knative's INVALID, which changes nothing."""
        if ready is None or self.has_no_data(now):
            return None
        pods = max(1, ready)
        stable = math.ceil(self.average(now, self.stable_s) / self.target)
        panic = math.ceil(self.average(now, self.panic_s) / self.target)
        want_stable, want_panic = self.limit(stable, pods), self.limit(panic, pods)

        if panic / pods >= self.threshold:
            self.panic_time = now
        elif self.panic_time is not None and self.panic_time + self.stable_s < now:
            self.panic_time = None
            self.panic_wants = []

        want = want_stable
        if self.panic_time is not None:
            self.panic_wants.append((now, max(want_stable, want_panic)))
            reach = self.horizon_s if self.horizon_s is not None else now + 10**9
            want = max(count for at, count in self.panic_wants if at > now - reach)
        if self.delay_s:
            self.answers.append((now, want))
            want = max(count for at, count in self.answers if now - at < self.delay_s)
        return want

    def limit(self, desired: int, pods: int) -> int:
        limited = max(desired, math.floor(pods / self.down_rate))
        limited = min(limited, math.ceil(self.up_rate * pods))
        if self.activation > 1 and desired > 0:
            limited = max(limited, self.activation)
        return limited
