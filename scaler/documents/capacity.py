"""
What a trigger's capacity keys come to: the footprint law of its model, and the blocks there are.

The same calculation as ``kvtide capacity``. With a model alone the law is known, and the engine's
own count of blocks goes with it; with the GPU's memory the blocks are computed as well.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from scaler.capacity.kv_cache import KvCapacity, KvLayout
from scaler.capacity.models import load_model, named_model
from scaler.capacity.planned import Planned
from scaler.capacity.question import CapacityQuestion, planned_capacity
from scaler.errors import NOTHING, ConfigurationError, Problem, stated_since
from scaler.source import Role

from .forms import LENGTHS
from .keys import key_name, keys_of
from .metadata import KEYS, CapacityKeys
from .policies import in_typed_words

MEMORY = ("gpu", "gpu_memory_gib", "available_kv_gib")
"""Any of these tells how much memory there is."""
RANKS = ("tensor_parallel", "pipeline_parallel", "data_parallel")
"""These also say how many GPUs a replica holds, and need no model."""
ANY_MEMORY_GIB = 1.0
"""Stands for memory that is not known: the law of a model does not depend on it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What is known of one replica's KV cache; None: not known."""

    kv_layout: KvLayout | None = None
    kv_capacity: KvCapacity | None = None


def read_capacity(
    values: Mapping[str, Any], stated: Mapping[str, str], models: Mapping[str, str]
) -> tuple[Capacity, tuple[Problem, ...]]:
    """Return what the ``values`` of capacity keys come to, and every problem in their own words."""
    given = {key.field for key in keys_of(CapacityKeys)} & values.keys() - {*RANKS}
    if "model" not in values:
        return Capacity(), tuple(
            Problem(field="model", got=NOTHING, allowed=stated_since(key), others=(key,))
            for key in map(key_name, sorted(given)[:1])
        )
    try:
        planned = planned_replica(values, models)
    except ConfigurationError as error:
        forms = {key.field: key.form for key in KEYS[Role.INFERENCE]}
        return Capacity(), tuple(
            in_typed_words(problem, forms, stated) for problem in error.problems
        )
    fits = knows_memory(values) and planned.capacity.usable_blocks > 0
    capacity = planned.capacity if fits else None
    return Capacity(kv_layout=planned.capacity.layout, kv_capacity=capacity), ()


def knows_memory(values: Mapping[str, Any]) -> bool:
    """Say whether the blocks of :func:`planned_replica` mean anything."""
    return any(name in values for name in MEMORY)


def planned_replica(values: Mapping[str, Any], models: Mapping[str, str]) -> Planned:
    """
    Return the replica that the ``values`` of an inference trigger describe; they name a model.

    Raises:
        ConfigurationError: as ``planned_capacity``.
    """
    names = {field.name for field in dataclasses.fields(CapacityQuestion)}
    said = {name: value for name, value in values.items() if name in names and value is not None}
    configured = values["model"] in models
    said["model"] = models[values["model"]] if configured else values["model"]
    for name in ("prompt_tokens", "output_tokens"):
        if name in said:
            said[name] = LENGTHS.write(said[name])
    if not said.keys() & {*MEMORY}:
        said["available_kv_gib"] = ANY_MEMORY_GIB
    # Whoever writes metadata names a model; which files are read is said by the configuration.
    return planned_capacity(CapacityQuestion(**said), load_model if configured else named_model)


def units_of(values: Mapping[str, Any]) -> dict[str, int]:
    """Return the GPUs that a replica's stated ranks take, as a policy field; empty: not stated."""
    ranks = [values[name] for name in RANKS if values.get(name, 0) > 0]
    return {"units_per_replica": math.prod(ranks)} if ranks else {}
