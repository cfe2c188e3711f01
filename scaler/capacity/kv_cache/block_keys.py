"""What of models that choose blocks (MiniMax M3) was read in the engines' sources, and what not."""

from scaler.capacity.architecture import ModelArchitecture
from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

from . import pages
from .serving import Engine, GpuClass, Serving


def refuse_unread_keys(architecture: ModelArchitecture, serving: Serving) -> None:
    """
    Refuse an engine, or a way of an engine, whose keys of blocks are laid out otherwise.

    SGLang keeps them in 8 bits beside an 8-bit cache on some GPUs, and packs both into pages of
    its own for an NVFP4 checkpoint on Blackwell (``memory_pool.py``, ``model_config.py``).

    Raises:
        ConfigurationError: with what is allowed.
    """
    sglang = serving.engine is Engine.SGLANG
    sixteen = pages.kv_dtype(architecture, serving.kv_dtype) in ("bfloat16", "float16")
    packed = (architecture.quantization or "").startswith("nvfp4")
    checks = (
        (
            serving.engine not in (Engine.VLLM, Engine.SGLANG),
            "engine",
            serving.engine.value,
            Said("vllm or sglang: how others keep the keys of its blocks is not modelled here"),
        ),
        (
            serving.context_parallel > 1,
            "context_parallel",
            str(serving.context_parallel),
            Said("1 for {name}", name=architecture.name),
        ),
        (
            sglang and not sixteen,
            "kv_dtype",
            serving.kv_dtype,
            Said("auto or bfloat16: what sglang keeps of its blocks in others differs by GPU"),
        ),
        (
            sglang and packed and serving.gpu_class is GpuClass.BLACKWELL,
            "engine",
            Said("sglang with NVFP4 weights on Blackwell"),
            Said("vllm: sglang's own pages for these are not modelled here"),
        ),
    )
    problems = [
        Problem(field=field, got=got, allowed=allowed)
        for wrong, field, got, allowed in checks
        if wrong
    ]
    if problems:
        raise ConfigurationError(*problems)
