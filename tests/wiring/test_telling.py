"""Events on a real HTTP API: who they are about, how many there are, and what a refusal costs."""

import asyncio
import contextlib
import dataclasses
import functools

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration

from scaler.readings.kubernetes.events import write_event
from scaler.readings.kubernetes.known import KnownCluster
from scaler.readings.kubernetes.objects import scaled_object
from scaler.serving.happenings import Happening
from scaler.wiring.telling import MOST_A_MINUTE, telling
from tests.fakes.fake_kubernetes import FakeKubernetes

MANIFEST = {
    "metadata": {"namespace": "llm", "name": "chat", "uid": "u-1"},
    "spec": {"scaleTargetRef": {"name": "chat"}},
}
PANIC = Happening(reason="PanicBegan", note="6 replicas wanted.", warning=True)


@dataclasses.dataclass
class Clock:
    now_s: float = 1_000_020.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def api():
    fake = FakeKubernetes()
    runner = web.AppRunner(fake.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    yield fake, f"http://127.0.0.1:{port}"
    await runner.cleanup()


@contextlib.asynccontextmanager
async def teller(url: str, clock: Clock):
    known = KnownCluster()
    known.scaled_objects.take({("llm", "chat"): scaled_object(MANIFEST)})
    async with ApiClient(Configuration(host=url)) as client:
        write = functools.partial(write_event, client)
        async with telling(known, write, clock) as made:
            yield made


async def settled(fake: FakeKubernetes, writes: int) -> None:
    async with asyncio.timeout(20):
        while len(fake.writes) < writes:  # noqa: ASYNC110 -- of refusals nobody is told
            await asyncio.sleep(0.01)


async def test_an_event_is_about_the_object_itself(api, clock):
    fake, url = api
    async with teller(url, clock) as one:
        one.tell("llm", "chat", PANIC)
        await settled(fake, 1)
    [event] = fake.of("events")
    assert event["regarding"] == {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "namespace": "llm",
        "name": "chat",
        "uid": "u-1",
    }
    assert (event["type"], event["reason"]) == ("Warning", "PanicBegan")
    assert event["eventTime"] == "1970-01-12T13:47:00.000001+00:00"


async def test_replicas_of_the_scaler_give_it_one_name(api, clock):
    fake, url = api
    async with teller(url, clock) as one, teller(url, clock) as other:
        one.tell("llm", "chat", PANIC)
        clock.now_s += 5
        other.tell("llm", "chat", PANIC)
        await settled(fake, 2)
    assert len(fake.of("events")) == 1


async def test_a_few_a_minute_of_one_object(api, clock):
    fake, url = api
    async with teller(url, clock) as one:
        for at in range(3 * MOST_A_MINUTE):
            one.tell("llm", "chat", Happening(reason=f"R{at}", note=""))
        clock.now_s += 61
        one.tell("llm", "chat", Happening(reason="Later", note=""))
        await settled(fake, MOST_A_MINUTE + 1)
    assert len(fake.of("events")) == MOST_A_MINUTE + 1


async def test_an_object_that_the_cluster_has_not_is_not_told_of(api, clock):
    fake, url = api
    async with teller(url, clock) as one:
        one.tell("llm", "gone", PANIC)
        one.tell("llm", "chat", PANIC)
        await settled(fake, 1)
    assert [event["regarding"]["name"] for event in fake.of("events")] == ["chat"]


async def test_without_the_right_the_log_says_so_and_nothing_else_happens(api, clock, caplog):
    fake, url = api
    fake.refuse["/events"] = 403
    async with teller(url, clock) as one:
        one.tell("llm", "chat", PANIC)
        one.tell("llm", "chat", Happening(reason="PanicOver", note=""))
        await settled(fake, 2)
    assert "could not write an Event" in caplog.text
