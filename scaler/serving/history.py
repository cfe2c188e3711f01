"""The last hour or day of one object, and where it was read from: there is no store for it here."""

import dataclasses
import enum
import itertools
from collections.abc import Sequence

from scaler.report.moments import Moment


class Origin(enum.StrEnum):
    """Where moments come from."""

    METRICS = "metrics"
    """kvtide's own metrics, as Prometheus recorded them."""
    WINDOWS = "windows"
    """The windows that are held to decide on, decided on again: some minutes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Moments of one object, oldest first."""

    moments: Sequence[Moment]
    origin: Origin
    why: str | None = None
    """What stands in the way of a better origin."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A moment at which the answer changed."""

    at_s: float
    before: int | None
    after: int | None
    """Replicas or workers wanted; None: held."""
    reason: str
    detail: str
    panic: bool | None = None
    """True: a panic began; False: it ended; None: neither."""


def events(moments: Sequence[Moment], *, most: int = 50) -> list[Event]:
    """Return what happened, newest first: each change of the count, of a hold or of panic."""
    found = []
    for then, now in itertools.pairwise(moments):
        turned = None if then.panic == now.panic else now.panic
        if then.wanted != now.wanted or turned is not None:
            found.append(
                Event(
                    at_s=now.at_s,
                    before=then.wanted,
                    after=now.wanted,
                    reason=now.reason,
                    detail=now.detail,
                    panic=turned,
                )
            )
    return found[: -most - 1 : -1]
