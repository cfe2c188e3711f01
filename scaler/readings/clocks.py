"""
Whether a server's clock and ours agree: samples bear the server's time and are asked for by ours.

Behind the server's, our clock asks about the past, and gets what load was minutes ago as if it were
now; nothing in an answer shows it. Ahead of it, every reading seems to be old. So the server is
asked for its time, and while the two are too far apart it is not read at all: what is known stands,
and grows old.
"""

from collections.abc import Awaitable, Callable

from scaler.errors import SourceError
from scaler.said import Said

from .asks import MINUTE_S

MOST_APART_S = 30.0
"""More than clocks drift, and less than a decision may be late."""
AGAIN_S = 10.0
"""A clock that was wrong is looked at again so soon."""

Clock = Callable[[], float]
"""Unix seconds."""


class Clocks:
    """Compares the two, once a minute."""

    def __init__(
        self, ours: Clock | None, ahead_s: Callable[[Clock], Awaitable[float | None]]
    ) -> None:
        """
        Compare ``ours`` with the server's, which is ``ahead_s`` of it (None: it does not tell).

        Without ``ours`` nothing is compared: a past is asked about by times that are no clock's.
        """
        self._ours = ours
        self._ahead_s = ahead_s
        self._looked_s: float | None = None
        self._apart: SourceError | None = None

    async def compare(self, url: str) -> None:
        """
        Look, where it is time to.

        Raises:
            SourceError: kind ``clock``: they are too far apart.
        """
        if self._ours is None:
            return
        every_s = MINUTE_S if self._apart is None else AGAIN_S
        if self._looked_s is None or abs(self._ours() - self._looked_s) >= every_s:
            await self._look(self._ours, url)
        if self._apart is not None:
            raise self._apart.again()

    async def _look(self, ours: Clock, url: str) -> None:
        self._looked_s = ours()
        try:
            ahead_s = await self._ahead_s(ours)
        except SourceError:
            return  # which whatever is read next finds out as well
        self._apart = None
        if ahead_s is not None and abs(ahead_s) > MOST_APART_S:
            by_s = abs(ahead_s)
            self._apart = SourceError(
                "clock",
                Said(
                    "the clock of {url} is {by_s:.0f} s ahead of this server's: set the clocks of"
                    " both",
                    url=url,
                    by_s=by_s,
                )
                if ahead_s > 0
                else Said(
                    "the clock of {url} is {by_s:.0f} s behind this server's: set the clocks of"
                    " both",
                    url=url,
                    by_s=by_s,
                ),
            )
