"""
How much fits: architecture, memory, parallel layout and the engine's rules, turned into blocks.

The property that must stay true: the numbers are the engine's own. What is computed here for a
version of an engine is what that version would print at start, to its own rounding.
"""

from .layout import KvLayout, WindowGroup

__all__ = ["KvLayout", "WindowGroup"]
