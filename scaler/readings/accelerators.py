"""
Which of the things that pods ask for are units of a pool: accelerators, by the name of a resource.

A pod asks for GPUs beside shares of them (HAMi's ``nvidia.com/gpumem``, Ascend's ``…-memory``) and
beside network devices; none of these is a unit. Devices of ResourceClaims are told by their driver,
and a MIG device by its name (``gpu-0-mig-9-4-4``, as NVIDIA's DRA driver has it). What is not clear
is None, never a guess.
"""

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

_ACCELERATOR = re.compile(
    r"gpu|(^|_)mig_|npu|tpu|gaudi|neuron|ascend|mlu|dcu|gcu|xpu|ppu|vcuda|qaic"
    r"|_atom|_rngd|_warboy|intel_com_(xe|i915)|tenstorrent",
    re.IGNORECASE,
)
_NETWORK = re.compile(
    r"(^|_)(rdma|roce|sriov|efa|hca|hostdev|infiniband|ib|nics?|net\w*)(_|$)|rdma|infiniband",
    re.IGNORECASE,
)
_SHARE = re.compile(r"(mem|memory|cores?|percent|percentage|priority)$", re.IGNORECASE)
_MIG_DEVICE = re.compile(r"(?P<gpu>.+?)-mig-.+")
_NO_ACCELERATOR_DRIVER = re.compile(r"compute-domain|net|nic|sriov|rdma|cpu|memory", re.IGNORECASE)


class Device(NamedTuple):
    """A device that a claim was allocated (resource.k8s.io/v1, DeviceRequestAllocationResult)."""

    driver: str
    pool: str
    name: str


def exporter_name(resource: str) -> str:
    """Return a resource's name as kube-state-metrics writes it: only letters, digits and ``_``."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", resource)


def units_asked(asked: Mapping[str, int], resource: str | None) -> int | None:
    """
    Return the units among extended resources that are asked for, by their exporter names.

    That is the pool's ``resource`` where it is stated, else the only accelerator. None: there is
    none of it, or it is not clear which counts.
    """
    some = {name: units for name, units in asked.items() if units}
    if resource is not None:
        return some.get(exporter_name(resource))
    found = [name for name in some if _ACCELERATOR.search(name) and not _NETWORK.search(name)]
    whole = [name for name in found if not _is_share(name, found)]
    chosen = whole or found
    return some[chosen[0]] if len(chosen) == 1 else None


def _is_share(name: str, among: Collection[str]) -> bool:
    """Whether a resource is a part of another one: by its ending, or called after it."""
    return bool(_SHARE.search(name)) or any(
        name != other and name.startswith(other) for other in among
    )


def is_accelerator(driver: str) -> bool:
    """Whether a driver's (or device class's) devices are accelerators: ``gpu.nvidia.com``."""
    name = exporter_name(driver)
    return bool(_ACCELERATOR.search(name) or name.startswith("mig_")) and not (
        _NO_ACCELERATOR_DRIVER.search(driver)
    )


def device_units(devices: Collection[Device], resource: str | None) -> int | None:
    """
    Return the units that allocated devices are, each device once.

    Of a pool of whole GPUs a MIG device takes the GPU that it is a part of. None: there is no
    accelerator among them, or a pool of slices has a whole GPU in use.
    """
    ours = {one for one in devices if is_accelerator(one.driver) and _matches(one, resource)}
    parts = {one: match["gpu"] for one in ours if (match := _MIG_DEVICE.fullmatch(one.name))}
    whole = {one for one in ours if one not in parts}
    if not ours or (resource is not None and is_of_slices(resource) and whole):
        return None
    if resource is None or is_of_slices(resource):
        return len(ours)
    return len(whole | {part._replace(name=gpu) for part, gpu in parts.items()})


def is_of_slices(resource: str) -> bool:
    """Whether a pool's resource is a MIG slice."""
    return re.search(r"(^|[^a-z])mig([^a-z]|$)", resource) is not None


def _matches(device: Device, resource: str | None) -> bool:
    """Whether a driver's maker is the resource's: ``gpu.nvidia.com`` has ``nvidia.com/gpu``."""
    if resource is None or device.driver == resource:
        return True
    maker = resource.partition("/")[0]
    return device.driver == maker or device.driver.endswith(f".{maker}")
