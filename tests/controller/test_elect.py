"""Leader election over a real HTTP API, on a clock that the test moves."""

import asyncio
import contextlib

import pytest
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from scaler.controller import elect
from scaler.controller.elect import LEASE_S, Elector
from scaler.controller.kube import Kube
from scaler.readings.kubernetes.api import discovered


class Clock:
    now_s = 1_000.0
    step_s = 0.0
    """How far each look at it moves it."""

    def __call__(self):
        self.now_s += self.step_s
        return self.now_s


@contextlib.asynccontextmanager
async def candidates(api, *names, retry_s=elect.RETRY_S):
    async with (
        TestServer(api.application()) as http,
        ApiClient(Configuration(host=str(http.make_url("")).rstrip("/"))) as client,
    ):
        kube, clock = Kube(await discovered(client), None), Clock()
        yield clock, [Elector(kube, "kvtide", name, clock=clock, retry_s=retry_s) for name in names]


def holder(api):
    (lease,) = api.of("leases")
    return lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]


async def test_the_first_takes_the_lease_and_the_second_waits(api):
    async with candidates(api, "a", "b") as (_, (first, second)):
        assert await first._attempt()
        assert not await second._attempt()
        assert await first._attempt()

    assert holder(api) == ("a", 0)


async def test_a_lease_that_is_not_renewed_for_its_duration_is_taken_over(api):
    async with candidates(api, "a", "b") as (clock, (first, second)):
        await first._attempt()
        assert not await second._attempt()
        clock.now_s += LEASE_S - 1
        assert not await second._attempt()
        clock.now_s += 1
        assert await second._attempt()
        assert not await first._attempt()

    assert holder(api) == ("b", 1)


async def test_a_renewal_starts_the_wait_anew(api):
    async with candidates(api, "a", "b") as (clock, (first, second)):
        await first._attempt()
        await second._attempt()
        clock.now_s += LEASE_S - 1
        await first._attempt()
        assert not await second._attempt()
        clock.now_s += LEASE_S - 1
        assert not await second._attempt()


async def test_a_candidate_asks_again_as_the_lease_runs_out(api):
    """Between two attempts it waits as long as ever, and no longer than the Lease lasts."""
    async with candidates(api, "a", "b") as (clock, (first, second)):
        await first._attempt()
        assert second._left_s() == elect.RETRY_S
        await second._attempt()
        assert second._left_s() == LEASE_S
        clock.now_s += LEASE_S - 0.25
        assert second._left_s() == 0.25
        clock.now_s += 0.25
        assert second._left_s() == elect.RETRY_S
        assert await second._attempt()


async def test_an_api_that_is_away_elects_nobody(api):
    api.refuse["/leases/kvtide-controller"] = 500
    async with candidates(api, "a") as (_, (first,)):
        assert not await first._attempt()


async def test_work_ends_when_the_lease_is_lost(api):
    ended = asyncio.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with candidates(api, "a", retry_s=0.01) as (clock, (first,)):
        task = asyncio.create_task(first.lead(work))
        while not api.of("leases"):
            await api.changed.wait()
        api.refuse["/leases/kvtide-controller"] = 500
        clock.step_s = 1.0
        async with asyncio.timeout(5):
            await ended.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_one_that_ends_gives_the_lease_to_whoever_asks_next(api):
    async def work():
        await asyncio.Event().wait()

    async with candidates(api, "a", "b", retry_s=0.01) as (_, (first, second)):
        task = asyncio.create_task(first.lead(work))
        while not api.of("leases"):
            await api.changed.wait()
        assert not await second._attempt()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await second._attempt()

    assert holder(api) == ("b", 1)


async def test_a_lease_that_was_lost_is_not_given_back(api):
    async def work():
        await asyncio.Event().wait()

    async with candidates(api, "a", retry_s=0.01) as (_, (first,)):
        task = asyncio.create_task(first.lead(work))
        while not api.of("leases"):
            await api.changed.wait()
        (lease,) = api.of("leases")
        lease["spec"]["holderIdentity"] = "b"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert holder(api)[0] == "b"


def test_the_times_add_up():
    """A leader stops before another begins; one that is killed is followed within ten seconds."""
    assert elect.ATTEMPT_S < elect.RENEW_S < LEASE_S
    assert LEASE_S + elect.RETRY_S + elect.ATTEMPT_S <= 10


async def test_a_fault_of_the_work_ends_the_process(api):

    async def work():
        raise RuntimeError("a bug")

    async with candidates(api, "a", retry_s=0.01) as (_, (first,)):
        with pytest.raises(RuntimeError, match="a bug"):
            await first.lead(work)
