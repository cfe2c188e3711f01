"""
Autoscalers with a loop of their own: AIBrix's APA and Ray Serve's.

Each reads engines or router itself every few seconds and writes the count; none goes through the
HPA. Their rules are restated from the sources named, not their code.
"""

import collections
import math

from scaler.simulation.simulate import View


class Aibrix:
    """
    AIBrix's application-specific autoscaler (APA) on KV-cache usage.

    Source: vllm-project/aibrix, ``pkg/controller/podautoscaler``: ``algorithm/apa.go`` is
    proportional to the mean use per pod, with a dead band of 10 % either way and at most doubling
    and halving (``context/context.go``); its examples aim at half of the cache. Going down, the
    controller takes the *least* of what it recommended in 300 s (``stabilizeRecommendation``);
    ``steady`` takes the highest, as the HPA does, which is the better setting.
    """

    every_s = 10.0
    lookback_s = 60.0
    history_s = 0.0
    _TOLERANCE, _RATE, _WINDOW_S = 0.1, 2.0, 300.0

    def __init__(self, *, target: float = 0.5, steady: bool = False) -> None:
        self.name = f"aibrix-apa{'-steady' if steady else ''} {100 * target:g}%"
        self._target = target
        self._choose = max if steady else min
        self._recommended = collections.deque[tuple[float, int]]()

    def act(self, view: View) -> int | None:
        """Return the count in proportion to use; None: nobody reports."""
        window = view.window()
        replicas = window.latest.replicas if window is not None else ()
        used = [one.kv_cache_usage for one in replicas if one.kv_cache_usage is not None]
        if not used:
            return None
        wanted = self.count(view.spec_replicas, sum(used) / len(used))
        return self.stabilized(view.now_s, wanted, view.spec_replicas)

    def count(self, pods: int, use: float) -> int:
        """Return the pods for a mean use per pod."""
        ratio = use / self._target
        wanted = math.ceil(pods * ratio)
        if ratio > 1 + self._TOLERANCE:
            return min(wanted, math.ceil(self._RATE * pods))
        if ratio < 1 - self._TOLERANCE:
            return max(wanted, math.floor(pods / self._RATE))
        return pods

    def stabilized(self, now_s: float, wanted: int, pods: int) -> int:
        """Return ``wanted``, or on the way down what the window of recommendations makes of it."""
        self._recommended.append((now_s, wanted))
        while self._recommended[0][0] <= now_s - self._WINDOW_S:
            self._recommended.popleft()
        if wanted >= pods:
            return wanted
        return min(pods, self._choose(count for _, count in self._recommended))


class RayServe:
    """
    Ray Serve's request-based policy: ongoing requests over a target per replica.

    Source: ray-project/ray, ``serve/autoscaling_policy.py`` and ``serve.config.AutoscalingConfig``:
    2 ongoing requests a replica by default, averaged over 30 s, up after 30 s and down after 600 s
    of wanting it without a break; then it goes at once to what it wants.
    """

    every_s = 1.0
    lookback_s = 0.0
    history_s = 0.0
    _AVERAGE_S, _UP_S, _DOWN_S = 30, 30.0, 600.0

    def __init__(self, *, target: float = 2.0) -> None:
        self.name = f"ray-serve {target:g}"
        self._target = target
        self._ongoing = collections.deque[int](maxlen=self._AVERAGE_S)
        self._since: tuple[int, float] = (0, 0.0)
        """Which way was wanted last, and since when."""

    def act(self, view: View) -> int | None:
        """Return the wanted count once one direction was wanted for its delay."""
        self._ongoing.append(view.in_flight)
        mean = sum(self._ongoing) / len(self._ongoing)
        wanted, now = max(1, math.ceil(mean / self._target)), view.spec_replicas
        way = (wanted > now) - (wanted < now)
        if way != self._since[0]:
            self._since = (way, view.now_s)
        waited_s = view.now_s - self._since[1]
        if way == 0 or waited_s < (self._UP_S if way > 0 else self._DOWN_S):
            return None
        self._since = (0, view.now_s)
        return wanted
