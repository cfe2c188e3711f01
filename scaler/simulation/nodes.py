"""
Nodes with units (GPUs, MIG slices, shares) that pods hold.

What must stay true: no node ever gives out more units than it has.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """One node: its units, and the pool it belongs to (``a10``, ``mig-1g.5gb``, …)."""

    name: str
    units: int
    pool: str = "gpu"


class Nodes:
    """
    Which node has how many free units.

    Attributes:
        free: free units by node.
    """

    def __init__(self, configs: tuple[NodeConfig, ...]) -> None:
        self.configs = configs
        self.free = {node.name: node.units for node in configs}
        self._pool = {node.name: node.pool for node in configs}

    def place(self, units: int, pool: str) -> str | None:
        """Take units on the fullest node of a pool that has them; None: no node does."""
        fitting = [
            name for name, free in self.free.items() if self._pool[name] == pool and free >= units
        ]
        if not fitting:
            return None
        node = min(fitting, key=lambda name: self.free[name])
        self.free[node] -= units
        return node

    def release(self, node: str, units: int) -> None:
        """Give units back."""
        self.free[node] += units

    def units(self, pool: str) -> int:
        """Return all units of a pool, free or not."""
        return sum(node.units for node in self.configs if node.pool == pool)
