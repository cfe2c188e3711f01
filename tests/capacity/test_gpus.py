"""GPUs by the names that people, drivers, node labels and clouds use."""

import re

import pytest

from scaler.capacity.gpus import find_gpu, gpus, mig_profile
from scaler.capacity.kv_cache import GpuClass
from scaler.errors import ConfigurationError


@pytest.mark.parametrize(
    ("written", "name", "memory_gib"),
    [
        pytest.param("H100", "H100", 79.19, id="short"),
        pytest.param("NVIDIA H100 80GB HBM3", "H100", 79.19, id="as the driver says"),
        pytest.param("GPU 0: NVIDIA H200 (UUID: GPU-b2acda36)", "H200", 139.81, id="nvidia-smi -L"),
        pytest.param("NVIDIA-H200", "H200", 139.81, id="as a node label says"),
        pytest.param("NVIDIA-L40S-SHARED", "L40S", 44.42, id="a label with time slicing"),
        pytest.param("A100 40GB", "A100-40GB", 39.5, id="the smaller of two"),
        pytest.param("A100-40", "A100-40GB", 39.5, id="a size without its unit"),
        pytest.param("nvidia-a100-80gb", "A100-80GB", 79.15, id="the larger"),
        pytest.param("nvidia-tesla-a100", "A100-40GB", 39.5, id="Google's name of the smaller"),
        pytest.param("nvidia-h100-mega-80gb", "H100", 79.19, id="Google's"),
        pytest.param("8x NVIDIA A100-SXM4-80GB", "A100-80GB", 79.15, id="with a count"),
        pytest.param("NVIDIA H100 NVL", "H100-NVL", 93.1, id="a card of its own"),
        pytest.param("H100 96GB", "H100-96GB", 93.0, id="by its size"),
        pytest.param("Tesla T4", "T4", 14.74, id="with its line"),
        pytest.param("cloud.google.com/gke-accelerator=nvidia-l4", "L4", 22.06, id="a node label"),
        pytest.param(
            "k8s.amazonaws.com/accelerator: nvidia-h100-80gb", "H100", 79.19, id="Amazon's label"
        ),
        pytest.param("NVIDIA B300 SXM6 AC", "B300", 267.7, id="with its cooling"),
        pytest.param("NVIDIA A10G", "A10G", 22.07, id="a letter that is no size"),
        pytest.param("RTX 4090", "RTX 4090", 23.6, id="a workstation's"),
        pytest.param("RTX 4090 Laptop GPU", "RTX 4090 Laptop", 15.6, id="not the desktop's"),
        pytest.param("MI300X", "MI300X", 191.98, id="another maker's"),
        pytest.param("GB200", "GB200", 184.3, id="not a B200"),
    ],
)
def test_a_gpu_is_found(written: str, name: str, memory_gib: float) -> None:
    gpu = find_gpu(written)

    assert (gpu.name, gpu.memory_gib) == (name, memory_gib)


@pytest.mark.parametrize(
    ("written", "name", "memory_gib"),
    [
        pytest.param("H100-3g.40gb", "H100-3g.40gb", 39.5, id="short"),
        pytest.param("NVIDIA-H100-80GB-HBM3-MIG-3g.40gb", "H100-3g.40gb", 39.5, id="a node label"),
        pytest.param(
            "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED", "A100-40GB-1g.5gb", 4.75, id="and shared"
        ),
        pytest.param("A100-SXM4-80GB-MIG-2g.20gb", "A100-80GB-2g.20gb", 19.5, id="by form factor"),
        pytest.param(
            'modelName="NVIDIA A100-SXM4-80GB", GPU_I_PROFILE="3g.40gb"',
            "A100-80GB-3g.40gb",
            39.25,
            id="labels of DCGM's exporter",
        ),
        pytest.param("nvidia.com/mig-3g.71gb", "H200-3g.71gb", 69.8, id="a resource of one card"),
        pytest.param("MIG 1g.18gb  Device  1: (UUID: MIG-be04)", "H200-1g.18gb", 16.0, id="-L"),
        pytest.param(
            "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb.me", "A100-40GB-1g.5gb", 4.75, id="+me in a label"
        ),
        pytest.param("A30 2g.12gb+me", "A30-2g.12gb", 11.69, id="with media engines"),
        pytest.param("H100 NVL 3g.47gb", "H100-NVL-3g.47gb", 46.38, id="H100 of 94 GB"),
        pytest.param("GH200-1g.24gb", "GH200-1g.24gb", 23.0, id="H100 of 96 GB"),
        pytest.param("NVIDIA B200 MIG 2g.45gb", "B200-2g.45gb", 44.25, id="as PyTorch printed it"),
        pytest.param("NVIDIA B200 MIG 1g.23gb", "B200-1g.23gb", 20.5, id="less than an eighth"),
        pytest.param(
            "NVIDIA B300 SXM6 AC MIG 1g.34gb", "B300-1g.34gb", 30.77, id="as such a slice"
        ),
        pytest.param("B200 3g.90gb", "B200-3g.90gb", 89.17, id="by its share"),
        pytest.param("GB200 3g.93gb", "GB200-3g.93gb", 92.15, id="GB200"),
    ],
)
def test_a_slice_has_its_own_memory(written: str, name: str, memory_gib: float) -> None:
    gpu = find_gpu(written)

    assert (gpu.name, gpu.memory_gib) == (name, memory_gib)


def test_a_slice_of_every_card_of_the_guide_is_less_than_the_card() -> None:
    known = {gpu.name: gpu for gpu in gpus()}
    sliced = [gpu for gpu in gpus() if re.search(r"-\d+g\.\d+gb$", gpu.name)]

    assert {"A100-40GB", "A100-80GB", "A30", "H100", "H100-NVL", "H100-96GB", "H200"} <= {
        gpu.name.rpartition("-")[0] for gpu in sliced
    }
    for gpu in sliced:
        card, _, profile = gpu.name.rpartition("-")
        sold = int(profile.partition(".")[2].removesuffix("gb"))
        assert gpu.memory_gib <= known[card].memory_gib + 0.1
        assert 0.88 * sold * 1e9 < gpu.memory_gib * 2**30 < 1.08 * sold * 1e9, gpu.name
        assert find_gpu(gpu.name) == gpu


@pytest.mark.parametrize(
    ("written", "name", "others"),
    [
        pytest.param("A100", "A100-80GB", ("A100-40GB",), id="two sizes"),
        pytest.param("H100", "H100", ("H100-NVL", "H100-96GB"), id="three cards"),
        pytest.param("H100 SXM5", "H100", ("H100-96GB",), id="one form factor of two"),
        pytest.param("NVIDIA H100 PCIe", "H100", (), id="as the driver calls one alone"),
        pytest.param(
            "A100 MIG 1g.10gb", "A100-80GB-1g.10gb", ("A100-40GB-1g.10gb",), id="the smaller slice"
        ),
    ],
)
def test_a_name_of_several_says_which_it_took(
    written: str, name: str, others: tuple[str, ...]
) -> None:
    gpu = find_gpu(written)

    assert (gpu.name, gpu.others) == (name, others)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        pytest.param("H2000", "did you mean H200", id="unknown"),
        pytest.param("p5.48xlarge", "a type of machine", id="Amazon's"),
        pytest.param("ml.g5.2xlarge", "a type of machine", id="SageMaker's"),
        pytest.param("a2-ultragpu-1g", "a type of machine", id="Google's"),
        pytest.param("Standard_NC24ads_A100_v4", "a type of machine", id="Azure's"),
        pytest.param("ecs.gn7i-c8g1.2xlarge", "a type of machine", id="Alibaba's"),
        pytest.param("RTX 4090 Ti", "did you mean RTX 4090", id="never widened"),
        pytest.param("H100-100GB", "did you mean H100", id="a size it does not come in"),
        pytest.param("H100-3g.71gb", "H100-3g.40gb", id="another card's profile"),
        pytest.param("L4-2g.20gb", "no MIG profiles", id="a card without profiles"),
        pytest.param("nvidia.com/mig-3g.40gb", "A100-80GB-3g.40gb, H100-3g.40gb", id="two cards"),
        pytest.param("", "state its memory", id="nothing"),
    ],
)
def test_what_is_not_understood_is_refused(written: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        find_gpu(written)


def test_old_cards_are_a_class_of_their_own() -> None:
    assert find_gpu("T4").generation is GpuClass.BEFORE_AMPERE


@pytest.mark.parametrize(
    ("resource", "profile"),
    [
        pytest.param("nvidia.com/gpu", None, id="whole"),
        pytest.param("nvidia.com/gpu.shared", None, id="shared"),
        pytest.param("nvidia.com/mig-1g.10gb", "1g.10gb", id="a slice that two cards have"),
        pytest.param("nvidia.com/mig-1g.5gb.shared", "1g.5gb", id="a shared slice"),
        pytest.param("huawei.com/Ascend910B4", None, id="another vendor's"),
    ],
)
def test_a_pools_resource_is_read_as_a_gpus_name_is(resource: str, profile: str | None) -> None:
    assert mig_profile(resource) == profile


def test_a_resource_of_a_profile_that_no_card_has_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"such as 3g\.71gb"):
        mig_profile("nvidia.com/mig-3g.41gb")


@pytest.mark.parametrize("gpu", gpus(), ids=lambda gpu: gpu.name)
def test_only_nvidias_cards_were_seen_by_nvidias_tool(gpu):
    others = ("MI", "Gaudi", "Ascend", "TPU")
    assert not (gpu.name.startswith(others) and "nvidia" in gpu.source.lower())
