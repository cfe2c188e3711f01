"""
Whether there is memory for one object more, by the limit of the process' own cgroup.

What an object costs differs a hundredfold, by its pods and its history: no number of objects fits a
limit. Whoever is served already keeps being served; a process that is killed serves nobody.
"""

import pathlib
import resource
from collections.abc import Sequence

LIMITS = (
    pathlib.Path("/sys/fs/cgroup/memory.max"),
    pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container finds its limit, by version 2 and 1 of cgroups; bytes, or ``max``."""
STATM = pathlib.Path("/proc/self/statm")
SHARE = 0.8
"""Of the limit; the rest is for the readings of those that are served, and for large replies."""
_NOBODY_HAS = 2**50
"""Bytes; version 1 states about 2^63 where there is no limit."""


def limit_bytes(limits: Sequence[pathlib.Path] = LIMITS) -> int | None:
    """Return the memory that the process may hold; None: no limit is stated."""
    for path in limits:
        try:
            stated = int(path.read_text())
        except (OSError, ValueError):
            continue
        if stated < _NOBODY_HAS:
            return stated
    return None


def has_room(limit: int | None, statm: pathlib.Path = STATM) -> bool:
    """Return whether the process holds less than :data:`SHARE` of a limit, bytes."""
    if limit is None:
        return True
    try:
        pages = int(statm.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return True  # no such system
    return pages * resource.getpagesize() < SHARE * limit
