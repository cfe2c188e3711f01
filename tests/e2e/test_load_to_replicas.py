"""
From load to replicas, in the field's setting, beside KEDA's own trigger on the same load.

Scrapes every 5 s (a gateway's every 15 s), HPA and polls as KEDA's users have them. Every workload
is one repeat: the load of each changes at another phase of scrapes, polls and syncs, of all ways
alike at one instant. Asserted is what kvtide promises; what KEDA's trigger takes is written beside.
"""

import asyncio
import dataclasses
import statistics

import pytest

from tests.e2e.conftest import deployment
from tests.e2e.stage import Intervals, Load

pytestmark = pytest.mark.cluster

REPEATS = 10
SCRAPE_S, GATEWAY_S = 5.0, 15.0
SYNC_S = 15.0
"""The HPA's: what the changes are spread over."""
WATCHED_S = 75.0
"""From the last change on; by then the slowest way has had five syncs."""
PER_REPLICA = 10
POLL = {"pollingInterval": 5, "cooldownPeriod": 60}
TEN = {"maxConcurrency": str(PER_REPLICA), "targetUtilization": "1", "stableWindow": "60s"}
field = pytest.mark.parametrize(
    "cluster", [Intervals(engine="5s", cluster="5s", gateway="15s")], indirect=True
)
fast = pytest.mark.parametrize("follower", [("--fast-path",)], indirect=True)


@dataclasses.dataclass
class Watched:
    """When each workload's load changed and was scraped, and when its count was first as high."""

    changed_s: dict[str, float] = dataclasses.field(default_factory=dict)
    scraped_s: dict[str, float] = dataclasses.field(default_factory=dict)
    reached_s: dict[str, dict[int, float]] = dataclasses.field(default_factory=dict)

    def took(self, way: str, count: int, since: dict[str, float] | None = None) -> list[float]:
        """Return the seconds that each repeat of a way took to a count, since its load changed."""
        return [
            self.reached_s[name].get(count, float("inf")) - at_s
            for name, at_s in (since or self.changed_s).items()
            if name.startswith(f"{way}-")
        ]


@field
@fast
async def test_a_surge(cluster, follower, record_property):
    """From one replica, half full, to the four that 38 requests need."""
    ways = {
        "fast": {"metadata": {**TEN, "fastPath": "true"}},
        "push": {"metadata": TEN},
        "keda": {
            "others": [keda_trigger(cluster, "vllm:num_requests_running", "pod=~'{name}-.*'")]
        },
    }
    for name in names(ways):
        cluster.stage.loads[name] = Load(running=5)
    await asyncio.gather(*(cluster.create(deployment(name, 1)) for name in names(ways)))
    await install(cluster, ways, minReplicaCount=1)
    for name in names(ways):
        await cluster.until(lambda name=name: is_scaled(cluster, name), 240)
    await cluster.until_ready()
    await asyncio.sleep(20)

    watched = await watch(cluster, ways, {"running": 38.0}, most=4)

    record(record_property, watched, ways, {"first": 2, "all": 4})
    assert p90(watched.took("fast", 2)) <= SCRAPE_S + 2
    assert p90(watched.took("fast", 4)) <= SCRAPE_S + 5


@field
async def test_a_wake(cluster, record_property):
    """From none to one, on a request at a gateway that is scraped every 15 s."""
    ways = {
        "push": {
            "metadata": {
                **TEN,
                "gateway": "e2e",
                "gatewaySelector": "workload={name}",
                "holdFor": "30m",
            }
        },
        "keda": {"others": [keda_trigger(cluster, "e2e_gateway_in_flight", "workload='{name}'")]},
    }
    for name in names(ways):
        cluster.stage.loads[name] = Load()
    await asyncio.gather(*(cluster.create(deployment(name, 0)) for name in names(ways)))
    await install(cluster, ways, minReplicaCount=0)
    for name in names(ways):
        await cluster.until(lambda name=name: is_scaled(cluster, name), 240)
    await cluster.until_ready()
    await asyncio.sleep(20)

    watched = await watch(cluster, ways, {"at_gateway": 1.0}, most=1)

    record(record_property, watched, ways, {"wake": 1})
    assert max(watched.took("push", 1)) <= GATEWAY_S + 2


def keda_trigger(cluster, metric, selector):
    """Return KEDA's prometheus trigger for the same count of requests a replica."""
    where = f"namespace='{cluster.namespace}',{selector}"
    return {
        "type": "prometheus",
        "metadata": {
            "serverAddress": f"http://127.0.0.1:{cluster.prometheus_port}",
            "query": f"sum({metric}{{{where}}})",
            "threshold": str(PER_REPLICA),
        },
    }


def names(ways):
    return [f"{way}-{number}" for number in range(REPEATS) for way in ways]


async def install(cluster, ways, **spec):
    for name in names(ways):
        way = ways[name.partition("-")[0]]
        await cluster.scale(name, **POLL, **spec, **named(way, name))


def named(spec, name):
    """Return a spec with ``{name}`` in it replaced."""
    if isinstance(spec, dict):
        return {key: named(value, name) for key, value in spec.items()}
    if isinstance(spec, list):
        return [named(one, name) for one in spec]
    return spec.replace("{name}", name) if isinstance(spec, str) else spec


async def is_scaled(cluster, name):
    """Return whether KEDA has made the object's HPA, and kvtide an answer where it is asked."""
    found = await cluster.get("keda.sh/v1alpha1", "ScaledObject", name)
    status = found.get("status") or {}
    ready = any(
        one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ()
    )
    if name.startswith("keda-") or not ready:
        return ready
    return ((await cluster.decision(name)).get("decision") or {}).get("replicas") is not None


async def watch(cluster, ways, load, *, most):
    """Change the load of one repeat after another; note when the counts were reached."""
    clock, watched = asyncio.get_running_loop().time, Watched()
    watched.reached_s = {name: {} for name in names(ways)}
    pause_s = SYNC_S * (1 + 1 / REPEATS) / 1.618  # no whole part of any period

    async def change():
        for number in range(REPEATS):
            for name in (f"{way}-{number}" for way in ways):
                for key, value in {**load, "shown_s": None}.items():
                    setattr(cluster.stage.loads[name], key, value)
                watched.changed_s[name] = clock()
            await asyncio.sleep(pause_s)
        await asyncio.sleep(WATCHED_S)

    changing = asyncio.create_task(change())
    while not changing.done() and not all(most in one for one in watched.reached_s.values()):
        counts = await cluster.counts()
        for name, reached in watched.reached_s.items():
            for count in range(1, min(counts[name], most) + 1):
                reached.setdefault(count, clock())
        await asyncio.sleep(0.2)
    changing.cancel()
    await asyncio.gather(changing, return_exceptions=True)
    watched.scraped_s = {name: cluster.stage.loads[name].shown_s for name in watched.changed_s}
    return watched


def p90(seconds):
    """Return the time within which nine of ten repeats were done."""
    return sorted(seconds)[-(-len(seconds) * 9 // 10) - 1]


def record(record_property, watched, ways, wanted):
    for way in ways:
        for what, count in wanted.items():
            for since, of in (("", watched.changed_s), ("_after_scrape", watched.scraped_s)):
                took = watched.took(way, count, of)
                told = (statistics.median(took), p90(took), min(took), max(took))
                record_property(
                    f"{way}_{what}{since}_s",
                    "p50 {:.1f} p90 {:.1f} least {:.1f} most {:.1f}".format(*told),
                )
