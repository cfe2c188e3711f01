"""The cluster that a serving process hears of beside its Prometheus, if there is one to hear."""

import asyncio
import contextlib
import dataclasses
import functools
import logging
import os
import time
from collections.abc import AsyncIterator, Callable

from scaler.errors import ConfigurationError
from scaler.readings.kubernetes.api import connect, is_in_cluster
from scaler.readings.kubernetes.events import write_event
from scaler.readings.kubernetes.known import KnownCluster
from scaler.readings.kubernetes.watch import hear
from scaler.said import Said, joined
from scaler.serving.happenings import Tell
from scaler.settings import Settings

from .telling import telling

logger = logging.getLogger("kvtide.kubernetes")

FIRST_LISTS_S = 5.0
"""So long a start waits for them: the first answers then know their targets."""
ALONE = Said("the cluster is known by kube-state-metrics alone")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What is known of the cluster, and how that is going."""

    known: KnownCluster
    standing: Callable[[], str]
    """One sentence for people: what is heard, and what is not and why."""
    tell: Tell | None = None
    """Takes what happens to objects, for Events; None: there is no API to write them to."""


@contextlib.asynccontextmanager
async def hearing(settings: Settings) -> AsyncIterator[Hearing]:
    """
    Hear of the cluster until left, as the settings say.

    Raises:
        ConfigurationError: ``on``, and there is no cluster to be found.
    """
    known = KnownCluster(settings.kubernetes_namespace)
    why_not = _why_not(settings)
    if why_not is not None:
        logger.info("%s", why_not)
        yield Hearing(known=known, standing=lambda: why_not)
        return
    try:
        client = await connect()
    except ConfigurationError as error:
        if settings.kubernetes == "on":
            raise
        told = Said("Kubernetes API: {why}; {alone}.", why=error.said, alone=ALONE)
        logger.warning("%s", told)
        yield Hearing(known=known, standing=lambda: told)
        return
    async with client:
        task = asyncio.create_task(hear(known, client, settings.kubernetes_namespace))
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_LISTS_S):
                    await known.first_lists()
            logger.info("%s", _standing(known))
            write = functools.partial(write_event, client)
            async with telling(known, write, time.time) as teller:
                tell = teller.tell if settings.kubernetes_events else None
                yield Hearing(known=known, standing=lambda: _standing(known), tell=tell)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _why_not(settings: Settings) -> str | None:
    """Return why the API is not asked; None: it is."""
    if settings.kubernetes == "off":
        return Said("Kubernetes API: not asked (kubernetes: off); {alone}.", alone=ALONE)
    if settings.kubernetes == "auto" and not (is_in_cluster() or os.environ.get("KUBECONFIG")):
        return Said(
            "Kubernetes API: this process is in no cluster and has no KUBECONFIG; {alone}.",
            alone=ALONE,
        )
    return None


def _standing(known: KnownCluster) -> str:
    troubles = known.troubles()
    if not troubles:
        return Said("Kubernetes API: watched.")
    return Said("Kubernetes API: watched, but not {troubles}.", troubles=joined("; ", troubles))
