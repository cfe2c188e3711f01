"""
How much fits: architecture, memory, parallel layout and the engine's rules, turned into blocks.

The property that must stay true: the numbers are the engine's own. What is computed here for a
version of an engine is what that version would print at start, to its own rounding.
"""

from .capacity import GIB, CapacityStep, KvCapacity
from .engines import kv_capacity, kv_layout
from .layout import KvLayout, WindowGroup
from .serving import Engine, GpuClass, Serving, parse_version

__all__ = [
    "GIB",
    "CapacityStep",
    "Engine",
    "GpuClass",
    "KvCapacity",
    "KvLayout",
    "Serving",
    "WindowGroup",
    "kv_capacity",
    "kv_layout",
    "parse_version",
]
