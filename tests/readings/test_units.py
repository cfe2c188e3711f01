"""Units of a pool: what pods ask for and claim, and what beside them is no unit."""

import pytest

from scaler.decision.pool import Node, Units
from scaler.readings.accelerators import Device, device_units, offered_units, units_asked
from scaler.readings.kubernetes import claims
from scaler.source import Workload
from tests.readings.test_nodes import holds, node
from tests.readings.worlds import LLM, NOW_S, Observer, busy, row


def units_of(page, resource="nvidia.com/gpu", pods=("llm-0", "llm-1"), **target):
    observer = Observer(LLM)
    observer.round(NOW_S, dict.fromkeys(pods, busy()))
    observer.scrape(NOW_S, page, **target)
    observer.round(NOW_S, {})
    return observer.assembly.units(resource, LLM, NOW_S)


def claimed(pod, claim, *devices, template="t", driver="gpu.nvidia.com", reserved=True):
    """Return what kube-state-metrics tells of a claim that a pod holds."""
    about = {"namespace": "serve", "resourceclaim": claim}
    return (
        row(
            "kube_pod_resourceclaim_info",
            namespace="serve",
            pod=pod,
            claim_name="gpus",
            resourceclaim_name=claim,
            resourceclaim_template_name=template,
        )
        + row(
            "kube_resourceclaim_status_reserved_for",
            **about,
            consumer_resource="pods",
            consumer_name=pod,
        )
        * reserved
        + "".join(
            row(
                "kube_resourceclaim_allocation_device_info",
                **about,
                request="gpus",
                driver=driver,
                pool="a",
                device=device,
            )
            for device in devices
        )
    )


@pytest.mark.parametrize(
    ("asked", "units"),
    [
        pytest.param({"nvidia_com_gpu": 4}, 4, id="GPUs"),
        pytest.param(
            {"nvidia_com_gpu": 4, "nvidia_com_gpumem": 20_000, "nvidia_com_gpucores": 100},
            4,
            id="HAMi: shares of memory and cores",
        ),
        pytest.param(
            {"nvidia_com_gpu": 2, "nvidia_com_gpumem_percentage": 50, "nvidia_com_priority": 1},
            2,
            id="HAMi: by the hundred, with a priority",
        ),
        pytest.param(
            {"huawei_com_Ascend910B4_1": 2, "huawei_com_Ascend910B4_1_memory": 65_536},
            2,
            id="Ascend",
        ),
        pytest.param({"volcano_sh_vgpu_number": 1, "volcano_sh_vgpu_memory": 9}, 1, id="Volcano"),
        pytest.param({"hygon_com_dcunum": 2, "hygon_com_dcumem": 9}, 2, id="DCU"),
        pytest.param({"nvidia_com_gpu": 8, "vpc_amazonaws_com_efa": 32}, 8, id="EFA beside GPUs"),
        pytest.param({"nvidia_com_gpu": 8, "rdma_hca_gpu0": 1}, 8, id="a network device's gpu"),
        pytest.param({"amd_com_gpu": 1, "smarter_devices_fuse": 1}, 1, id="another device"),
        pytest.param({"nvidia_com_gpu": 8, "mellanox_com_cx7_gpu0": 1}, 8, id="a NIC of a GPU"),
        pytest.param(
            {"gpu_intel_com_i915": 2, "gpu_intel_com_memory_max": 9, "gpu_intel_com_millicores": 5},
            2,
            id="Intel: memory and thousandths",
        ),
        pytest.param(
            {"koordinator_sh_gpu_shared": 1, "koordinator_sh_gpu_memory_ratio": 50},
            1,
            id="Koordinator",
        ),
        pytest.param({"amd_com_cpx_nps4": 4}, 4, id="AMD's partitions"),
        pytest.param({"nvidia_com_mig_1g_5gb": 2}, 2, id="slices"),
        pytest.param({"aliyun_com_gpu_mem": 12}, 12, id="a share where there is nothing else"),
        pytest.param({"rdma_hca_shared": 1}, None, id="nothing that counts"),
        pytest.param({"nvidia_com_gpu": 1, "nvidia_com_mig_1g_5gb": 1}, None, id="two that count"),
        pytest.param({"nvidia_com_gpu": 0, "google_com_tpu": 4}, 4, id="none of one of them"),
    ],
)  # fmt: skip
def test_of_what_is_asked_for_the_accelerator_counts(asked, units):
    assert units_asked(asked, None) == units


def test_a_pool_s_own_resource_is_what_counts():
    asked = {"nvidia_com_gpu": 1, "nvidia_com_mig_1g_5gb": 3, "nvidia_com_gpumem": 5}
    assert units_asked(asked, "nvidia.com/mig-1g.5gb") == 3
    assert units_asked(asked, "nvidia.com/gpumem") == 5
    assert units_asked(asked, "amd.com/gpu") is None


GPU = Device("gpu.nvidia.com", "a", "gpu-0")
OTHER = GPU._replace(name="gpu-1")


def parts(*names):
    return [GPU._replace(name=f"gpu-0-mig-{name}") for name in names]


SLICES = [GPU._replace(name=f"gpu-0-mig-19-{at}-1") for at in (0, 1)]


@pytest.mark.parametrize(
    ("devices", "resource", "units"),
    [
        pytest.param([GPU, OTHER, GPU], "nvidia.com/gpu", 2, id="each once"),
        pytest.param([GPU, GPU._replace(pool="b")], None, 2, id="of two nodes"),
        pytest.param(SLICES, "nvidia.com/gpu", 1, id="parts of one GPU take it"),
        pytest.param(SLICES, "nvidia.com/mig-1g.5gb", 2, id="slices of a pool of slices"),
        pytest.param(SLICES, None, 2, id="slices of a pool that states nothing"),
        pytest.param([GPU, *SLICES], "nvidia.com/mig-1g.5gb", None, id="a whole GPU is no slice"),
        pytest.param(parts("1g5gb-19-0", "1g5gb-19-3"), "nvidia.com/mig-1g.5gb", 2, id="profiles"),
        pytest.param(parts("3g20gb-9-4"), "nvidia.com/mig-1g.5gb", 4, id="of four slices' memory"),
        pytest.param(parts("7g40gb-0-0"), "nvidia.com/mig-1g.5gb", 8, id="of all of a GPU"),
        pytest.param(parts("1g10gb-15-0"), "nvidia.com/mig-1g.5gb", 2, id="of twice the memory"),
        pytest.param(parts("1g5gb-19-0"), "nvidia.com/mig-2g.10gb", 1, id="a smaller part"),
        pytest.param(parts("1g5gb.me-20-0"), "nvidia.com/mig-1g.5gb", 1, id="with media engines"),
        pytest.param(parts("9-4-4", "19-0-1"), "nvidia.com/mig-1g.5gb", 5, id="older names"),
        pytest.param(parts("5-0-4"), "nvidia.com/mig-2g.10gb", 2, id="older names, two in one"),
        pytest.param(parts("odd"), "nvidia.com/mig-1g.5gb", 8, id="a part of no known size"),
        pytest.param(parts("3g20gb-9-4", "1g5gb-19-0"), "nvidia.com/gpu", 1, id="of one whole GPU"),
        pytest.param([GPU], "gpu.nvidia.com", 1, id="a pool called after the driver"),
        pytest.param([GPU], "amd.com/gpu", None, id="another maker's"),
        pytest.param([Device("dra.net", "a", "eth0")], None, None, id="no accelerator"),
        pytest.param(
            [Device("compute-domain.nvidia.com", "a", "channel-0")], None, None, id="a channel"
        ),
        pytest.param([Device("npu.huawei.com", "a", "0")], None, 1, id="another accelerator"),
    ],
)  # fmt: skip
def test_devices_of_claims_are_units(devices, resource, units):
    assert device_units(devices, resource) == units


@pytest.mark.parametrize(
    ("devices", "resource", "units"),
    [
        pytest.param([GPU, OTHER], "nvidia.com/gpu", 2, id="GPUs"),
        pytest.param([GPU, *parts("1g5gb-19-0")], "nvidia.com/gpu", 1, id="and parts of it"),
        pytest.param(parts("1g5gb-19-0", "1g5gb-19-1"), "nvidia.com/gpu", 0, id="parts alone"),
        pytest.param(
            parts("1g5gb-19-0", "1g5gb-19-1", "3g20gb-9-4"), "nvidia.com/mig-1g.5gb", 2, id="slices"
        ),
        pytest.param(parts("19-0-1", "9-4-4"), "nvidia.com/mig-1g.5gb", 1, id="by older names"),
        pytest.param([GPU], "amd.com/gpu", 0, id="another maker's"),
    ],
)  # fmt: skip
def test_what_a_driver_offers_of_a_resource(devices, resource, units):
    assert offered_units(devices, resource) == units


def test_a_replica_holds_what_its_pods_ask_for_beside_shares_of_it():
    page = "".join(
        holds(pod, 4)
        + holds(pod, 20_000, resource="nvidia_com_gpumem")
        + holds(pod, 100, resource="nvidia_com_gpucores")
        for pod in ("llm-0", "llm-1")
    )
    for resource in ("nvidia.com/gpu", None):
        assert units_of(page, resource) == Units(per_replica=4, in_use=8)


def test_a_replica_holds_what_it_claims():
    page = claimed("llm-0", "c0", "gpu-0", "gpu-1") + claimed("llm-1", "c1", "gpu-2", "gpu-3")
    assert units_of(page) == Units(per_replica=2, in_use=4)


def test_a_claim_of_several_pods_is_held_once():
    page = "".join(
        claimed(pod, "both", "gpu-0", "gpu-1", template="") + holds(pod, 1)
        for pod in ("llm-0", "llm-1")
    )
    assert units_of(page) == Units(per_replica=3, shared=2, in_use=4)


def test_a_claim_that_was_made_for_a_request_is_no_further_unit():
    made = row(
        "kube_resourceclaim_status_reserved_for",
        namespace="serve",
        resourceclaim="made",
        consumer_resource="pods",
        consumer_name="llm-0",
    )
    device = claimed("llm-9", "made", "gpu-0", "gpu-1").splitlines(keepends=True)[2:]
    assert units_of(holds("llm-0", 2) + made + "".join(device)) == Units(per_replica=2, in_use=2)


def test_a_claim_of_which_nobody_tells_the_devices_is_unknown():
    units = units_of(claimed("llm-0", "c0"))
    assert units.per_replica is None
    assert "ResourceClaims (c0)" in units.why


def test_one_replica_that_is_known_tells_of_one_whose_claim_is_not_allocated_yet():
    page = claimed("llm-0", "c0", "gpu-0", "gpu-1") + claimed("llm-1", "")
    assert units_of(page).per_replica == 2


@pytest.mark.parametrize(
    ("page", "resource", "why"),
    [
        pytest.param("", None, "no request and no ResourceClaim", id="nothing is known"),
        pytest.param(
            holds("llm-0", 1, resource="amd_com_gpu"),
            "nvidia.com/gpu",
            "ask for amd_com_gpu and not for the pool's nvidia.com/gpu",
            id="another resource than the pool's",
        ),
        pytest.param(
            holds("llm-0", 1) + holds("llm-0", 1, resource="google_com_tpu"),
            None,
            "google_com_tpu, nvidia_com_gpu: a pool's resource says",
            id="two that count",
        ),
    ],
)
def test_what_is_not_known_is_said(page, resource, why):
    units = units_of(page, resource)
    assert (units.per_replica, units.in_use) == (None, 0)
    assert why in units.why


def test_a_pod_s_requests_stand_when_their_exporter_falls_silent():
    observer = Observer(LLM)
    observer.round(NOW_S - 120, {"llm-0": busy()}, holds("llm-0", 4))
    observer.round(NOW_S, {"llm-0": busy()})
    assert observer.assembly.units("nvidia.com/gpu", LLM, NOW_S) == Units(per_replica=4)


KSM = {"namespace": "monitoring", "pod": "ksm-0", "container": "ksm", "node": "cpu-9"}
"""What a scrape without honorLabels says of kube-state-metrics, in place of what it reports."""


def test_a_scrape_that_keeps_its_own_labels_hides_no_unit():
    observer = Observer(LLM)
    observer.round(NOW_S, {"llm-0": busy()})
    observer.scrape(NOW_S, node("gpu-1") + holds("llm-0", 4, on="gpu-1"), **KSM)
    observer.round(NOW_S, {})
    held = Node(name="gpu-1", units=8, units_in_use=4)
    assert observer.assembly.nodes("nvidia.com/gpu", (LLM,), NOW_S) == (held,)
    assert observer.assembly.units("nvidia.com/gpu", LLM, NOW_S) == Units(per_replica=4, in_use=4)


def test_containers_of_a_pod_add_up_whatever_the_scrape_calls_its_own():
    page = holds("llm-0", 1, container="a") + holds("llm-0", 2, container="b")
    assert units_of(page, **KSM).per_replica == 3


def test_ranks_add_up_whatever_the_scrape_calls_the_pod():
    observer = Observer(LLM)
    ranks = "".join(
        row("vllm:num_requests_running", 2, engine=rank, model_name="m") for rank in ("0", "1")
    )
    observer.scrape(NOW_S, ranks, namespace="serve", pod="llm-0", engine="vllm")
    observer.round(NOW_S, {})
    assert observer.window().latest.replicas[0].requests_running == 4


GROUP = Workload(namespace="serve", scaled_object="llm", kind="LeaderWorkerSet", name="llm")


def test_a_group_holds_what_all_of_its_pods_do():
    observer = Observer(GROUP)
    page = holds("llm-0", 8) + holds("llm-0-1", 8)
    observer.round(NOW_S, {"llm-0": busy(), "llm-0-1": row("up", 1)}, page)
    assert observer.assembly.units(None, GROUP, NOW_S) == Units(per_replica=16, in_use=16)


REQUESTS = [
    {"name": "a", "exactly": {"deviceClassName": "gpu.nvidia.com", "count": 2}},
    {"name": "b", "exactly": {"deviceClassName": "dra.net"}},
    {
        "name": "c",
        "firstAvailable": [
            {"name": "large", "deviceClassName": "gpu.nvidia.com", "count": 1},
            {"name": "small", "deviceClassName": "mig.nvidia.com", "count": 4},
        ],
    },
]


def test_a_claim_is_read_from_the_api():
    found = claims.resource_claim(
        {
            "spec": {"devices": {"requests": REQUESTS}},
            "status": {
                "allocation": {
                    "devices": {
                        "results": [
                            {**GPU._asdict(), "device": "gpu-0"},
                            {**GPU._asdict(), "device": "gpu-1", "adminAccess": True},
                        ]
                    }
                },
                "reservedFor": [{"resource": "pods", "name": "llm-0", "uid": "1"}],
            },
        }
    )  # fmt: skip
    assert (found.devices, found.pods, found.accelerators) == ((GPU,), ("llm-0",), 6)


def test_all_devices_of_a_node_is_no_number():
    request = {"exactly": {"deviceClassName": "gpu.nvidia.com", "allocationMode": "All"}}
    template = {"spec": {"spec": {"devices": {"requests": [request]}}}}
    assert claims.resource_claim_template(template).accelerators is None
