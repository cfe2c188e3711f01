"""The fast path over a real HTTP API and a real gRPC stream."""

import asyncio
import contextlib
import copy
import dataclasses

import grpc
import pytest

from scaler.controller.fast.deletion_cost import ANNOTATION
from scaler.controller.fast.loop import FastPath, FastRules
from scaler.keda._pb.kvtide_pb2 import Scale
from scaler.keda._pb.kvtide_pb2_grpc import ScalingServicer, add_ScalingServicer_to_server
from tests.controller.conftest import PATIENCE_S, reached
from tests.controller.fast.scaled import scaled_object
from tests.fakes.fake_kubernetes import FakeKubernetes


class Speaker(ScalingServicer):
    """The scaler's side of Watch: says what the test says, at once."""

    def __init__(self) -> None:
        self.latest: Scale | None = None
        self.changed = asyncio.Event()
        self.watched: list[str] = []

    def say(self, replicas: int, **more) -> None:
        self.latest = Scale(replicas=replicas, reason="Panic", detail="60 requests run", **more)
        self.changed.set()
        self.changed = asyncio.Event()

    async def Watch(self, request, context):  # noqa: N802 -- the contract's name
        self.watched.append(f"{request.namespace}/{request.name}")
        while True:
            changed = self.changed
            if self.latest is not None:
                yield self.latest
            await changed.wait()


@dataclasses.dataclass
class Bench:
    """Everything the fast path touches."""

    api: FakeKubernetes
    speaker: Speaker
    raised: list[tuple[str, str, float]]

    async def until(self, holds):
        """Wait until something holds of the API's objects, which only change by a write."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await self.api.changed.wait()

    @property
    def replicas(self) -> int:
        return self.replicas_of("chat")

    def replicas_of(self, name: str) -> int:
        return int(self.api.objects["deployments", "prod", name]["spec"]["replicas"])

    @property
    def scales(self) -> list[int]:
        """The counts that were written through /scale."""
        return [
            body["spec"]["replicas"]
            for _, path, body in self.api.writes
            if path.endswith("/deployments/chat/scale")
        ]

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(one["reason"], one["note"]) for one in self.api.of("events")]

    def cost(self, name: str) -> str | None:
        pod = self.api.objects["pods", "prod", name]
        return (pod["metadata"].get("annotations") or {}).get(ANNOTATION)


@contextlib.asynccontextmanager
async def running(api: FakeKubernetes, **rules: bool):
    speaker, raised = Speaker(), []

    def serve(server: grpc.aio.Server) -> None:
        add_ScalingServicer_to_server(speaker, server)

    async with reached(api, serve) as (kube, channel):
        told = FastRules(on_raised=lambda *one: raised.append(one), **rules)
        clock = asyncio.get_running_loop().time
        path = FastPath(kube, channel, clock=clock, rules=told)
        task = asyncio.create_task(path.run())
        try:
            yield Bench(api=api, speaker=speaker, raised=raised)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def bench(api):
    async with running(api, scale=True) as bench:
        yield bench


def deployment(replicas: int, name: str = "chat"):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "prod"},
        "spec": {"replicas": replicas},
    }


def pod(name: str):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "prod"}}


def install(api, replicas: int, **spec):
    api.put("deployments", deployment(replicas))
    api.put("scaledobjects", scaled_object(**spec))


async def test_a_surge_is_scaled_at_once_and_told_on_the_scaled_object(api, bench):
    install(api, 1, maxReplicaCount=5)
    bench.speaker.say(8, panic=True)

    await bench.until(lambda: bench.events)

    assert (bench.replicas, bench.scales) == (5, [5])
    ((reason, note),) = bench.events
    assert reason == "FastScaled"
    assert note == ("scaled Deployment/chat from 1 to 5 ahead of the HPA: Panic: 60 requests run")
    assert api.of("events")[0]["regarding"]["kind"] == "ScaledObject"
    assert [one[:2] for one in bench.raised] == [("prod", "chat")]


async def test_a_rollout_is_scaled_where_argo_has_it(api, bench):
    argo = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
    api.put("rollouts", {**deployment(1), **argo})
    api.put("scaledobjects", scaled_object(scaleTargetRef={**argo, "name": "chat"}))
    bench.speaker.say(3, panic=True)

    await bench.until(lambda: bench.events)

    assert api.objects["rollouts", "prod", "chat"]["spec"]["replicas"] == 3
    (path,) = (path for _, path, _ in api.writes if path.endswith("/scale"))
    assert path == "/apis/argoproj.io/v1alpha1/namespaces/prod/rollouts/chat/scale"
    assert bench.events[0][1].startswith("scaled Rollout/chat from 1 to 3")


async def test_a_write_that_conflicts_is_thought_over_from_the_start(api, bench):
    install(api, 0)
    await bench.until(lambda: bench.speaker.watched or api.of("scaledobjects"))
    api.interfere["/deployments/chat/scale"] = lambda: api.put("deployments", deployment(1))
    bench.speaker.say(4, woken=True)

    await bench.until(lambda: bench.replicas == 4)
    await bench.until(lambda: bench.events)

    assert bench.scales == [4, 4]
    assert "from 1 to 4" in bench.events[0][1]


async def test_it_never_lowers_what_it_finds(api, bench):
    install(api, 6)
    bench.speaker.say(4, panic=True)
    bench.speaker.say(7, panic=True)

    await bench.until(lambda: bench.replicas == 7)

    assert bench.scales == [7]


async def test_a_paused_object_is_left_alone_until_it_is_resumed(api, bench):
    api.put("deployments", deployment(1))
    api.put("deployments", deployment(1, "other"))
    paused = api.put("scaledobjects", scaled_object(notes={"paused": "true"}))
    api.put("scaledobjects", scaled_object("other"))
    for count in (4, 5):
        bench.speaker.say(count, panic=True)
        await bench.until(lambda count=count: bench.replicas_of("other") == count)
    assert bench.scales == []

    resumed = copy.deepcopy(paused)
    resumed["metadata"]["annotations"] = {}
    api.put("scaledobjects", resumed)

    await bench.until(lambda: bench.replicas == 5)


async def test_what_has_no_scale_is_said_once(api, bench):
    api.put("scaledobjects", scaled_object())
    bench.speaker.say(4, panic=True)
    await bench.until(lambda: bench.events)
    api.put("deployments", deployment(1))
    bench.speaker.say(5, panic=True)

    await bench.until(lambda: bench.replicas == 5)
    await bench.until(lambda: len(bench.events) == 2)

    assert bench.events[0] == ("FastPathRefused", "Deployment/chat has no scale")


async def test_a_refusal_is_said_once_and_tried_again_at_the_next_word(api, bench):
    install(api, 1)
    api.refuse["/deployments/chat/scale"] = 403
    bench.speaker.say(4, panic=True)
    await bench.until(lambda: bench.events)
    bench.speaker.say(5, panic=True)
    bench.speaker.say(6, panic=True)
    api.refuse.clear()
    bench.speaker.say(7, panic=True)

    await bench.until(lambda: bench.replicas == 7)
    await bench.until(lambda: bench.events[-1][0] == "FastScaled")

    assert [reason for reason, _ in bench.events] == ["FastPathRefused", "FastScaled"]


async def test_an_object_that_does_not_ask_is_not_followed(api, bench):
    other = {"type": "external-push", "metadata": {}}
    api.put("scaledobjects", scaled_object("other", triggers=[other]))
    install(api, 1)
    bench.speaker.say(4, panic=True)

    await bench.until(lambda: bench.replicas == 4)

    assert bench.speaker.watched == ["prod/chat"]


@pytest.mark.parametrize("kind", ["Deployment", "Rollout", "ReplicaSet"])
async def test_pods_bear_what_they_have_in_flight(api, kind):
    async with running(api, deletion_cost=True) as bench:
        for name in ("chat-a", "chat-b"):
            api.put("pods", pod(name))
        api.put("scaledobjects", scaled_object(scaleTargetRef={"kind": kind, "name": "chat"}))
        bench.speaker.say(3, panic=True, in_flight={"chat-a": 9, "chat-b": 0, "chat-gone": 1})

        await bench.until(lambda: (bench.cost("chat-a"), bench.cost("chat-b")) == ("9", "0"))

        assert bench.scales == []


async def test_a_stateful_set_goes_by_ordinal(api):
    async with running(api, scale=True, deletion_cost=True) as bench:
        for name in ("chat-0", "chat-1"):
            api.put("pods", pod(name))
        ref = {"kind": "StatefulSet", "name": "chat"}
        stateful = {**deployment(1), "kind": "StatefulSet"}
        api.put("statefulsets", stateful)
        api.put("scaledobjects", scaled_object(scaleTargetRef=ref))
        bench.speaker.say(3, panic=True, in_flight={"chat-0": 9, "chat-1": 0})

        await bench.until(lambda: api.of("statefulsets")[0]["spec"]["replicas"] == 3)
        await bench.until(lambda: bench.events)

        assert bench.cost("chat-0") is None


async def test_without_being_asked_it_does_nothing(api):
    install(api, 1)
    async with reached(api, lambda _: None) as (kube, channel):
        async with asyncio.timeout(PATIENCE_S):
            await FastPath(kube, channel, clock=float, rules=FastRules()).run()
