"""What stands where readings should be: another engine's, renamed ones, nothing."""

import pytest

from scaler.configuration import PrometheusServer, ScrapeIntervals
from scaler.decision.decide import decide
from scaler.decision.decision import Reason
from scaler.decision.policy import InferencePolicy
from scaler.errors import NoDataError
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.nearby import Sight, what_is_there
from scaler.readings.prometheus_source import PrometheusSource
from tests.fakes.fake_prometheus import fake_prometheus
from tests.readings.worlds import LLM, NOW_S, STEP_S, busy, row

POD = {"namespace": "serve", "pod": "llm-0"}


@pytest.fixture
async def fake():
    async with fake_prometheus() as running:
        yield running


async def refreshed(fake, workload=LLM, now_s=NOW_S):
    server = PrometheusServer(
        url=fake.url,
        scrape_interval=ScrapeIntervals(engine_s=STEP_S),
        ingestion_delay_s=0.0,
        timeout_s=5.0,
    )
    source = PrometheusSource(server, profiles=shipped_profiles())
    await source.refresh([workload], 60, now_s)
    return source


async def reason(fake, workload=LLM):
    source = await refreshed(fake, workload)
    with pytest.raises(NoDataError) as caught:
        source.window(workload, 60, NOW_S)
    return str(caught.value)


SGLANG = row("sglang:num_running_reqs", 1) + row("sglang:num_queue_reqs", 0)


@pytest.mark.parametrize("exact_names", [False, True])
async def test_the_profile_that_fits_is_named(fake, exact_names):
    fake.exact_names = exact_names
    fake.scrape(NOW_S, SGLANG, **POD)
    said = await reason(fake)
    assert "its pods answer when scraped (1 up) and have no series of vllm" in said
    assert "they have those of sglang" in said
    assert "engine: sglang" in said


@pytest.mark.parametrize(
    ("page", "says"),
    [
        pytest.param(
            row("acme_llm_num_requests_running", 1) + row("acme_llm_num_requests_waiting", 1),
            'renames: {"vllm:": acme_llm_}',
            id="renamed by a rule that is not known",
        ),
        pytest.param(
            row("vllm:num_request_running", 1),
            "the nearest names there are vllm:num_request_running",
            id="nearly the name",
        ),
        pytest.param(row("go_goroutines", 4), "no engine's page", id="something else"),
    ],
)
async def test_what_is_there_instead_is_told(fake, page, says):
    fake.scrape(NOW_S, page, **POD)
    assert says in await reason(fake)


async def test_a_page_with_nothing_but_up_is_told(fake):
    fake.scrape(NOW_S, "", **POD)
    assert "what they expose is no engine's page" in await reason(fake)


async def test_targets_that_are_down_are_told(fake):
    fake.scrape(NOW_S, None, **POD)
    assert "none of their targets (1) answers" in await reason(fake)


async def test_series_under_other_labels_are_shown(fake):
    fake.scrape(NOW_S, busy(), ns_of="serve", pod_of="llm-0")
    said = await reason(fake)
    assert "there are such with ns_of=serve, pod_of=llm-0" in said
    assert "labels: {namespace: ns_of, pod: pod_of} reads them" in said


async def test_of_other_namespaces_nothing_is_told(fake):
    fake.scrape(NOW_S, busy(), namespace="secret", pod="hidden-0")
    said = await reason(fake)
    assert "there are such of others, and none with the namespace serve" in said
    assert "secret" not in said
    assert "hidden" not in said


async def test_series_that_nothing_names_are_told_by_their_labels(fake):
    fake.scrape(NOW_S, busy(), job="static")
    said = await reason(fake)
    assert "no label of a pod or namespace names; they have __name__, engine, job" in said


async def test_nothing_at_all_is_told(fake):
    assert "the server has no series of vllm" in await reason(fake)


async def test_a_workload_of_which_the_cluster_tells_holds_with_the_same_words(fake):
    fake.scrape(NOW_S, SGLANG, **POD)
    cluster = {"namespace": "serve", "statefulset": "llm"}
    fake.scrape(
        NOW_S,
        row("kube_statefulset_replicas", 1, **cluster)
        + row("kube_statefulset_status_replicas_ready", 1, **cluster),
        job="ksm",
    )
    window = (await refreshed(fake)).window(LLM, 60, NOW_S)
    decision = decide(window, InferencePolicy(max_concurrency=16))
    assert decision.reason is Reason.NO_DATA
    assert "engine: sglang" in decision.steps[-1].detail


async def test_a_workload_that_sleeps_is_not_looked_at(fake):
    zero = row("kube_statefulset_replicas", 0, namespace="serve", statefulset="llm")
    fake.scrape(NOW_S, zero, job="ksm")
    await refreshed(fake)
    assert not any(query.startswith(("topk(", "count by")) for query in fake.queries)


async def test_it_is_looked_once_a_minute_and_forgotten_once_it_speaks(fake):
    fake.scrape(NOW_S, SGLANG, **POD)
    source = await refreshed(fake)
    fake.queries.clear()
    await source.refresh([LLM], 60, NOW_S + 5)
    assert not any(query.startswith("count by") for query in fake.queries)
    fake.scrape(NOW_S + 10, busy(), **POD)
    await source.refresh([LLM], 60, NOW_S + 10)
    assert source.window(LLM, 60, NOW_S + 10).instead is None


def test_where_any_engine_would_do_that_is_said():
    sight = Sight(engine="auto", targets=1, up=1, names=frozenset({"foo"}))
    assert "no series of any engine" in what_is_there(sight, shipped_profiles())
