"""
Kubernetes Events on ScaledObjects: what happened, where their owners look first.

A few a minute of one object, the rest is not told: metrics and log have it all. Replicas of the
scaler say the same; an Event's name is made of what it tells and of the minute, so that the API
takes the first and refuses the copies.
"""

import asyncio
import contextlib
import datetime as dt
import hashlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from scaler.readings.kubernetes.api import FAULTS, refusal
from scaler.readings.kubernetes.known import KnownCluster
from scaler.serving.happenings import Happening

logger = logging.getLogger("kvtide.events")

MOST_A_MINUTE = 6
"""Of one object."""
MOST_WAITING = 256
"""Of all objects: while the API is slow, what is too much is left out."""
LONGEST_NOTE = 1024
"""Characters; the API refuses a longer one."""
CONFLICT = 409
_GIVE_UP_S = 10.0

Told = tuple[str, str, Happening, float]
Write = Callable[[dict[str, Any]], Awaitable[None]]
"""Creates an Event, or raises what the API refuses it with."""


class Teller:
    """Writes Events about the ScaledObjects that a cluster is known to have."""

    def __init__(self, known: KnownCluster, write: Write, clock: Callable[[], float]) -> None:
        self._known = known
        self._write = write
        self._clock = clock
        self._waiting: asyncio.Queue[Told] = asyncio.Queue(MOST_WAITING)
        self._lately: dict[tuple[str, str], deque[float]] = {}

    def tell(self, namespace: str, name: str, happening: Happening) -> None:
        """Take what happened; it is written in the background."""
        now_s = self._clock()
        lately = self._lately.setdefault((namespace, name), deque(maxlen=MOST_A_MINUTE))
        if len(lately) == MOST_A_MINUTE and now_s - lately[0] < 60:
            return
        lately.append(now_s)
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait((namespace, name, happening, now_s))

    async def run(self) -> None:
        """Write what is told, one after another, until cancelled."""
        while True:
            namespace, name, happening, at_s = await self._waiting.get()
            known = self._known.scaled_objects.listed.get((namespace, name))
            if known is None:
                self._lately.pop((namespace, name), None)
                continue
            body = event((namespace, name, known.uid), happening, at_s)
            try:
                async with asyncio.timeout(_GIVE_UP_S):
                    await self._write(body)
            except FAULTS as error:
                why = refusal(error)
                if why.status != CONFLICT:
                    logger.warning("could not write an Event: %s", why.message)


def event(about: tuple[str, str, str], happening: Happening, at_s: float) -> dict[str, Any]:
    """Return the Event; ``about`` is the ScaledObject's namespace, name and uid."""
    namespace, name, uid = about
    at = dt.datetime.fromtimestamp(at_s, dt.UTC)
    # The client leaves a fraction of zero out, and the API refuses a time without one.
    written = at.replace(microsecond=at.microsecond or 1)
    sign = hashlib.sha256(f"{uid} {happening.reason} {at_s // 60:.0f}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{name[:200]}.{sign}", "namespace": namespace},
        "eventTime": written.isoformat(),
        "reportingController": "kvtide.io/scaler",
        "reportingInstance": "kvtide",
        "action": happening.reason,
        "reason": happening.reason,
        "note": happening.note[:LONGEST_NOTE],
        "type": "Warning" if happening.warning else "Normal",
        "regarding": {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "namespace": namespace,
            "name": name,
            "uid": uid,
        },
    }


@contextlib.asynccontextmanager
async def telling(
    known: KnownCluster, write: Write, clock: Callable[[], float]
) -> AsyncIterator[Teller]:
    """Write Events until left."""
    teller = Teller(known, write, clock)
    task = asyncio.create_task(teller.run())
    try:
        yield teller
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
