"""
One controller at a time: leader election by a Lease, with client-go's times.

A replica that waits follows nothing and writes nothing. One that loses the Lease, or the API with
it, ends its work first and then stands again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from kubernetes.aio.client import ApiClient
from kubernetes.aio.leaderelection import electionconfig, leaderelection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from .kube import FAULTS, refusal

logger = logging.getLogger("kvtide.controller")

LEASE = "kvtide-controller"
LEASE_S = 15
RENEW_S = 10
RETRY_S = 2

Work = Callable[[], Awaitable[None]]


async def lead(client: ApiClient, namespace: str, identity: str, work: Work) -> None:
    """
    Work whenever this replica holds the Lease; never returns.

    Raises:
        Exception: what ``work`` raised; the Lease is left to expire.
    """
    while True:
        try:
            await _term(client, namespace, identity, work)
        except FAULTS as error:
            why = refusal(error)
            fields = {"status": why.status, "why": why.message}
            logger.warning("cannot stand for leader", extra={"fields": fields})
        await asyncio.sleep(RETRY_S)


async def _term(client: ApiClient, namespace: str, identity: str, work: Work) -> None:
    """Wait for the Lease, work until it is lost, and end the work."""
    began = asyncio.Event()

    async def on_start() -> None:
        began.set()

    async def on_stop() -> None:
        logger.warning("lost the lease", extra={"fields": {"identity": identity}})

    config = electionconfig.Config(
        LeaseLock(LEASE, namespace, identity, client),
        lease_duration=LEASE_S,
        renew_deadline=RENEW_S,
        retry_period=RETRY_S,
        onstarted_leading=on_start,
        onstopped_leading=on_stop,
    )

    async def worker() -> None:
        await began.wait()
        logger.info("leading", extra={"fields": {"identity": identity}})
        await work()

    # The library only cancels its own callback on a clean loss, and does not see it fail.
    election = asyncio.create_task(leaderelection.LeaderElection(config).run())
    working = asyncio.create_task(worker())
    try:
        await asyncio.wait({election, working}, return_when=asyncio.FIRST_COMPLETED)
        for task in (working, election):
            if task.done():
                task.result()
    finally:
        for task in (working, election):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
