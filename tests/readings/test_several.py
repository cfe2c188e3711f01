"""Several servers, each with its own workloads."""

import pytest

from scaler.decision.pool import Node
from scaler.errors import ConfigurationError, NoDataError, SourceError
from scaler.readings.several import SeveralSources
from scaler.source import Workload
from tests.builders import window
from tests.fakes.fake_source import FakeSource


def workload(name: str, prometheus: str) -> Workload:
    return Workload(namespace="llm", scaled_object=name, name=name, prometheus=prometheus)


CHAT = workload("chat", "default")
CODE = workload("code", "eu1")


@pytest.fixture
def servers() -> dict[str, FakeSource]:
    made = {"default": FakeSource(), "eu1": FakeSource()}
    made["default"].windows["llm/chat"] = window()
    made["eu1"].windows["llm/code"] = window()
    return made


async def test_each_server_is_asked_for_its_own_workloads(servers):
    await SeveralSources(servers).refresh([CHAT, CODE], 60.0, 0.0)
    assert [server.reads[0][0] for server in servers.values()] == [("llm/chat",), ("llm/code",)]


def test_a_window_comes_from_the_workloads_own_server(servers):
    source = SeveralSources(servers)
    assert source.window(CODE, 60.0, 0.0) is servers["eu1"].windows["llm/code"]
    with pytest.raises(NoDataError):
        source.window(workload("chat", "eu1"), 60.0, 0.0)


def test_a_server_that_nobody_knows_is_the_triggers_mistake(servers):
    with pytest.raises(ConfigurationError, match="prometheus: got us1; allowed: default, eu1"):
        SeveralSources(servers).window(workload("chat", "us1"), 60.0, 0.0)


async def test_the_others_are_read_when_one_fails(servers):
    servers["default"].failure = SourceError("timeout", "5 s")
    with pytest.raises(SourceError, match="timeout: 5 s") as caught:
        await SeveralSources(servers).refresh([CHAT, CODE], 60.0, 0.0)
    assert caught.value.kind == "timeout"
    assert len(servers["eu1"].reads) == 1


@pytest.mark.parametrize(("second", "kind"), [("timeout", "timeout"), ("http", "several")])
async def test_all_that_fail_are_named(servers, second, kind):
    servers["default"].failure = SourceError("timeout", "5 s")
    servers["eu1"].failure = SourceError(second, "bad")
    with pytest.raises(SourceError, match=f"default: timeout: 5 s; eu1: {second}: bad") as caught:
        await SeveralSources(servers).refresh([CHAT, CODE], 60.0, 0.0)
    assert caught.value.kind == kind


def test_nodes_are_those_of_the_pools_own_server(servers):
    servers["default"].gpu_nodes["nvidia.com/gpu"] = (Node(name="a", units=8),)
    servers["eu1"].gpu_nodes["nvidia.com/gpu"] = (Node(name="b", units=4),)
    source = SeveralSources(servers)
    assert source.nodes("nvidia.com/gpu", [CODE], 0.0)[0].name == "b"
    assert source.nodes("nvidia.com/gpu", [workload("x", "gone")], 0.0) == ()
