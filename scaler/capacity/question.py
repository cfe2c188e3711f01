"""
The question that ``kvtide capacity`` and a trigger's metadata ask, in the words people use.

Names become shapes here: a model's name or file, a GPU's name, an engine's. The property that must
stay true: every wrong field is told at once.
"""

import dataclasses
from collections.abc import Callable
from typing import Annotated, TypeVar

from scaler.capacity.concurrency.lengths import lognormal
from scaler.errors import NOTHING, ConfigurationError, Problem, stated
from scaler.ranges import Range, range_problems
from scaler.said import Said

from .architecture import ModelArchitecture
from .gpus import Gpu, find_gpu, gpu_count
from .kv_cache import Engine, GpuClass, Serving
from .kv_cache.serving import MOST_GIB
from .models import load_model
from .planned import MemoryTerms, Planned, RequestLengths, plan
from .token_length import A_LENGTH, TokenLength, read_length

Known = TypeVar("Known")
Gib = Annotated[
    float,
    Range(gt=0, le=MOST_GIB, words=Said("above 0 and at most {most:,.0f} GiB", most=MOST_GIB)),
]
ASKED_AS = {
    "block_tokens": "block_size",
    "context_parallel": "decode_context_parallel",
    "kv_dtype": "kv_cache_dtype",
    "state_dtype": "mamba_ssm_cache_dtype",
    "version": "engine_version",
}
"""Fields of the calculation that a question names otherwise."""


def token_length(field: str, text: str | None) -> TokenLength:
    """
    Return the lengths that ``mean[:p95]`` states.

    Raises:
        ConfigurationError: no number, or a percentile that does not go with the mean.
    """
    if text is None:
        allowed = stated(Said(", though the other length is stated: {form}", form=A_LENGTH))
        raise ConfigurationError(Problem(field=field, got="nothing", allowed=allowed))
    try:
        return read_length(text)
    except ValueError as error:
        got = repr(text)
        raise ConfigurationError(Problem(field=field, got=got, allowed=A_LENGTH)) from error
    except ConfigurationError as error:
        raise ConfigurationError(
            *(dataclasses.replace(problem, field=field) for problem in error.problems)
        ) from error


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CapacityQuestion:
    """What a person states of one replica; None: not stated."""

    model: str
    """A config.json, a checkpoint's folder, a record of the table, or a name."""
    quantization: str | None = None
    weights_gib: Gib | None = None
    gpu: str | None = None
    gpu_memory_gib: Gib | None = None
    gpu_memory_utilization: float | None = None
    available_kv_gib: Gib | None = None
    gpus: int | None = None
    """GPUs of one replica; tensor-parallel where nothing else is said."""
    tensor_parallel: int | None = None
    pipeline_parallel: int | None = None
    data_parallel: int | None = None
    decode_context_parallel: int | None = None
    engine: str = "vllm"
    engine_version: str | None = None
    kv_cache_dtype: str = "auto"
    block_size: int | None = None
    max_model_len: int | None = None
    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None
    draft_model: str | None = None
    """A drafter with shapes of its own: a config.json or a name, as ``model``."""
    draft_layers: int | None = None
    """Layers of the checkpoint's own drafter, or of an EAGLE; 0: none that keeps a cache."""
    speculative_tokens: int | None = None
    prefix_caching: bool | None = None
    hybrid_groups: bool | None = None
    mamba_ssm_cache_dtype: str | None = None
    """Type of recurrent states; None: as the configuration says."""
    prompt_tokens: str | None = None
    """``mean[:p95]``, tokens."""
    output_tokens: str | None = None
    overflow_probability: Annotated[float, Range(gt=0, lt=1)] = 0.01


def planned_capacity(
    question: CapacityQuestion, load: Callable[[str], ModelArchitecture] = load_model
) -> Planned:
    """
    Return the replica that a question describes: its KvLayout, blocks, memory and concurrency.

    ``.capacity.layout`` is the footprint law, ``.capacity.num_blocks`` the computed blocks;
    ``load`` says what a model's name means.

    Raises:
        ConfigurationError: every field that is wrong, missing or not supported.
    """
    problems: list[Problem] = []

    def known(ask: Callable[[], Known]) -> Known | None:
        try:
            return ask()
        except ConfigurationError as error:
            problems.extend(map(_as_asked, error.problems))
            return None

    architecture = known(lambda: _model(question, load))
    gpu = known(lambda: _gpu(question))
    engine = known(lambda: _engine(question.engine))
    serving = known(lambda: _serving(question, gpu, engine or Engine.VLLM))
    lengths = known(lambda: _lengths(question))
    problems += _unstated(question, gpu_known=gpu is not None)
    problems += _ranks_unstated(question)
    problems += drafter_problems(
        drafts=question.draft_model is not None,
        layers=question.draft_layers,
        tokens=question.speculative_tokens,
    )
    if problems or architecture is None or serving is None:
        raise ConfigurationError(*problems)
    try:
        return plan(architecture, _drafting(serving, architecture), _terms(question), lengths)
    except ConfigurationError as error:
        raise ConfigurationError(*map(_as_asked, error.problems)) from error


def _as_asked(problem: Problem) -> Problem:
    """Return a problem with its field as the question names it."""
    return dataclasses.replace(problem, field=ASKED_AS.get(problem.field, problem.field))


def _model(
    question: CapacityQuestion, load: Callable[[str], ModelArchitecture]
) -> ModelArchitecture:
    """Return the architecture, with its drafter's where one is named."""
    model = load(question.model)
    if question.draft_model is None:
        return model
    try:
        drafter = load(question.draft_model)
    except ConfigurationError as error:
        renamed = (one.renamed(_of_drafter) for one in error.problems)
        raise ConfigurationError(*renamed) from error
    return dataclasses.replace(model, drafter=drafter)


def _of_drafter(field: str) -> str:
    return "draft_model" if field == "model" else field


def _terms(question: CapacityQuestion) -> MemoryTerms:
    return MemoryTerms(
        available_kv_gib=question.available_kv_gib,
        utilization=question.gpu_memory_utilization,
        weights_gib=question.weights_gib,
        quantization=question.quantization,
    )


def _gpu(question: CapacityQuestion) -> Gpu | None:
    return None if question.gpu is None else find_gpu(question.gpu)


def _serving(question: CapacityQuestion, gpu: Gpu | None, engine: Engine) -> Serving:
    memory = question.gpu_memory_gib or (gpu.memory_gib if gpu is not None else None)
    tensor, pipeline, data = _ranks(question)
    return Serving(
        engine=engine,
        version=question.engine_version,
        gpu_memory_gib=memory,
        gpu_class=gpu.generation if gpu is not None else GpuClass.OTHER,
        gpu_sliced=gpu is not None and gpu.sliced,
        gpu=_described(gpu) if gpu is not None and question.gpu_memory_gib is None else None,
        tensor_parallel=tensor,
        pipeline_parallel=pipeline,
        data_parallel=data,
        context_parallel=question.decode_context_parallel or 1,
        kv_dtype=question.kv_cache_dtype,
        block_tokens=question.block_size,
        max_model_len=question.max_model_len,
        max_num_batched_tokens=question.max_num_batched_tokens,
        max_num_seqs=question.max_num_seqs,
        draft_layers=question.draft_layers or 0,
        speculative_tokens=question.speculative_tokens,
        prefix_caching=question.prefix_caching,
        hybrid_groups=question.hybrid_groups,
        state_dtype=question.mamba_ssm_cache_dtype,
    )


def _drafting(serving: Serving, architecture: ModelArchitecture) -> Serving:
    """Return the flags with the layers of a drafter that has shapes of its own."""
    if architecture.drafter is None or serving.draft_layers:
        return serving
    return dataclasses.replace(serving, draft_layers=len(architecture.drafter.layers))


def drafter_problems(*, drafts: bool, layers: int | None, tokens: int | None) -> list[Problem]:
    """
    Return what is wrong with drafted tokens that nobody is said to draft.

    A drafter keeps a cache of its own, or none (n-grams): which of them cannot be guessed.
    """
    if drafts or layers is not None or not tokens:
        return []
    return [
        Problem(
            field="draft_layers",
            got=Said(
                "missing, though {tokens} tokens are drafted at a time: state 1 for the"
                " checkpoint's own drafter (MTP), 0 for one that keeps no cache (n-grams), or a"
                " drafter with shapes of its own as {key} (EAGLE, DFlash)",
                tokens=tokens,
                key="draft_model",
            ),
            others=("draft_model",),
        )
    ]


def _described(gpu: Gpu) -> str:
    """Return which card it is taken to be, and how its memory is known."""
    verb = "goes" if len(gpu.others) == 1 else "go"
    others = f", though {' and '.join(gpu.others)} {verb} by that name too" if gpu.others else ""
    return f"{gpu.name}{others}: {gpu.source}"


def _engine(name: str) -> Engine:
    aliases = {"tensorrt-llm": "trtllm", "tensorrt_llm": "trtllm"}
    plain = aliases.get(name.lower(), name.lower())
    if plain not in list(Engine):
        allowed = ", ".join(Engine)
        raise ConfigurationError(Problem(field="engine", got=repr(name), allowed=allowed))
    return Engine(plain)


def _ranks(question: CapacityQuestion) -> tuple[int, int, int]:
    """Return tensor, pipeline and data ranks; GPUs that nothing claims are tensor-parallel."""
    stated = (question.tensor_parallel, question.pipeline_parallel, question.data_parallel)
    tensor, pipeline, data = (1 if ranks is None else ranks for ranks in stated)
    if question.tensor_parallel is None and pipeline > 0 and data > 0:
        tensor = max(1, (question.gpus or 1) // (pipeline * data))
    needed = tensor * pipeline * data
    if question.gpus is not None and question.gpus != needed:
        raise ConfigurationError(
            Problem(
                field="gpus",
                got=str(question.gpus),
                allowed=Said(
                    "{needed}: tensor {tensor} × pipeline {pipeline} × data {data} parallel",
                    needed=needed,
                    tensor=tensor,
                    pipeline=pipeline,
                    data=data,
                ),
            )
        )
    return tensor, pipeline, data


def _lengths(question: CapacityQuestion) -> RequestLengths | None:
    if question.prompt_tokens is None and question.output_tokens is None:
        return None
    prompt = token_length("prompt_tokens", question.prompt_tokens)
    output = token_length("output_tokens", question.output_tokens)
    longest = question.max_model_len
    return RequestLengths(
        prompt=lognormal(prompt.mean, prompt.p95, longest=longest),
        output=lognormal(output.mean, output.p95, longest=longest),
        overflow_probability=question.overflow_probability,
    )


def _unstated(question: CapacityQuestion, *, gpu_known: bool) -> list[Problem]:
    problems = list(range_problems(question))
    memory_known = gpu_known or question.gpu is not None or question.gpu_memory_gib is not None
    if question.available_kv_gib is None and not memory_known:
        problems.append(
            Problem(
                field="gpu",
                got="nothing",
                allowed=Said("a GPU's name, or else its memory or the cache's memory in GiB"),
            )
        )
    return problems


def _ranks_unstated(question: CapacityQuestion) -> list[Problem]:
    """Return what is missing where a name tells of several GPUs and nothing how they are used."""
    named = 1 if question.gpu is None else gpu_count(question.gpu)
    ranks = (question.tensor_parallel, question.pipeline_parallel, question.data_parallel)
    if named == 1 or question.gpus is not None or any(one is not None for one in ranks):
        return []
    return [
        Problem(
            field="tensor_parallel",
            got=NOTHING,
            allowed=Said(
                "how many of the {named} GPUs in {gpu} one replica takes",
                named=named,
                gpu=repr(question.gpu),
            ),
        )
    ]
