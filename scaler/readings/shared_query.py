"""
One query for many workloads, which one of them can spoil: asked for all, else for ever fewer.

A server that is well refuses what it cannot parse or will not load. For whom alone it refuses is
remembered, so that all others are together again in the next round.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator

from scaler.errors import SourceError
from scaler.source import Workload

from .round import Late, Round
from .wanted import Exporter

MOST_ALONE = 32
"""Workloads that are asked for by themselves in one round, by turns where there are more."""

Ask = Callable[[list[Workload]], Awaitable[None]]
"""Asks for some workloads at once and takes the answer in; SourceError where there is none."""

Again = Callable[[list[Workload], Round, float], Awaitable[None]]
"""Asks for some workloads as of an instant, to see whether there is an answer."""

_User = tuple[str, str]
"""A query's name, and the key of a workload."""


class SharedQueries:
    """Queries by name, each for the workloads that name it."""

    def __init__(self) -> None:
        self._refused: dict[_User, None] = {}
        """For whom alone a query was refused, those first who wait longest."""

    def forget(self, kept: Collection[_User]) -> None:
        """Drop what is known of users that are gone."""
        self._refused = {user: None for user in self._refused if user in kept}

    async def ask(
        self, name: str, users: list[Workload], round_: Round, ask: Ask, again: Again
    ) -> None:
        """Ask for all of the users; the round says for whom there was no answer, and why."""
        waiting = list(self._parts(name, users))
        for _ in range(2 * MOST_ALONE):
            if not waiting:
                return
            these = waiting.pop(0)
            place = (Exporter.GATEWAY, _called(name, these))
            round_.asked.add(place)
            error = await _error_of(ask, these)
            if error is not None and error.of_the_query and len(these) > 1:
                middle = len(these) // 2
                waiting[:0] = [these[:middle], these[middle:]]
                continue
            if error is not None:
                round_.failed[place] = error
                _note_late(error, these, round_, again)
            self._note(name, these, refused=error is not None and error.of_the_query)

    def _parts(self, name: str, users: list[Workload]) -> Iterator[list[Workload]]:
        """Yield those who are asked for together, then some of those who are not."""
        by_user = {(name, user.key): user for user in users}
        together = [one for user, one in by_user.items() if user not in self._refused]
        alone = [user for user in self._refused if user in by_user][:MOST_ALONE]
        yield from ([together] if together else [])
        yield from ([by_user[user]] for user in alone)

    def _note(self, name: str, these: list[Workload], *, refused: bool) -> None:
        for user in ((name, one.key) for one in these):
            self._refused.pop(user, None)
            if refused:
                self._refused[user] = None


def _note_late(error: SourceError, these: list[Workload], round_: Round, again: Again) -> None:
    """Tell the round of a query of several namespaces that was not answered in time."""
    names = tuple(sorted({one.namespace for one in these}))

    async def of(some: tuple[str, ...], aside: Round, at_s: float) -> None:
        await again([one for one in these if one.namespace in some], aside, at_s)

    if error.kind == "timeout" and len(names) > 1 and round_.late is None:
        round_.late = Late(namespaces=names, again=of)


async def _error_of(ask: Ask, these: list[Workload]) -> SourceError | None:
    try:
        await ask(these)
    except SourceError as error:
        return error
    return None


def _called(name: str, users: list[Workload]) -> str:
    """Return what a query is called where it is told of; for one workload with whose it is."""
    return f"query {name}" if len(users) > 1 else f"query {name} of {users[0].key}"
