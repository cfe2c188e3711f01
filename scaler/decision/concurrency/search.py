"""The largest count that a test still allows, for tests that once they fail, keep failing."""

from collections.abc import Callable


def largest_within(allows: Callable[[int], bool], *, start: int) -> int:
    """
    Return the largest count from 0 up that ``allows``, by doubling from ``start`` and halving.

    ``allows`` is true up to some count and false above it; 0 is allowed without asking.
    """
    low, high = 0, max(1, start)
    while allows(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if allows(middle) else (low, middle)
    return low
