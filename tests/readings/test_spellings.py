"""Names as collectors rewrite them: read alike, and a copy beside the original counts once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.configuration import Configuration
from scaler.documents.configuration import read_configuration
from scaler.documents.engines import engine_profiles
from scaler.errors import ConfigurationError
from scaler.readings import promql
from scaler.readings.assemble import Assembly
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.spellings import Meaning, Spelling, meaning_of
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from scaler.source import Workload
from tests.readings.worlds import NOW_S, STEP_S, Observer, row


def replica(engine, page, profiles=None):
    """Return what a page with the engine's metrics says of its pod."""
    workload = Workload(
        namespace="serve", scaled_object="llm", kind="StatefulSet", name="llm", engine=engine
    )
    timing = Timing(interval_s={Exporter.ENGINE: STEP_S})
    assembly = Assembly(profiles=profiles or shipped_profiles(), timing=timing)
    observer = Observer(workload, assembly=assembly)
    for age in (1, 0):  # an engine that is left to be found out is asked for more once it is found
        observer.round(NOW_S - age * STEP_S, {"llm-0": page})
    (found,) = observer.window().latest.replicas
    return found


VLLM = {
    "num_requests_running": 3,
    "num_requests_waiting": 1,
    "kv_cache_usage_perc": 0.4,
    "generation_tokens_total": 70,
    "e2e_request_latency_seconds_count": 5,
}


def vllm(prefix="vllm:", **renamed):
    return "".join(
        row(prefix + renamed.get(name, name), value, model_name="m", engine="0")
        for name, value in VLLM.items()
    )


SPELLED = [
    pytest.param(vllm(), id="as exposed"),
    pytest.param(vllm("vllm_"), id="OpenMetrics, legacy names"),
    pytest.param(vllm("kserve_vllm:"), id="KServe's monitors"),
    pytest.param(vllm("kserve_vllm_"), id="KServe's monitors through a collector"),
    pytest.param(
        vllm("vllm_", kv_cache_usage_perc="kv_cache_usage_perc_ratio"), id="OpenTelemetry, units"
    ),
    pytest.param(
        vllm("vllm_", generation_tokens_total="generation_tokens"), id="OpenTelemetry, no suffixes"
    ),
    pytest.param(vllm() + vllm("kserve_vllm:"), id="both copies side by side"),
]


@pytest.mark.parametrize("engine", ["vllm", "auto"])
@pytest.mark.parametrize("page", SPELLED)
def test_vllm_is_read_under_every_name(page, engine):
    found = replica(engine, page)
    assert (found.requests_running, found.requests_waiting, found.kv_cache_usage) == (3, 1, 0.4)
    assert (found.generation_tokens_total, found.e2e_count) == (70, 5)


@pytest.mark.parametrize(
    ("engine", "page"),
    [
        pytest.param(
            "sglang",
            "".join(
                row(f"sglang_{name}", value, model_name="m", tp_rank="0")
                for name, value in {"num_running_reqs": 12, "num_queue_reqs": 4}.items()
            ),
            id="SGLang",
        ),
        pytest.param(
            "lmdeploy",
            "".join(
                row(f"lmdeploy_{name}", value, model_name="m", engine="0")
                for name, value in {"num_requests_running": 12, "num_requests_waiting": 4}.items()
            ),
            id="LMDeploy",
        ),
        pytest.param(
            "sglang",
            "".join(
                row(f"{head}{name}", value, model_name="m", tp_rank="0")
                for head in ("sglang:", "sglang_")
                for name, value in {
                    "num_running_reqs": 12,
                    "num_queue_reqs": 1,
                    "num_decode_prealloc_queue_reqs": 3,
                }.items()
            ),
            id="SGLang's further queues, with copies beside them",
        ),
    ],
)
def test_a_library_that_writes_underscores_is_read(engine, page):
    found = replica(engine, page)
    assert (found.requests_running, found.requests_waiting) == (12, 4)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        pytest.param("vllm:", "acme_llm_", "acme_llm_", id="a beginning is renamed"),
        pytest.param("", "acme_", "acme_vllm:", id="a prefix before all"),
        pytest.param("", "acme_", "acme_vllm_", id="a prefix, and underscores"),
    ],
)
def test_a_renaming_that_is_not_known_is_one_line(old, new, name):
    profiles = engine_profiles(Configuration(renames={old: new}))
    assert replica("vllm", vllm(name), profiles).requests_running == 3


def test_a_name_with_dots_is_one_of_utf_8():
    (vllm,) = [engine_profiles(Configuration(renames={"vllm:": "vllm."}))["vllm"]]
    assert "vllm.num_requests_running" in vllm.readings["requests_running"].metrics
    assert promql.selector(("vllm.x",), [("a", "=", "b")]) == '{__name__="vllm.x",a="b"}'


def test_renames_are_read_from_the_configuration():
    configuration = read_configuration('renames: {"vllm:": acme_llm_}')
    found = replica("vllm", vllm("acme_llm_"), engine_profiles(configuration))
    assert found.requests_running == 3


def test_a_renaming_to_what_is_no_name_is_refused():
    with pytest.raises(ConfigurationError, match=r"renames.vllm:: got 'a b'; allowed: how names"):
        read_configuration('renames: {"vllm:": "a b"}')


NAMES = st.from_regex(r"[a-z]{1,6}:?[a-z_]{1,12}(_total|_sum|_count)?", fullmatch=True)


@given(NAMES, st.sampled_from(Meaning), st.sampled_from([(), ("kserve_",)]))
def test_the_name_as_exposed_comes_first_and_no_name_comes_twice(name, meaning, prefixes):
    names = Spelling(prefixes=prefixes).of(name, meaning)
    assert names[0] == name
    assert len(set(names)) == len(names)
    assert name.replace(":", "_") in names


def test_spelling_a_profile_again_adds_nothing():
    for profile in shipped_profiles().values():
        assert profile.spelled() == profile


def test_counters_shares_and_seconds_are_told_apart():
    meanings = [meaning_of(field) for field in ("steps_total", "itl_sum_s", "kv_cache_usage", "x")]
    assert meanings == [Meaning.COUNTER, Meaning.SECONDS, Meaning.SHARE, Meaning.GAUGE]


def test_a_copy_that_a_collector_exports_again_counts_once():
    workload = Workload(
        namespace="serve", scaled_object="llm", kind="StatefulSet", name="llm", engine="vllm"
    )
    timing = Timing(interval_s={Exporter.ENGINE: STEP_S})
    observer = Observer(workload, assembly=Assembly(profiles=shipped_profiles(), timing=timing))
    pod = {"namespace": "serve", "pod": "llm-0", "instance": "10.0.0.5:8000"}
    observer.scrape(NOW_S, vllm(), **pod)
    moved = "".join(
        line.replace("{", "{" + ",".join(f'{k}="{v}"' for k, v in pod.items()) + ",", 1)
        for line in vllm().splitlines(keepends=True)
    )
    collector = {"namespace": "otel", "pod": "collector-0", "instance": "10.0.0.9:8889"}
    observer.scrape(NOW_S, moved, **collector)
    observer.round(NOW_S, {})
    (one,) = observer.window().latest.replicas
    assert (one.requests_running, one.requests_waiting) == (3, 1)
