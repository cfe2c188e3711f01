"""
What the cluster says of its ScaledObjects: its word counts before that of whoever asks.

KEDA learns of a ScaledObject as this scaler does, by watching the API. What the cluster does not
have is nobody's: it is not served, and claims neither pods nor a place in a pool or a group of
tiers. Where the API is not watched, or not at the moment, whoever asks is believed.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Iterable, Mapping

from scaler.errors import NoDataError
from scaler.said import Said

Named = Callable[[Collection[str]], Iterable[tuple[str, str, Mapping[str, str]]]]
"""Addresses of this scaler to (namespace, name, metadata) of the ScaledObjects that name one."""

There = Callable[[str, str], bool | None]
"""Whether the cluster has a ScaledObject (namespace, name); None: it does not tell now."""

Stated = Callable[[str, str, Mapping[str, str]], Mapping[str, str] | None]
"""(namespace, name, metadata as asked with) to the metadata that counts; None: the cluster has
another, of which KEDA resolves a part."""

MOST_WAITING = 64
"""Calls that may wait for what the cluster does not have: made-up ones are as many as one likes."""
_LOOK_AGAIN_S = 0.05


def _nobody(_: Collection[str]) -> Iterable[tuple[str, str, Mapping[str, str]]]:
    return ()


def _untold(_namespace: str, _name: str) -> bool | None:
    return None


def _as_asked(_namespace: str, _name: str, metadata: Mapping[str, str]) -> Mapping[str, str] | None:
    return metadata


class Listed:
    """The ScaledObjects that a cluster has; by default nothing is known of them."""

    def __init__(
        self,
        *,
        named: Named = _nobody,
        others: Named = _nobody,
        there: There = _untold,
        stated: Stated = _as_asked,
    ) -> None:
        """
        Take the cluster's word.

        Args:
            named: the ScaledObjects that name one of some addresses.
            others: those that name none of them.
            there: whether it has one.
            stated: which metadata of one counts.
        """
        self.named, self.others, self.there = named, others, there
        self._stated = stated
        self._waiting = 0

    def metadata(self, namespace: str, name: str, metadata: Mapping[str, str]) -> Mapping[str, str]:
        """
        Return the metadata of an object that counts: the cluster's own, where it is known.

        Raises:
            NoDataError: what was asked with is none of the object's, and which is it to be?
        """
        counts = self._stated(namespace, name, metadata)
        if counts is None:
            raise NoDataError(
                Said(
                    "no trigger of the cluster's ScaledObject {key} has this metadata (yet)",
                    key=f"{namespace}/{name}",
                )
            )
        return counts

    async def refuse_made_up(self, namespace: str, name: str, *, patience_s: float) -> None:
        """
        Refuse what the cluster does not have.

        One that was made just now may be known to KEDA a moment earlier: ``patience_s`` is waited.

        Raises:
            NoDataError: the cluster has no such ScaledObject.
        """
        if self.there(namespace, name) is False and not await self._appears(
            namespace, name, patience_s
        ):
            raise NoDataError(
                Said(
                    "the cluster has no ScaledObject {key} (yet) with an external trigger;"
                    " a ScaledJob is not served",
                    key=f"{namespace}/{name}",
                )
            )

    async def _appears(self, namespace: str, name: str, within_s: float) -> bool:
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            for _ in range(math.ceil(within_s / _LOOK_AGAIN_S)):
                await asyncio.sleep(_LOOK_AGAIN_S)
                if self.there(namespace, name) is not False:
                    return True
            return False
        finally:
            self._waiting -= 1
