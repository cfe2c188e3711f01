"""Nothing that is in use is lent, whatever of a cluster is known and however it is called."""

import dataclasses

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.policy import LendingPolicy
from scaler.readings.assemble import Assembly
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.offered import OFFERED
from scaler.readings.spoken import API
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from scaler.serving.compose import Readings
from scaler.source import Role, Trigger, Workload
from tests.builders import inference
from tests.fakes.fake_source import FakeSource
from tests.readings.test_nodes import holds, node
from tests.readings.test_units import KSM, claimed
from tests.readings.worlds import NOW_S, Observer, busy, row

STEP_S = 60.0
LLM = Workload(namespace="serve", scaled_object="llm", kind="StatefulSet", name="llm")
TRAIN = Workload(namespace="train", scaled_object="train", kind="ReclaimableJob", name="train")
LENDING = LendingPolicy(pool_units=16, headroom_units=0, lend_delay_s=0)
RESOURCES = {
    None: "nvidia_com_gpu",
    "nvidia.com/gpu": "nvidia_com_gpu",
    "amd.com/gpu": "amd_com_gpu",
}
"""A pool's resource as stated, and its exporter's name."""
BESIDE = {"nvidia_com_gpumem": 20_000, "nvidia_com_gpucores": 100, "vpc_amazonaws_com_efa": 8}


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What is so, and how much of it the exporters tell."""

    resource: str | None
    requested: int
    """Units that each replica requests."""
    claimed: int
    """Units that each replica claims."""
    shared: int
    """Units of a claim that all replicas hold together."""
    replicas: int
    beside: frozenset[str]
    unhonored: bool
    tells: frozenset[str]

    @property
    def in_use(self):
        return self.replicas * (self.requested + self.claimed) + self.shared * bool(self.replicas)

    @property
    def maker(self):
        return "gpu.amd.com" if self.resource == "amd.com/gpu" else "gpu.nvidia.com"

    def offered(self):
        """Return the devices that the driver offers on the one node, those in use among them."""
        own = [f"gpu-{at}-{k}" for at in range(self.replicas) for k in range(self.claimed)]
        held = [*own, *(f"gpu-all-{k}" for k in range(self.shared))]
        free = [f"gpu-free-{k}" for k in range(16)]
        names = [*held, *free][:16] if "offered" in self.tells else ()
        return [{"driver": self.maker, "pool": "a", "device": name, **API} for name in names]

    def page(self):
        pods = [f"llm-{number}" for number in range(self.replicas)]
        parts = {
            "nodes": node("a", 8, resource=RESOURCES[self.resource]),
            "scale": "".join(
                row(f"kube_statefulset{name}", self.replicas, namespace="serve", statefulset="llm")
                for name in ("_replicas", "_status_replicas", "_status_replicas_ready")
            ),
            "requests": "".join(
                holds(pod, units, resource=name)
                for pod in pods
                for name, units in [
                    (RESOURCES[self.resource], self.requested),
                    *((name, BESIDE[name]) for name in sorted(self.beside)),
                ]
                if units
            ),
        }
        maker = self.maker
        told = "devices" in self.tells
        for at, pod in enumerate(pods):
            own = [f"gpu-{at}-{k}" for k in range(self.claimed)]
            if own:
                page = claimed(pod, f"own-{at}", *own * told, driver=maker)
                parts["claims"] = parts.get("claims", "") + page
            if self.shared:
                all_of_it = [f"gpu-all-{k}" for k in range(self.shared)]
                page = claimed(pod, "all", *all_of_it * told, driver=maker, template="")
                parts["claims"] = parts.get("claims", "") + page.replace('"gpus"', '"more"')
        return "".join(text for part, text in parts.items() if part in self.tells)


class Assembled(FakeSource):
    """What an assembly took in, as a source tells it."""

    def __init__(self, assembly):
        super().__init__()
        self.assembly = assembly

    def window(self, workload, lookback_s, now_s, *, silent_s=0.0):
        return self.assembly.window(workload, lookback_s, now_s, silent_s=silent_s)

    def nodes(self, resource, online, now_s):
        return self.assembly.nodes(resource, online, now_s)

    def units(self, resource, workload, now_s):
        return self.assembly.units(resource, workload, now_s)


def decided(cluster):
    timing = Timing(interval_s=dict.fromkeys(Exporter, STEP_S))
    assembly = Assembly(profiles=shipped_profiles(), timing=timing)
    observer = Observer(LLM, assembly=assembly)
    for age in range(8, -1, -1):
        at_s = NOW_S - age * STEP_S
        page = busy(running=0.1, waiting=0.0)
        pods = {f"llm-{number}": page for number in range(cluster.replicas)}
        observer.round(at_s, pods)
        observer.scrape(at_s, cluster.page(), **(KSM if cluster.unhonored else {}))
        for device in cluster.offered():
            assembly.store.merge(OFFERED, ("", "a"), device, [(at_s, 1.0)])
    observer.round(NOW_S, {})
    online = Trigger(role=Role.INFERENCE, workload=LLM, policy=inference())
    borrower = Trigger(
        role=Role.TRAINING,
        workload=TRAIN,
        policy=LENDING,
        pool_members=(LLM.key,),
        pool_resource=cluster.resource,
    )
    readings = Readings(Assembled(assembly), {LLM.key: online, TRAIN.key: borrower}, NOW_S)
    return decide(readings.subject(borrower), LENDING)


CLUSTERS = st.builds(
    Cluster,
    resource=st.sampled_from(list(RESOURCES)),
    requested=st.integers(0, 4),
    claimed=st.integers(0, 3),
    shared=st.integers(0, 2),
    replicas=st.integers(0, 3),
    beside=st.frozensets(st.sampled_from(sorted(BESIDE))),
    unhonored=st.booleans(),
    tells=st.frozensets(
        st.sampled_from(["nodes", "scale", "requests", "claims", "devices", "offered"])
    ),
)


@settings(deadline=None)
@given(CLUSTERS)
def test_what_is_in_use_is_never_lent(cluster):
    # Who requests some GPUs and claims others beside them is known by both, or by neither.
    mixed = cluster.requested and (cluster.claimed or cluster.shared)
    assume(not mixed or ("requests" in cluster.tells) == ("claims" in cluster.tells))
    workers = decided(cluster).replicas or 0
    assert workers == 0 or workers + cluster.in_use <= LENDING.pool_units


EVERYTHING = frozenset({"nodes", "scale", "requests", "claims", "devices"})
KNOWN = Cluster("nvidia.com/gpu", 0, 3, 2, 2, frozenset(), unhonored=False, tells=EVERYTHING)


def test_what_is_known_to_be_free_is_lent():
    hami = dataclasses.replace(KNOWN, requested=4, claimed=0, shared=0, beside=frozenset(BESIDE))
    for resource in (None, "nvidia.com/gpu"):
        heap = dataclasses.replace(hami, resource=resource, tells=EVERYTHING - {"nodes"})
        assert decided(heap).replicas == 8
    claims = dataclasses.replace(KNOWN, tells=EVERYTHING - {"nodes"})
    assert decided(claims).replicas == 8


def test_what_nobody_tells_lends_nothing_and_says_why():
    decision = decided(dataclasses.replace(KNOWN, tells=EVERYTHING - {"devices"}))
    assert (decision.replicas, decision.reason) == (0, Reason.UNITS_UNKNOWN)
    assert "ResourceClaims (all, own-0, own-1)" in decision.steps[0].detail
    assert "unitsPerReplica" in decision.steps[0].detail


def test_a_pool_that_a_driver_offers_is_lent_by_node():
    claims = dataclasses.replace(KNOWN, shared=0, tells=(EVERYTHING | {"offered"}) - {"nodes"})
    decision = decided(claims)
    assert decision.replicas == 10
    assert not any("nodes are not known" in note for note in decision.notes)
