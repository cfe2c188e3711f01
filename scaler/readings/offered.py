"""
Devices that drivers offer on nodes (DRA), which no node's allocatable resources tell.

ResourceSlices (resource.k8s.io/v1) alone have them, so only the API tells; a driver's pool is one
node's, as a rule of its name.
"""

from collections.abc import Iterable

from .accelerators import Device
from .series import SeriesStore, Subject
from .spoken import spoken

OFFERED = "resourceslice_device"
"""Stated about a node: driver, pool and device."""


class Offered:
    """Reads what is offered off the store, as of an instant."""

    def __init__(self, store: SeriesStore, at_s: float, stale_after_s: float) -> None:
        self._by_node = {
            node: devices
            for node in store.subjects(OFFERED)
            if (devices := frozenset(_devices(store, node, at_s, stale_after_s)))
        }
        self._node_of = {
            (device.driver, device.pool): node[1]
            for node, devices in self._by_node.items()
            for device in devices
        }

    def nodes(self) -> frozenset[Subject]:
        """Return the nodes on which any device is offered."""
        return frozenset(self._by_node)

    def of(self, node: Subject) -> frozenset[Device]:
        """Return the devices of a node."""
        return self._by_node.get(node, frozenset())

    def node_of(self, device: Device) -> str | None:
        """Return the name of the node that a device is on; None: nobody tells."""
        return self._node_of.get((device.driver, device.pool))


def _devices(
    store: SeriesStore, node: Subject, at_s: float, stale_after_s: float
) -> Iterable[Device]:
    for labels, _ in spoken(store, OFFERED, node, at_s, stale_after_s):
        yield Device(labels["driver"], labels["pool"], labels["device"])
