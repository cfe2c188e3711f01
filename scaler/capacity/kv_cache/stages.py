"""
Which layers a pipeline stage holds.

Source: vLLM ``distributed/utils.py`` get_pp_indices; SGLang splits the same way. Layers that do
not divide go one each to the stages before the last, so that the first and last, which hold the
embeddings, stay light.
"""

from scaler.capacity.architecture import Cache, ModelArchitecture

from .serving import Serving


def stage_sizes(layers: int, stages: int) -> tuple[int, ...]:
    """Return the number of layers of each pipeline stage."""
    sizes = [layers // stages] * stages
    for position in range(2, layers % stages + 2):
        sizes[-position] += 1
    return tuple(sizes)


def caches_by_stage(
    architecture: ModelArchitecture, serving: Serving
) -> tuple[tuple[Cache, ...], ...]:
    """Return the caches of each stage; draft layers sit on the last."""
    sizes = stage_sizes(len(architecture.layers), serving.pipeline_parallel)
    starts = [sum(sizes[:stage]) for stage in range(len(sizes))]
    stages = [
        tuple(cache for layer in architecture.layers[start : start + size] for cache in layer)
        for start, size in zip(starts, sizes, strict=True)
    ]
    stages[-1] += architecture.draft_caches(serving.draft_layers)
    return tuple(stages)
