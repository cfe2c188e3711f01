"""How many streams may be open: each costs memory for as long as its client likes."""

import collections
import contextlib
from collections.abc import Iterator

from scaler.errors import TooManyStreamsError
from scaler.telemetry.process import Telemetry


class OpenStreams:
    """Counts the streams of one server; one that is too many is refused, and none is cut for it."""

    def __init__(self, telemetry: Telemetry, *, most: int, most_of_one: int) -> None:
        """
        Count from zero.

        Args:
            telemetry: shows how many are open.
            most: open at one time.
            most_of_one: of those, about one object: nobody needs more, and whoever opens them by
                the thousand takes no other object's place.
        """
        self._most, self._most_of_one = most, most_of_one
        self._open = 0
        self._about = collections.Counter[tuple[str, str]]()
        telemetry.show_streams(lambda: self._open)

    @contextlib.contextmanager
    def one(self, namespace: str, name: str) -> Iterator[None]:
        """
        Hold a place for one more about an object.

        Raises:
            TooManyStreamsError: there is none.
        """
        if self._open >= self._most:
            raise TooManyStreamsError(f"{self._open} streams are open, which is the limit")
        about = (namespace, name)
        if self._about[about] >= self._most_of_one:
            told = f"{self._most_of_one} streams about {namespace}/{name} are open"
            raise TooManyStreamsError(f"{told}, which is the limit")
        self._open += 1
        self._about[about] += 1
        try:
            yield
        finally:
            self._open -= 1
            self._about[about] -= 1
            if not self._about[about]:
                del self._about[about]
