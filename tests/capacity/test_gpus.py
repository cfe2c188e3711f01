"""GPUs by the names that people and drivers use."""

import pytest

from scaler.capacity.gpus import find_gpu
from scaler.errors import ConfigurationError


@pytest.mark.parametrize(
    ("written", "name", "memory_gib"),
    [
        pytest.param("H100", "H100", 79.19, id="short"),
        pytest.param("NVIDIA H100 80GB HBM3", "H100", 79.19, id="as the driver says"),
        pytest.param("NVIDIA-H200", "H200", 139.81, id="as a node label says"),
        pytest.param("A100 40GB", "A100-40GB", 39.5, id="the smaller of two"),
        pytest.param("nvidia-a100-80gb", "A100-80GB", 79.15, id="the larger"),
        pytest.param("Tesla T4", "T4", 14.74, id="with its line"),
        pytest.param("RTX 4090", "RTX 4090", 23.6, id="a workstation's"),
        pytest.param("MI300X", "MI300X", 191.98, id="another maker's"),
    ],
)
def test_a_gpu_is_found(written: str, name: str, memory_gib: float) -> None:
    gpu = find_gpu(written)

    assert (gpu.name, gpu.memory_gib) == (name, memory_gib)


def test_an_unknown_gpu_is_named_with_near_ones() -> None:
    with pytest.raises(ConfigurationError, match="did you mean .*H200"):
        find_gpu("H2000")
