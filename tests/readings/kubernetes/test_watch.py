"""A cluster is heard by watches that survive what API servers do."""

import asyncio
import contextlib

import pytest
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from scaler.readings.kubernetes.known import KnownCluster
from scaler.readings.kubernetes.watch import hear
from tests.fakes.fake_kubernetes import FakeKubernetes
from tests.readings.kubernetes.recorded import PLURALS, recorded

PATIENCE_S = 10.0
CHAT = ("serve", "chat")


@pytest.fixture
def api():
    made = FakeKubernetes()
    for kind, plural in PLURALS.items():
        made.put(plural, recorded(kind))
    made.put("pods", recorded("Pod", 1))
    return made


@contextlib.asynccontextmanager
async def heard(api, namespace=None):
    """Hear an API server until every kind was heard, and on."""
    async with TestServer(api.application()) as http:
        configuration = Configuration(host=str(http.make_url("")).rstrip("/"))
        async with ApiClient(configuration) as client:
            known = KnownCluster()
            task = asyncio.create_task(hear(known, client, namespace))
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await known.first_lists()
                yield known
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


async def until(holds):
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 -- what is known changes without a signal
            await asyncio.sleep(0.01)


async def test_every_kind_is_listed(api):
    async with heard(api) as known:
        assert known.scaled_objects.listed[CHAT].name == "llm"
        assert len(known.pods.listed) == 2
        assert list(known.nodes.listed) == [("", "fake-0")]
        assert known.counts["Deployment"].listed["serve", "llm"].ready == 2
        assert known.troubles() == []


async def test_a_list_is_read_in_pages(api):
    api.page = 1
    async with heard(api) as known:
        assert len(known.pods.listed) == 2


async def test_a_change_is_heard_without_asking_again(api):
    async with heard(api) as known:
        asked = len(api.asked)
        changed = recorded("Deployment")
        changed["status"]["readyReplicas"] = 1
        api.put("deployments", changed)
        await until(lambda: known.counts["Deployment"].listed["serve", "llm"].ready == 1)
        api.drop("pods", "serve", recorded("Pod")["metadata"]["name"])
        await until(lambda: len(known.pods.listed) == 1)
        assert len(api.asked) <= asked + len(known.heard)  # watches that began meanwhile


async def test_a_watch_that_ends_goes_on_where_it_stood(api):
    async with heard(api) as known:
        await until(lambda: sum("watch" in path for path in api.asked) == len(known.heard))
        lists = [path for path in api.asked if "watch" not in path]
        api.hang_up()
        api.drop("pods", "serve", recorded("Pod")["metadata"]["name"])
        await until(lambda: len(known.pods.listed) == 1)
        assert [path for path in api.asked if "watch" not in path] == lists


async def test_after_an_expired_watch_everything_is_listed_again(api):
    async with heard(api) as known:
        await until(lambda: sum("watch" in path for path in api.asked) == len(known.heard))
        api.changes.clear()
        api.objects.pop(("pods", "serve", recorded("Pod")["metadata"]["name"]))
        api.version += 1
        api.expire()
        await until(lambda: len(known.pods.listed) == 1)


async def test_what_may_not_be_listed_is_said_and_the_rest_is_heard(api):
    api.refuse["/nodes"] = 403
    async with heard(api) as known:
        assert known.counts["Deployment"].is_current
        assert not known.nodes.is_current
        (trouble,) = known.troubles()
        assert trouble.startswith("Node (")
        assert trouble.endswith("it would tell the nodes of a pool")
        del api.refuse["/nodes"]
        await until(lambda: known.nodes.is_current)
        assert known.troubles() == []


async def test_a_cluster_may_well_be_without_some_kinds(api, caplog):
    api.absent = {"rollouts", "reclaimablejobs"}
    async with heard(api) as known:
        assert not known.counts["Rollout"].is_current
        assert known.troubles() == []
    # Whoever looks a kind up in vain takes nothing away from those who find theirs.
    lost = {record.fields["why"] for record in caplog.records if record.name == "kvtide.kubernetes"}
    assert lost == {f"the cluster has no kind {kind}" for kind in ("Rollout", "ReclaimableJob")}


async def test_what_one_process_discovered_is_not_what_the_next_one_believes(api):
    async with heard(api) as known:
        assert known.counts["Rollout"].is_current
    api.absent = {"rollouts"}  # the same address, another time
    async with heard(api) as known:
        assert not known.counts["Rollout"].is_current


async def test_a_kind_that_is_there_and_forbidden_is_told(api):
    api.refuse["/rollouts"] = 403
    async with heard(api) as known:
        (trouble,) = known.troubles()
        assert trouble.startswith("Rollout (")
        assert trouble.endswith("it would tell replicas of Rollouts")


async def test_one_namespace_is_watched_alone_and_without_nodes(api):
    other = recorded("Pod")
    other["metadata"]["namespace"] = "other"
    api.put("pods", other)
    async with heard(api, "serve") as known:
        assert {key[0] for key in known.pods.listed} == {"serve"}
        assert all("/namespaces/serve/" in path for path in api.asked)
        assert "only one namespace is watched" in known.troubles()[0]


@pytest.mark.parametrize("spec", [None, "text"])
async def test_a_pod_that_cannot_be_read_blinds_its_kind_alone(api, spec):
    """Left out it would seem to hold no GPU."""
    broken = recorded("Pod")
    broken["spec"] = spec
    api.put("pods", broken)
    async with heard(api) as known:
        assert not known.pods.is_current
        assert known.counts["Deployment"].is_current


async def test_a_tenants_object_that_cannot_be_read_takes_its_list_from_nobody_else(api):
    """The schema of a Rollout lets a template say anything; of ScaledObjects there are versions."""
    odd = {"containers": [{"resources": {"limits": {"nvidia.com/gpu": "9" * 400}}}]}
    spec = {"replicas": 1, "template": {"spec": odd}}
    for name, one in (("odd", spec), ("even", {"replicas": 4})):
        rollout = {"metadata": {"namespace": "serve", "name": name}, "spec": one}
        api.put("rollouts", rollout)
    strange = recorded("ScaledObject")
    strange["metadata"]["name"] = "strange"
    strange["spec"]["scaleTargetRef"] = ["llm"]
    api.put("scaledobjects", strange)
    async with heard(api) as known:
        assert {key: one.spec for key, one in known.counts["Rollout"].listed.items()} == {
            ("serve", "even"): 4
        }
        assert known.troubles() == []
        assert known.there(*CHAT)
        assert known.there("serve", "strange") is None  # nobody knows, and it is there
        assert known.there("serve", "no-such") is False
        chat = recorded("ScaledObject")
        chat["spec"]["triggers"] = [None]  # from one that can be read to one that cannot
        api.put("scaledobjects", chat)
        await until(lambda: known.there(*CHAT) is None)
        api.put("scaledobjects", recorded("ScaledObject"))
        await until(lambda: known.there(*CHAT) is True)


async def test_an_api_that_does_not_answer_is_said():
    configuration = Configuration(host="http://127.0.0.1:1")
    known = KnownCluster()
    async with ApiClient(configuration) as client:
        task = asyncio.create_task(hear(known, client, None))
        async with asyncio.timeout(PATIENCE_S):
            await known.first_lists()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(known.troubles()) == len(known.heard)
