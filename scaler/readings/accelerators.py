"""
Which of the things that pods ask for are units of a pool: accelerators, by the name of a resource.

A pod asks for GPUs beside shares of them (HAMi's ``nvidia.com/gpumem``, Ascend's ``…-memory``) and
beside network devices; none of these is a unit. Devices of ResourceClaims are told by their driver,
and a MIG device by its name, as NVIDIA's DRA driver has it: ``gpu-0-mig-3g20gb-9-4`` (GPU, profile,
its number, where it begins), until 25.3 ``gpu-0-mig-9-4-4`` (GPU, number, where, how many memory
slices). What is not clear is None, never a guess.
"""

import math
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

_ACCELERATOR = re.compile(
    r"gpu|(^|_)(mig|cpx|spx|dpx|qpx)_|npu|tpu|gaudi|neuron|ascend|mlu|dcu|gcu|xpu|ppu|vcuda|qaic"
    r"|_atom|_rngd|_warboy|intel_com_(xe|i915)|tenstorrent",
    re.IGNORECASE,
)
_NETWORK = re.compile(
    r"(^|_)(rdma|roce|sriov|efa|hca|hostdev|infiniband|ib|nics?|net\w*|cx\d+\w*)(_|$)"
    r"|rdma|infiniband|mellanox|mlnx|smarter_devices",
    re.IGNORECASE,
)
_SHARE = re.compile(
    r"(mem|memory|memory_max|memory_ratio|cores?|millicores|tiles|percent|percentage|priority)$",
    re.IGNORECASE,
)
_MIG_DEVICE = re.compile(
    r"(?P<gpu>.+?)-mig-(?:(?P<slices>\d+)g(?P<gb>\d+)gb\S*|(?P<id>\d+)-\d+-(?P<size>\d+)|.+)"
)
_PROFILE = re.compile(r"(?P<slices>\d+)g[._-]?(?P<gb>\d+)gb")
_SLICES_OF = {0: 7, 5: 4, 9: 3, 14: 2, 15: 1, 19: 1, 20: 1}
"""Compute slices by the number of a profile (NVIDIA's MIG guide, ``nvidia-smi mig -lgip``)."""
_MEMORY_OF = {1: 1, 2: 2, 3: 4, 4: 4, 7: 8}
"""Memory slices, of eight, by compute slices."""
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
    Return the units that devices which are in use are, each device once.

    Of a pool of whole GPUs a MIG device takes the GPU that it is a part of; of a pool of slices as
    many as it covers. None: there is no accelerator among them, or a pool of slices has a whole GPU
    in use.
    """
    ours = _ours(devices, resource)
    parts = _parts(ours)
    whole = {one for one in ours if one not in parts}
    if not ours or (resource is not None and is_of_slices(resource) and whole):
        return None
    if resource is None:
        return len(ours)
    if is_of_slices(resource):
        return sum(_covered(part, resource) for part in parts.values())
    return len(whole | {part._replace(name=found["gpu"]) for part, found in parts.items()})


def offered_units(devices: Collection[Device], resource: str) -> int:
    """
    Return the units that a node offers, of the devices that its drivers advertise.

    A GPU that is offered in parts alone is none of a pool of whole GPUs, and a part of another
    profile is none of a pool of slices.
    """
    ours = _ours(devices, resource)
    parts = _parts(ours)
    if not is_of_slices(resource):
        return len(ours) - len(parts)
    return sum(_is_of_profile(part, resource) for part in parts.values())


def _ours(devices: Collection[Device], resource: str | None) -> set[Device]:
    return {one for one in devices if is_accelerator(one.driver) and _matches(one, resource)}


def _parts(devices: Collection[Device]) -> dict[Device, re.Match[str]]:
    return {one: found for one in devices if (found := _MIG_DEVICE.fullmatch(one.name))}


def _is_of_profile(part: re.Match[str], resource: str) -> bool:
    profile = _PROFILE.search(resource)
    if profile is None:
        return True  # a pool of slices, whichever they are
    if part["slices"]:
        return (part["slices"], part["gb"]) == (profile["slices"], profile["gb"])
    return _SLICES_OF.get(int(part["id"] or -1)) == int(profile["slices"])


def _covered(part: re.Match[str], resource: str) -> int:
    """Return how many slices of a pool's profile a part covers, by compute or by memory."""
    profile = _PROFILE.search(resource)
    if profile is None or _is_of_profile(part, resource):
        return 1
    ours, gb = int(profile["slices"]), int(profile["gb"])
    if part["slices"]:
        return math.ceil(max(int(part["slices"]) / ours, int(part["gb"]) / gb))
    slices = _SLICES_OF.get(int(part["id"] or -1), 7)
    memory = int(part["size"] or 8) / _MEMORY_OF.get(ours, 1)
    return math.ceil(max(slices / ours, memory))


def is_of_slices(resource: str) -> bool:
    """Whether a pool's resource is a MIG slice."""
    return re.search(r"(^|[^a-z])mig([^a-z]|$)", resource) is not None


def _matches(device: Device, resource: str | None) -> bool:
    """Whether a driver's maker is the resource's: ``gpu.nvidia.com`` has ``nvidia.com/gpu``."""
    if resource is None or device.driver == resource:
        return True
    maker = resource.partition("/")[0]
    return device.driver == maker or device.driver.endswith(f".{maker}")
