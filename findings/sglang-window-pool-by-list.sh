#!/usr/bin/env bash
# SGLang 0.5.23: windows save KV memory for listed architectures only; Gemma 3's layers keep every token.
#
# One would guess that a layer with a sliding window, whose attention backend is told the window, keeps the window's
# tokens alone, as in vLLM. SGLang gives windows a pool of their own only where a list names the architecture (or the
# configuration sets is_hybrid_swa). Gemma 4 and gpt-oss are in it; Gemma 2 and 3, OLMo 3, EXAONE 4 and Cohere 2 are
# not, although their configurations tell windows for half of the layers or more: so a token costs all layers. The
# function that decides is taken out of the wheel and asked; the wheel's dependencies (torch) are not needed for that.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.11 \
    --platform manylinux_2_34_x86_64 --dest "$folder" sglang==0.5.23

python3 - "$folder"/sglang-*.whl <<'PY'
import ast
import sys
import types
import typing
import zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel:
    text = wheel.read("sglang/srt/configs/model_config.py").decode()
    gemma = wheel.read("sglang/srt/models/gemma3_causal.py").decode()

WANTED = {"SWA_SINK_ARCHS", "MIMO_V2_MODEL_ARCHS", "is_hybrid_swa_model"}
taken = [
    node
    for node in ast.parse(text).body
    if getattr(node, "name", None) in WANTED
    or (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in WANTED)
]
names = {"List": list, "Optional": typing.Optional, "PretrainedConfig": types.SimpleNamespace}
exec(compile(ast.Module(body=taken, type_ignores=[]), "model_config.py", "exec"), names)

config = types.SimpleNamespace(sliding_window=1024, layer_types=["sliding_attention"] * 5 + ["full_attention"])
told = {
    name: bool(names["is_hybrid_swa_model"]([name], config))
    for name in (
        "Gemma4ForCausalLM",
        "GptOssForCausalLM",
        "Gemma2ForCausalLM",
        "Gemma3ForCausalLM",
        "Gemma3ForConditionalGeneration",
        "Olmo3ForCausalLM",
        "Exaone4ForCausalLM",
        "Cohere2ForCausalLM",
    )
}
print("wheel", sys.argv[1].rsplit("/", 1)[-1])
for name, pooled in told.items():
    print(f"{name:32} a pool for windows: {pooled}")
print("gemma3_causal.py tells attention its window:", "sliding_window_size=self.sliding_window" in gemma)
assert [name for name, pooled in told.items() if pooled] == ["Gemma4ForCausalLM", "GptOssForCausalLM"], "it changed"
assert "sliding_window_size=self.sliding_window" in gemma, "it changed"
PY
echo "holds: windows of Gemma 2 and 3, OLMo 3, EXAONE 4 and Cohere 2 save no memory"
