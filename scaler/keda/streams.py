"""How many streams may be open: each costs memory for as long as its client likes."""

import contextlib
from collections.abc import Iterator

from scaler.errors import TooManyStreamsError
from scaler.telemetry import Telemetry


class OpenStreams:
    """Counts the streams of one server; one that is too many is refused, and none is cut for it."""

    def __init__(self, telemetry: Telemetry, *, most: int) -> None:
        self._most = most
        self._open = 0
        telemetry.show_streams(lambda: self._open)

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """
        Hold a place for one more.

        Raises:
            TooManyStreamsError: there is none.
        """
        if self._open >= self._most:
            raise TooManyStreamsError(f"{self._open} streams are open, which is the limit")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
