"""``kvtide capacity``: the flags, and nothing else."""

from typing import Annotated

import typer

from scaler.errors import ConfigurationError, Problem

from .flags import Json, as_flag
from .output import show


def capacity(  # noqa: PLR0913 - one parameter per flag is how typer declares them
    *,
    word: Annotated[
        str, typer.Argument(help="With --list: part of a name.", show_default=False)
    ] = "",
    listed: Annotated[
        bool, typer.Option("--list", help="Show the models and GPUs known by name, and end.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="A config.json, a checkpoint's folder, or a model's name.", metavar="FILE|NAME"
        ),
    ] = None,
    gpu: Annotated[str | None, typer.Option(help="The GPU's name, such as H100.")] = None,
    gpu_memory_gib: Annotated[
        float | None, typer.Option(help="Memory of one GPU as CUDA reports it.", metavar="GIB")
    ] = None,
    gpus: Annotated[int | None, typer.Option(help="GPUs of one replica.")] = None,
    tensor_parallel: Annotated[
        int | None,
        typer.Option("--tensor-parallel", "--tensor-parallel-size", help="Tensor-parallel ranks."),
    ] = None,
    pipeline_parallel: Annotated[
        int | None,
        typer.Option("--pipeline-parallel", "--pipeline-parallel-size", help="Pipeline stages."),
    ] = None,
    data_parallel: Annotated[
        int | None,
        typer.Option("--data-parallel", "--data-parallel-size", help="Engines in a replica."),
    ] = None,
    decode_context_parallel: Annotated[
        int | None,
        typer.Option(
            "--decode-context-parallel",
            "--decode-context-parallel-size",
            help="Ranks that share a request's tokens.",
        ),
    ] = None,
    kv_cache_dtype: Annotated[str, typer.Option(help="auto, bfloat16, fp8, …")] = "auto",
    gpu_memory_utilization: Annotated[
        float | None, typer.Option(help="Share of the GPU; default: the engine version's.")
    ] = None,
    max_model_len: Annotated[int | None, typer.Option(help="Longest request, tokens.")] = None,
    weights_gib: Annotated[
        float | None, typer.Option(help="Weights on one GPU, as the log says.", metavar="GIB")
    ] = None,
    available_kv_gib: Annotated[
        float | None,
        typer.Option(help="Cache memory of one GPU, as the log says.", metavar="GIB"),
    ] = None,
    prompt_tokens: Annotated[
        str | None, typer.Option(help="Prompts, tokens.", metavar="MEAN[:P95]")
    ] = None,
    output_tokens: Annotated[
        str | None, typer.Option(help="Outputs, tokens.", metavar="MEAN[:P95]")
    ] = None,
    overflow_probability: Annotated[
        float, typer.Option(help="How often the cache may overflow.")
    ] = 0.01,
    engine: Annotated[str, typer.Option(help="vllm, sglang, tgi or trtllm.")] = "vllm",
    engine_version: Annotated[
        str | None, typer.Option(help="A release; default: the newest whose rules are known.")
    ] = None,
    block_size: Annotated[int | None, typer.Option(help="Tokens per block.")] = None,
    max_num_batched_tokens: Annotated[
        int | None, typer.Option(help="Tokens of one step; default: by GPU.")
    ] = None,
    max_num_seqs: Annotated[
        int | None, typer.Option(help="Requests the engine runs at once; default: by GPU.")
    ] = None,
    draft_model: Annotated[
        str | None,
        typer.Option(
            help="A drafter with shapes of its own (EAGLE, DFlash, a small model).",
            metavar="FILE|NAME",
        ),
    ] = None,
    draft_layers: Annotated[
        int | None,
        typer.Option(help="Layers of a drafter: 1 for the checkpoint's own (MTP), 0 for n-grams."),
    ] = None,
    speculative_tokens: Annotated[
        int | None, typer.Option(help="Tokens drafted at a time; default: 1 with a drafter.")
    ] = None,
    prefix_caching: Annotated[
        bool | None, typer.Option(help="Default: as the engine's version does.")
    ] = None,
    hybrid_groups: Annotated[
        bool | None,
        typer.Option(
            "--hybrid-kv-cache-manager/--no-hybrid-kv-cache-manager",
            help="vLLM's; default: as its version does.",
        ),
    ] = None,
    mamba_ssm_cache_dtype: Annotated[
        str | None,
        typer.Option(help="Type of recurrent states; default: as config.json says."),
    ] = None,
    not_a_cache: Annotated[
        str, typer.Option(help="Keys of config.json that hold no cache.", metavar="KEY[,KEY]")
    ] = "",
    quantization: Annotated[
        str | None, typer.Option(help="Weights' format; default: the checkpoint's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Say how many requests one replica may hold, step by step: 0 told, 1 the model does not fit.

    Example: kvtide capacity --model Llama-3.1-8B --gpu H100 --max-model-len 8192
    --prompt-tokens 1200:3000 --output-tokens 300:800
    """
    if listed:
        from scaler.report.known import known_json, known_text

        show(known_json(word) if as_json else known_text(word))
        return
    if word or model is None:
        got = (
            f"missing; is it --model {word}?" if word else "missing; state a config.json or a name"
        )
        raise ConfigurationError(Problem(field="--model", got=got))

    import functools

    from scaler.capacity.models import load_model
    from scaler.capacity.question import CapacityQuestion, planned_capacity
    from scaler.report.capacity import capacity_json, capacity_text

    question = CapacityQuestion(
        model=model,
        quantization=quantization,
        weights_gib=weights_gib,
        gpu=gpu,
        gpu_memory_gib=gpu_memory_gib,
        gpu_memory_utilization=gpu_memory_utilization,
        available_kv_gib=available_kv_gib,
        gpus=gpus,
        tensor_parallel=tensor_parallel,
        pipeline_parallel=pipeline_parallel,
        data_parallel=data_parallel,
        decode_context_parallel=decode_context_parallel,
        engine=engine,
        engine_version=engine_version,
        kv_cache_dtype=kv_cache_dtype,
        block_size=block_size,
        max_model_len=max_model_len,
        max_num_batched_tokens=max_num_batched_tokens,
        max_num_seqs=max_num_seqs,
        draft_model=draft_model,
        draft_layers=draft_layers,
        speculative_tokens=speculative_tokens,
        prefix_caching=prefix_caching,
        hybrid_groups=hybrid_groups,
        mamba_ssm_cache_dtype=mamba_ssm_cache_dtype,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        overflow_probability=overflow_probability,
    )
    holds_none = tuple(filter(None, not_a_cache.split(",")))
    load = functools.partial(load_model, not_a_cache=holds_none)
    try:
        planned = planned_capacity(question, load)
    except ConfigurationError as error:
        raise ConfigurationError(*map(as_flag, error.problems)) from error
    show(capacity_json(planned) if as_json else capacity_text(planned))
    raise typer.Exit(0 if planned.capacity.num_blocks else 1)
