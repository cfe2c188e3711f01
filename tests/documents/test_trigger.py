import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.latency_target import LatencyTarget
from scaler.capacity.question import CapacityQuestion, planned_capacity
from scaler.capacity.token_length import TokenLength
from scaler.configuration import Configuration, Pool, PrometheusServer
from scaler.decision.policy import (
    Forecast,
    InferencePolicy,
    LendingPolicy,
    Phase,
    SignalName,
    StepCost,
)
from scaler.documents.trigger import parse_trigger, render_trigger
from scaler.errors import ConfigurationError
from scaler.source import Role, Trigger, Workload

CONFIGURATION = Configuration(
    prometheus={
        "default": PrometheusServer(url="http://prometheus:9090"),
        "eu1": PrometheusServer(url="http://eu1:9090"),
    },
    pools={
        "a100": Pool(
            units=7,
            reserved_units=3,
            resource="nvidia.com/mig-1g.5gb",
            workloads=("llm/chat", "llm/code"),
        )
    },
    engines={"house": {"extends": "vllm"}},
    gateways={"edge": {}},
    queries={"arrivals": 'sum(requests_total{namespace="$namespace"})'},
    gateway_namespaces=("istio-system",),
)
LLAMA = {"model": "meta-llama/Llama-3.1-8B-Instruct"}


def parse(**metadata: str) -> Trigger:
    return parse_trigger("llm", "chat", metadata, CONFIGURATION)


def problems(**metadata: str) -> dict[str, str]:
    """Return what is said of each field that is refused."""
    with pytest.raises(ConfigurationError) as caught:
        parse(**metadata)
    return {problem.field: problem.said for problem in caught.value.problems}


def test_nothing_stated_is_inference_by_the_defaults():
    assert parse() == Trigger(
        role=Role.INFERENCE,
        workload=Workload(namespace="llm", scaled_object="chat", name="chat", target_stated=False),
        policy=InferencePolicy(),
    )


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param({"stableWindow": "1m30s"}, {"stable_window_s": 90.0}, id="durations"),
        pytest.param({"targetUtilization": "70%"}, {"target_utilization": 0.7}, id="percent"),
        pytest.param({"targetUtilization": "0.7"}, {"target_utilization": 0.7}, id="share"),
        pytest.param({"panicThreshold": "300%"}, {"panic_threshold": 300.0}, id="panic percent"),
        pytest.param(
            {"metrics": "concurrency,gpu-memory"},
            {"metrics": (SignalName.CONCURRENCY, SignalName.GPU_MEMORY)},
            id="lists",
        ),
        pytest.param({"scaleDownDelay": "auto"}, {"scale_down_delay_s": None}, id="auto"),
        pytest.param({"maxReplicasFromEnv": "9"}, {"max_replicas": 9}, id="resolved by KEDA"),
        pytest.param({"forecast": "rise"}, {"forecast": Forecast.RISE}, id="words"),
        pytest.param(
            {"preset": "knative"},
            {"scale_down_delay_s": 0.0, "backlog_drain_s": 0.0},
            id="Knative's own defaults",
        ),
        pytest.param(
            {"preset": "knative", "scaleDownDelay": "1m"},
            {"scale_down_delay_s": 60.0, "backlog_drain_s": 0.0},
            id="a stated key wins over the preset",
        ),
    ],
)
def test_keys_become_the_policy(metadata, expected):
    policy = parse(**metadata).policy

    assert {name: getattr(policy, name) for name in expected} == expected


@pytest.mark.parametrize(
    "key",
    [
        "scalerAddress",
        "enableTLS",
        "unsafeSsl",
        "caCert",
        "tlsClientCert",
        "tlsClientKey",
        "tlsCertFile",
    ],
)
def test_kedas_own_keys_are_not_ours(key):
    assert parse(**{key: "anything"}) == parse()


def test_what_is_scaled_can_be_stated():
    workload = parse(
        workload="StatefulSet/llama",
        selector="model_name=llama",
        engine="house",
        gateway="edge",
        gatewaySelector="namespace=istio-system,route=chat",
        arrivalQuery="arrivals",
        prometheus="eu1",
    ).workload

    assert workload == Workload(
        namespace="llm",
        scaled_object="chat",
        kind="StatefulSet",
        name="llama",
        selector=(("model_name", "llama"),),
        engine="house",
        gateway="edge",
        gateway_selector=(("namespace", "istio-system"), ("route", "chat")),
        arrival_query="arrivals",
        prometheus="eu1",
    )


def inference(**metadata: str) -> InferencePolicy:
    policy = parse(**metadata).policy
    assert isinstance(policy, InferencePolicy)
    return policy


def test_a_model_alone_tells_what_a_request_holds():
    policy = inference(**LLAMA)

    assert policy.kv_layout is not None
    assert (policy.kv_layout.block_tokens, policy.kv_layout.growing_groups) == (16, 1)
    assert policy.kv_capacity is None


def test_a_model_and_a_gpu_tell_the_blocks_as_the_capacity_command_does():
    policy = inference(**LLAMA, gpu="H100", kvCacheDtype="fp8", maxModelLen="8192")
    question = CapacityQuestion(
        model=LLAMA["model"], gpu="H100", kv_cache_dtype="fp8", max_model_len=8192
    )

    assert policy.kv_capacity == planned_capacity(question).capacity


def test_a_configured_model_is_read_from_its_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(
        '{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2,'
        '"num_attention_heads": 8, "num_key_value_heads": 2, "hidden_size": 512,'
        '"intermediate_size": 1024, "vocab_size": 1000, "max_position_embeddings": 4096}'
    )
    configuration = dataclasses.replace(CONFIGURATION, models={"ours": str(path)})

    trigger = parse_trigger("llm", "chat", {"model": "ours"}, configuration)

    assert isinstance(trigger.policy, InferencePolicy)
    assert trigger.policy.kv_layout is not None


def test_a_model_that_cannot_fit_is_no_capacity_rather_than_none_at_all():
    policy = inference(model="meta-llama/Llama-3.1-70B-Instruct", gpu="L4")

    assert policy.kv_layout is not None
    assert policy.kv_capacity is None


@pytest.mark.parametrize(
    ("metadata", "units"),
    [
        pytest.param({}, None, id="nothing stated: its pods say"),
        pytest.param({"tensorParallel": "4"}, 4, id="tensor-parallel ranks"),
        pytest.param({"tensorParallel": "4", "pipelineParallel": "2"}, 8, id="stages of them"),
        pytest.param({"tensorParallel": "2", "dataParallel": "2"}, 4, id="engines of them"),
        pytest.param({"tensorParallel": "4", "unitsPerReplica": "1"}, 1, id="stated otherwise"),
    ],
)
def test_a_replica_holds_the_gpus_of_its_ranks(metadata, units):
    assert inference(**metadata).units_per_replica == units


def test_training_takes_a_pool_of_the_configuration():
    trigger = parse(role="training", pool="a100", lendBelow="20%")

    assert trigger.policy == LendingPolicy(pool_units=7, reserved_units=3, lend_below=0.2)
    assert trigger.pool_members == ("llm/chat", "llm/code")
    assert trigger.pool_resource == "nvidia.com/mig-1g.5gb"


def test_training_takes_a_stated_pool():
    trigger = parse(
        role="training", poolUnits="8", reservedUnits="2", poolWorkloads="llm/chat,web/code"
    )

    assert trigger.policy == LendingPolicy(pool_units=8, reserved_units=2)
    assert trigger.pool_members == ("llm/chat", "web/code")


@pytest.mark.parametrize(
    ("metadata", "field", "message"),
    [
        pytest.param(
            {"maxReplica": "5"}, "maxReplica", "did you mean maxReplicas?", id="a typo in a key"
        ),
        pytest.param(
            {"maxreplicas": "5"}, "maxreplicas", "did you mean maxReplicas?", id="wrong case"
        ),
        pytest.param(
            {"colour": "red"}, "colour", "unknown key; allowed: the keys that", id="no key"
        ),
        pytest.param(
            {"maxReplicaFromEnv": "5"},
            "maxReplicaFromEnv",
            "did you mean maxReplicas?",
            id="a typo in a key that KEDA resolved",
        ),
        pytest.param(
            {"lendBelow": "0.3"}, "lendBelow", "only with role: training", id="the other role's key"
        ),
        pytest.param(
            {"stableWindow": "60"}, "stableWindow", "got '60'; allowed: a duration", id="no unit"
        ),
        pytest.param(
            {"stableWindow": "2s"},
            "stableWindow",
            "got '2s'; allowed: at least 6 and at most 3600 seconds",
            id="a duration out of range",
        ),
        pytest.param(
            {"targetUtilization": "70"},
            "targetUtilization",
            "got '70'; allowed: above 0 and at most 1 (0.7 or 70%)",
            id="percent without its sign is out of range, not guessed",
        ),
        pytest.param(
            {"maxReplicas": "", "minReplicas": "1"}, "maxReplicas", "got ''", id="an empty text"
        ),
        pytest.param(
            {"rpsTargetFromEnv": "many"},
            "rpsTargetFromEnv",
            "got 'many'; allowed: a number",
            id="a resolved value is named by its own key",
        ),
        pytest.param(
            {"maxReplicas": "5", "maxReplicasFromEnv": "6"},
            "maxReplicas",
            "got both maxReplicas and maxReplicasFromEnv; allowed: one of the two",
            id="stated twice",
        ),
        pytest.param(
            {"minReplicas": "5", "maxReplicas": "3"},
            "minReplicas",
            "got '5'; allowed: at most maxReplicas (3)",
            id="minimum above maximum",
        ),
        pytest.param(
            {"metrics": "queue"},
            "queueTarget",
            "missing, since the queue signal is chosen",
            id="a companion missing",
        ),
        pytest.param(
            {"stepCost": "a=1ms,b=0s,c=1us"}, "stepCost.b", "above 0", id="a part out of range"
        ),
        pytest.param({"role": "train"}, "role", "inference | training", id="no such role"),
        pytest.param({"engine": "vlm"}, "engine", "did you mean vllm?", id="a typo in a name"),
        pytest.param({"prometheus": "us1"}, "prometheus", "did you mean eu1?", id="no such server"),
        pytest.param({"gateway": "kong"}, "gateway", "edge, envoy", id="no such gateway"),
        pytest.param(
            {"gateway": "nginx"},
            "gatewaySelector",
            "missing; state labels of this workload's series at the gateway nginx",
            id="a gateway whose rows do not say whose they are",
        ),
        pytest.param({"arrivalQuery": "sum(up)"}, "arrivalQuery", "a name of letters", id="PromQL"),
        pytest.param(
            {"gateway": "edge", "gatewaySelector": "namespace=other"},
            "gatewaySelector",
            "got namespace=other; allowed: a namespace that gatewayNamespaces permits: "
            "llm, istio-system",
            id="a gateway in somebody else's namespace",
        ),
        pytest.param(
            {"gatewaySelector": "route=chat"},
            "gateway",
            "missing, since gatewaySelector is",
            id="a selector without its gateway",
        ),
        pytest.param(
            {"workload": "CustomServe/chat"},
            "workload",
            "another kind with a selector",
            id="a kind whose pods are not told by name",
        ),
        pytest.param(
            {"model": "/etc/passwd"}, "model", "a model's name such as", id="a path as a model"
        ),
        pytest.param(
            {"model": "meta-llama/Lama-3.1-8B"}, "model", "did you mean", id="no such model"
        ),
        pytest.param({"gpu": "H100"}, "model", "missing, since gpu is", id="a GPU for no model"),
        pytest.param(
            {**LLAMA, "tensorParallel": "3", "gpu": "H100"},
            "tensorParallel",
            "got '3'; allowed: a divisor",
            id="ranks that do not divide the heads",
        ),
        pytest.param(
            {**LLAMA, "blockSize": "0", "gpu": "H100"},
            "blockSize",
            "got '0'; allowed: a whole number of at least 1",
            id="blocks of no tokens",
        ),
        pytest.param(
            {**LLAMA, "engine": "house"},
            "engine",
            "got 'house'; allowed: vllm, sglang, tgi, trtllm",
            id="a model in an engine of unknown rules",
        ),
        pytest.param(
            {"promptTokens": "100:9000"},
            "promptTokens",
            "a 95th percentile of 1 to 3.87 times the mean",
            id="lengths that no law has",
        ),
        pytest.param(
            {"role": "training", "pool": "a10"}, "pool", "did you mean a100?", id="no such pool"
        ),
        pytest.param(
            {"role": "training", "pool": "a100", "poolUnits": "4"},
            "poolUnits",
            "the pool a100 states it; leave it out",
            id="a pool named and stated",
        ),
        pytest.param(
            {"role": "training", "poolUnits": "4"},
            "poolWorkloads",
            "missing; state it, or pool: a configured pool's name",
            id="a pool without online workloads",
        ),
        pytest.param(
            {"role": "training", "pool": "a100", "workload": "Job/train"},
            "workload",
            "the ReclaimableJob that refers to it",
            id="KEDA does not scale a Job",
        ),
    ],
)
def test_what_is_wrong_is_named_as_it_was_typed(metadata, field, message):
    found = problems(**metadata)

    assert list(found) == [field]
    assert message in found[field]


def test_every_problem_comes_at_once():
    assert list(
        problems(
            maxReplica="5",
            stableWindow="60",
            targetUtilization="70",
            engine="vlm",
            stepCost="a=1ms,b=0s,c=0s",
        )
    ) == ["maxReplica", "stepCost.b", "stepCost.c", "stableWindow", "targetUtilization", "engine"]


def test_what_follows_from_a_problem_is_not_told_twice():
    assert list(problems(metrics="queue", queueTarget="few")) == ["queueTarget"]
    assert list(problems(minReplicas="5", maxReplicas="x")) == ["maxReplicas"]


def test_a_server_is_needed_only_where_it_is_named():
    bare = parse_trigger("llm", "chat", {}, Configuration())

    assert bare.workload.prometheus == "default"


shares = st.floats(0.01, 0.99)
seconds = st.floats(60, 3600) | st.integers(60, 3600).map(float)
numbers = st.floats(1.01, 1e6)
counts = st.integers(1, 1000)
latencies = st.builds(LatencyTarget, seconds=shares, percentile=st.none() | st.floats(50, 99.9))
INFERENCE = st.builds(
    InferencePolicy,
    metrics=st.lists(
        st.sampled_from([SignalName.WORK, SignalName.CONCURRENCY, SignalName.KV_CACHE]),
        min_size=1,
        unique=True,
    ).map(tuple),
    phase=st.sampled_from([Phase.BOTH, Phase.DECODE]),
    max_concurrency=st.none() | counts,
    overflow_probability=shares,
    target_utilization=shares,
    itl_target=st.none() | latencies,
    ttft_target=st.none() | latencies,
    step_cost=st.none() | st.builds(StepCost, a_s=shares, b_s=shares, c_s=shares),
    stable_window_s=seconds,
    panic_window_percentage=st.floats(1, 100),
    max_scale_up_rate=numbers,
    scale_down_delay_s=st.none() | seconds,
    hpa_tolerance=st.none() | shares,
    forecast=st.sampled_from(Forecast),
    fast_path=st.booleans(),
    prompt_tokens=st.none()
    | st.builds(
        lambda mean, ratio: TokenLength(mean=mean, p95=mean * ratio),
        st.floats(1, 1e5),
        st.floats(1.01, 3.8),
    ),
    tier_group=st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1),
    tier_cost=numbers,
)
LENDING = st.builds(
    LendingPolicy,
    pool_units=st.integers(8, 64),
    reserved_units=st.integers(0, 8),
    units_per_worker=counts,
    lend_below=st.floats(0.01, 0.4),
    reclaim_above=st.floats(0.5, 1),
    lend_delay_s=seconds,
    max_workers=st.none() | counts,
    resizable=st.booleans(),
    headroom_units=st.none() | st.integers(0, 9),
)


@pytest.mark.parametrize("of", ["itl", "ttft"])
def test_only_a_percentile_makes_the_histogram_be_read(of):
    mean, tail = parse(**{f"{of}Target": "100ms"}), parse(**{f"{of}Target": "100ms@p99"})

    read = [getattr(one.workload, f"{of}_buckets") for one in (mean, tail)]
    assert read == [False, True]
    assert tail.workload.itl_buckets + tail.workload.ttft_buckets == 1
    assert isinstance(tail.policy, InferencePolicy)
    target = getattr(tail.policy, f"{of}_target")
    assert target == LatencyTarget(seconds=0.1, percentile=99.0)


@given(INFERENCE)
def test_an_inference_policy_survives_being_written(policy):
    itl, ttft = (
        target is not None and target.percentile is not None
        for target in (policy.itl_target, policy.ttft_target)
    )
    workload = Workload(
        namespace="llm",
        scaled_object="chat",
        kind="StatefulSet",
        name="x",
        itl_buckets=itl,
        ttft_buckets=ttft,
    )
    trigger = Trigger(role=Role.INFERENCE, workload=workload, policy=policy)

    assert parse(**render_trigger(trigger)) == trigger


@given(LENDING)
def test_a_lending_policy_survives_being_written(policy):
    workload = Workload(namespace="llm", scaled_object="chat", kind="ReclaimableJob", name="x")
    trigger = Trigger(
        role=Role.TRAINING, workload=workload, policy=policy, pool_members=("llm/chat",)
    )

    assert parse(**render_trigger(trigger)) == trigger


KEYS = st.sampled_from(
    [
        "role", "metrics", "maxReplicas", "stableWindow", "targetUtilization", "stepCost", "pool",
        "poolWorkloads", "selector", "workload", "gateway", "hpaTolerance", "x", "xFromEnv",
    ]
)  # fmt: skip
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["training", "1", "-1", "0.5", "60s", "auto", "9" * 400, "1e308", "1e999", "a=1s,b=1s,c=1s"]
)


@given(st.dictionaries(KEYS, TEXTS))
def test_any_metadata_parses_or_is_refused_in_words(metadata):
    outcome = parsed_or_refused(metadata)

    if isinstance(outcome, Trigger):
        numbers = [v for v in dataclasses.astuple(outcome.policy) if isinstance(v, float)]
        assert all(map(math.isfinite, numbers))
    else:
        assert outcome.problems
        assert {p.field.partition(".")[0] for p in outcome.problems} <= {*metadata, *REQUIRED}


REQUIRED = ("poolUnits", "poolWorkloads", "rpsTarget", "queueTarget", "gateway")


def parsed_or_refused(metadata: dict[str, str]) -> Trigger | ConfigurationError:
    try:
        return parse_trigger("llm", "chat", metadata, CONFIGURATION)
    except ConfigurationError as error:
        return error
