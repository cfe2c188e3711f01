"""
Models: from a ``config.json``, a record of our table or a name, to an architecture.

The table (``table.json``) holds numbers of common models, each with the source it was read from.
"""

from .load import architecture_of, load_model, named_model
from .names import known_names

__all__ = ["architecture_of", "known_names", "load_model", "named_model"]
