"""
Namespaces for which alone a server is slow: found out by asking for ever fewer, and asked apart.

A query that many namespaces share takes as long as the worst of them, whose pods may show series
without end. Who it is is found with a few queries of little time each. Where the first two parts
are not answered either the server is slow for everybody, and it is left alone.
"""

import asyncio
import dataclasses
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from .round import Late

LIMIT_S = 2.0
"""Time of a query that finds out who it is: what others share is answered in much less."""
QUICK_S = 1.0
"""What is asked with the others again is answered in less."""
PARTS = 8
"""So many at a time: seven slow ones among them still leave one that is answered."""
_AT_ONCE = 4
_MOST_ASKED = 128
"""Queries of one search; whom it did not come to is asked apart, and soon with the others again."""
_VISITS = 5
_MOST_VISITS = 640
"""Quick ones in a row before it is asked with the others; twice as many each time it was not so."""
_RELAPSE_S = 3600.0
"""Slow again within this time it is the same trouble."""
_REST = 2.0
"""Times as long as it took it is left alone: it has a third of the time of one query at most."""
_LEAST_REST_S = 10.0
"""After no answer."""

Names = tuple[str, ...]
IsQuick = Callable[[Names], Awaitable[bool]]
"""Whether a query for some namespaces is answered within :data:`LIMIT_S`."""


async def slow_among(names: Sequence[str], is_quick: IsQuick, *, turn: int = 0) -> set[str]:
    """
    Return the namespaces for which alone a query takes long; none: it does for all, or for nobody.

    ``turn`` is which part is asked first: after a search that found nobody another one.
    """
    left = parts_of(names)
    left = left[turn % len(left) :] + left[: turn % len(left)]
    slow = list[Names]()
    while not await is_quick(left[0]):
        slow.append(left.pop(0))
        if len(slow) > 1 or not left:
            return set()
    limit = asyncio.Semaphore(_AT_ONCE)

    async def those_slow(parts: Sequence[Names]) -> list[Names]:
        async def quick(part: Names) -> bool:
            async with limit:
                return await is_quick(part)

        answers = await asyncio.gather(*map(quick, parts))
        return [part for part, answer in zip(parts, answers, strict=True) if not answer]

    slow += await those_slow(left[1:])
    found, asked = set[str](), PARTS
    while slow:
        part = slow.pop(0)
        if len(part) == 1 or asked >= _MOST_ASKED:
            found.update(part)
            continue
        halves = parts_of(part)
        asked += len(halves)
        slow += await those_slow(halves)
    return found


def parts_of(names: Sequence[str]) -> list[Names]:
    """Return the names in :data:`PARTS` parts, of nearly as many names each, none of them empty."""
    return [part for number in range(PARTS) if (part := tuple(names[number::PARTS]))]


@dataclasses.dataclass(slots=True, kw_only=True)
class _Alone:
    late: Late
    """What it was slow with."""
    needs: int
    """Quick visits in a row."""
    quick: int = 0
    due_s: float = -math.inf


class Slow:
    """Who is asked apart, when next, and when with the others again."""

    def __init__(self) -> None:
        self._alone: dict[str, _Alone] = {}
        self._before: dict[str, tuple[float, int]] = {}
        """When one was asked with the others again, and after how many visits."""
        self.suspects: set[str] = set()
        """Of whom it is being found out."""

    def __len__(self) -> int:
        """Return how many are asked apart."""
        return len(self._alone)

    def __contains__(self, name: str) -> bool:
        """Whether a namespace is asked apart."""
        return name in self._alone

    def is_shared(self, name: str) -> bool:
        """Whether a namespace is asked with the others now."""
        return name not in self._alone and name not in self.suspects

    def found(self, name: str, late: Late, now_s: float) -> None:
        """Ask a namespace apart from now on."""
        returned_s, visits = self._before.pop(name, (-math.inf, 0))
        again = now_s - returned_s < _RELAPSE_S
        needs = min(_MOST_VISITS, 2 * visits) if again else _VISITS
        self._alone.setdefault(name, _Alone(late=late, needs=needs))

    def due(self, now_s: float) -> list[str]:
        """Return whom to ask now, those first who wait longest."""
        due = [(one.due_s, name) for name, one in self._alone.items() if one.due_s <= now_s]
        return [name for _, name in sorted(due)]

    def visited(
        self, name: str, ended_s: float, *, took_s: float, slowest_s: float, answered: bool
    ) -> Late | None:
        """
        Note how it went; return what to try it with before it is asked with the others again.

        None: not yet. ``took_s`` is what all of it took, ``slowest_s`` its slowest query.
        """
        one = self._alone.get(name)
        if one is None:
            return None
        one.quick = one.quick + 1 if answered and slowest_s < QUICK_S else 0
        one.due_s = ended_s + max(_REST * took_s, 0.0 if answered else _LEAST_REST_S)
        return one.late if one.quick >= one.needs else None

    def tried(self, name: str, now_s: float, *, quick: bool) -> None:
        """Ask a namespace with the others again, if that went well."""
        one = self._alone.get(name)
        if one is None:  # nobody asks for it any more
            return
        if quick:
            del self._alone[name]
            self._before[name] = (now_s, one.needs)
        else:
            one.quick, one.needs = 0, min(_MOST_VISITS, 2 * one.needs)

    def keep(self, names: Collection[str]) -> None:
        """Drop what is known of namespaces that nobody asks for any more."""
        for known in (self._alone, self._before):
            for name in _gone(known, names):
                del known[name]


def _gone(known: Iterable[str], names: Collection[str]) -> list[str]:
    return [name for name in known if name not in names]
