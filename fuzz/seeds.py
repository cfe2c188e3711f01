"""What is well written, to begin from, and pieces of what is not."""

import json
from collections.abc import Mapping

_LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "hidden_size": 512,
    "intermediate_size": 1024,
    "vocab_size": 1000,
    "max_position_embeddings": 4096,
    "head_dim": 64,
}
_OBJECT = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "chat", "namespace": "llm"},
    "spec": {
        "scaleTargetRef": {"name": "chat"},
        "minReplicaCount": 1,
        "maxReplicaCount": 8,
        "advanced": {
            "horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"tolerance": "0"}}}
        },
        "triggers": [
            {
                "type": "external-push",
                "metadata": {"scalerAddress": "kvtide:6000", "maxConcurrency": "48"},
            }
        ],
    },
}
_CONFIGURATION = {
    "prometheus": {
        "default": {
            "url": "http://prometheus:9090",
            "matchers": {"cluster": "eu1"},
            "headers": {"X-Scope-OrgID": "a"},
            "timeout": "5s",
        }
    },
    "pools": {"a100": {"units": 7, "workloads": ["llm/chat"]}},
    "gateways": {"own": {"select": {"service": "$workload"}, "waiting": "held"}},
    "engines": {"house": {"extends": "vllm"}},
    "queries": {"came": 'sum(x{namespace="$namespace"})'},
    "server": {"tick": "2s"},
}
_ROW = {"metric": {"__name__": "up", "pod": "a-0"}, "values": [[1700000000.5, "1"]]}

SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "metadata": (
        b"metrics=work,concurrency\nmaxConcurrency=48\ntargetUtilization=70%\nstableWindow=1m30s",
        b"role=training\npoolUnits=8\npoolWorkloads=llm/chat,web/b\nlendBelow=0.3",
        b"model=meta-llama/Llama-3.1-8B-Instruct\ngpu=H100\ntensorParallel=2\npromptTokens=100:300",
        b"stepCost=a=20ms,b=300us,c=50us\nworkload=StatefulSet/llm\nselector=a=b",
    ),
    "config-json": tuple(
        json.dumps({**_LLAMA, **more}).encode()
        for more in (
            {},
            {"sliding_window": 128, "layer_types": ["full_attention", "sliding_attention"] * 2},
            {"text_config": _LLAMA, "vision_config": {"hidden_size": 64, "depth": 2}},
            {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "n_routed_experts": 8},
            {"attn_config": {"kv_n_heads": 2}, "quantization_config": {"quant_method": "fp8"}},
        )
    ),
    "exposition": (
        b'# TYPE up gauge\nup{pod="a"} 1\nvllm:num_requests_running{model_name="x\\"y"} 2.0 1700\n',
        b'vllm:request_prompt_tokens_bucket{le="+Inf"} 3 # {trace_id="x"} 1\n# EOF\n',
    ),
    "reply": (
        json.dumps(
            {"status": "success", "data": {"resultType": "matrix", "result": [_ROW]}}
        ).encode(),
        b'{"data": {"result": [{"metric": {}, "value": [1700, "2"]}]}, "warnings": ["store down"]}',
        b'{"status": "error", "error": "query processing would load too many samples"}',
    ),
    "yaml": (
        json.dumps(_OBJECT, indent=1).encode(),
        json.dumps(_CONFIGURATION, indent=1).encode(),
        b"a: &a {b: 1}\nc: {<<: *a}\n---\nkind: List\nitems: [{kind: ScaledJob, spec: {}}]\n",
    ),
}

PIECES: tuple[bytes, ...] = (
    *(
        b"null",
        b"true",
        b"-1",
        b"0",
        b"1e308",
        b"1e400",
        b"NaN",
        b"Infinity",
        b"9" * 400,
        b"1000000000",
    ),
    *(
        b"[]",
        b"{}",
        b'""',
        b'"x"',
        b"[[",
        b"{",
        b"}",
        b",",
        b":",
        b"=",
        b"\n",
        b"\t",
        b"\0",
        b"\xff",
    ),
    *(
        b"*a",
        b"&a ",
        b"<<: ",
        b"!!int ",
        b"!!set ",
        b"? ",
        b"- ",
        b"|",
        b"---\n",
        b"#",
        b"\\",
        b"'",
    ),
    *(
        b"auto",
        b"training",
        b"%",
        b"FromEnv",
        b"inf",
        b"(a+)+$",
        b"\xc3\xa9",
        b"\\ud800",
        b"x" * 300,
    ),
)
"""What a fuzzer would take long to come upon."""

ONCE_UNCLEAR: Mapping[str, tuple[bytes, ...]] = {
    "config-json": (json.dumps({**_LLAMA, "kv_lora_\rank": 512}).encode(),),
    "yaml": (json.dumps({"engines": {"house": {"extends": "---\n"}}}).encode(),),
    "reply": (b'{"error": "too m\\ny samples"}',),
}
"""What a fuzzer came upon that did not end clearly then."""
