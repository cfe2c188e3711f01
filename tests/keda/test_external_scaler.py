"""KEDA's contract over a real server: values, activity, errors."""

import grpc
import pytest

from scaler.errors import ConfigurationError, NoDataError, SourceError
from scaler.keda.server import ServerOptions
from tests.builders import sample, window
from tests.keda.conftest import METRIC, ref, refused, serve

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def test_the_count_comes_as_exactly_one_value_under_the_name_that_was_asked(bench):
    bench.runs("prod/llm", 4)
    (value,) = (await bench.metrics(ref())).metricValues
    assert (value.metricName, value.metricValue, value.metricValueFloat) == (METRIC, 4, 4.0)
    assert (await bench.scaler.IsActive(ref())).result is True


async def test_zero_leaves_both_value_fields_unset_and_is_inactive(bench):
    bench.runs("prod/llm", 0)
    (value,) = (await bench.metrics(ref())).metricValues
    assert (value.metricValue, value.metricValueFloat) == (0, 0.0)
    assert (await bench.scaler.IsActive(ref())).result is False


@pytest.mark.parametrize(
    "asked",
    [ref(), ref(nonsense="1"), ref(name="", namespace="")],
    ids=["right metadata", "wrong metadata", "no name"],
)
async def test_the_spec_is_constant_and_reads_nothing(bench, asked):
    before = len(bench.source.reads)
    (spec,) = (await bench.scaler.GetMetricSpec(asked)).metricSpecs
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == (METRIC, 1, 1.0)
    assert len(bench.source.reads) == before
    assert bench.board.evaluations() == ()


@pytest.mark.parametrize("method", ["GetMetrics", "IsActive", "StreamIsActive"])
async def test_wrong_metadata_is_told_with_every_problem(bench, method):
    asked = ref(nonsense="1", folly="2")
    with refused(INVALID, "nonsense: got 1", "folly: got 2", "allowed: "):
        await call(bench, method, asked)


@pytest.mark.parametrize("method", ["GetMetrics", "IsActive", "StreamIsActive"])
async def test_no_data_is_an_error_with_its_reason_and_age(bench, method):
    bench.source.windows["prod/llm"] = NoDataError("newest sample is 90 s old", newest_s=9_910)
    with refused(UNAVAILABLE, "newest sample is 90 s old"):
        await call(bench, method, ref())


@pytest.mark.parametrize("method", ["GetMetrics", "IsActive", "StreamIsActive"])
async def test_a_decision_to_hold_is_an_error_with_its_chain_of_reasons(bench, method):
    bench.runs("prod/llm", -1)
    with refused(UNAVAILABLE, "Demand: three would do; NoHistory: 30 s of 60 s"):
        await call(bench, method, ref())


async def test_a_read_that_fails_is_told_beside_the_age(bench):
    bench.source.failure = SourceError("timeout", "no answer from http://prometheus within 5 s")
    with refused(UNAVAILABLE, "no sample of prod/llm", "timeout: no answer from http://prom"):
        await bench.metrics(ref())


async def test_a_source_that_breaks_in_an_unforeseen_way_holds(bench):
    bench.source.failure = RuntimeError("odd")
    with refused(UNAVAILABLE, "internal: RuntimeError; the log"):
        await bench.metrics(ref())


async def test_a_fault_in_one_decision_is_not_another_objects(bench):
    bench.runs("prod/bad", 13)
    bench.runs("prod/good", 2)
    with refused(grpc.StatusCode.INTERNAL, "internal error: ZeroDivisionError"):
        await bench.metrics(ref("bad"))
    assert await bench.count(ref("good")) == 2


async def test_a_fault_of_the_parser_is_one_objects_too(bench):
    for _ in range(2):
        with refused(grpc.StatusCode.INTERNAL, "internal error: ZeroDivisionError"):
            await bench.metrics(ref(crash="seven"))
    bench.runs("prod/llm", 2)
    assert await bench.count(ref()) == 2


@pytest.mark.parametrize("metric", ["", "replicas", "s0-desired-replicas"])
async def test_an_unknown_metric_is_not_found(bench, metric):
    with refused(grpc.StatusCode.NOT_FOUND, repr(metric), METRIC):
        await bench.metrics(ref(), metric)


@pytest.mark.parametrize(
    ("name", "namespace", "field"),
    [
        ("", "prod", "name"),
        ("llm", "", "namespace"),
        ("a/b", "prod", "name"),
        ("X", "prod", "name"),
    ],
)
async def test_what_cannot_be_an_object_is_refused(bench, name, namespace, field):
    with refused(INVALID, f"{field}: got"):
        await bench.metrics(ref(name, namespace))
    assert bench.board.evaluations() == ()


async def test_a_long_message_fits_into_a_status(bench):
    asked = ref(**{f"wrong{number}": "x" * 50 for number in range(300)})
    with refused(INVALID, "wrong", "characters in all"):
        await bench.metrics(asked)


async def test_a_slow_source_delays_only_the_first_answer(bench):
    bench.source.gate.clear()
    bench.runs("prod/llm", 3)
    with refused(UNAVAILABLE, "the first read for prod/llm is not done yet"):
        await bench.metrics(ref())
    bench.source.gate.set()
    assert await bench.count(ref()) == 3


async def test_known_objects_are_answered_while_a_read_hangs(bench):
    bench.runs("prod/llm", 3)
    assert await bench.count(ref()) == 3
    bench.source.gate.clear()
    with refused(UNAVAILABLE, "first read"):
        await bench.metrics(ref("other"))
    assert await bench.count(ref()) == 3


async def test_value_and_activity_of_one_poll_agree_across_a_tick(bench):
    bench.runs("prod/llm", 3)
    assert await bench.count(ref()) == 3
    bench.source.windows["prod/llm"] = window(sample(bench.clock.now_s + 5, running=0))
    await bench.tick()
    assert (await bench.scaler.IsActive(ref())).result is True
    assert (await bench.scaler.IsActive(ref())).result is False


async def test_two_polls_that_interleave_each_get_their_own(bench):
    bench.runs("prod/llm", 3)
    assert await bench.count(ref()) == 3
    bench.source.windows["prod/llm"] = window(sample(bench.clock.now_s + 5, running=0))
    await bench.tick()
    assert await bench.count(ref()) == 0
    assert (await bench.scaler.IsActive(ref())).result is True
    assert (await bench.scaler.IsActive(ref())).result is False


async def test_a_poll_that_never_asked_for_activity_is_forgotten(bench):
    bench.runs("prod/llm", 3)
    assert await bench.count(ref()) == 3
    bench.runs("prod/llm", 0)  # five seconds on
    await bench.tick()
    assert (await bench.scaler.IsActive(ref())).result is False


async def test_the_newest_metadata_counts_at_once(bench):
    bench.runs("prod/llm", 3)
    assert await bench.count(ref()) == 3
    with refused(INVALID, "nonsense"):
        await bench.metrics(ref(nonsense="1"))
    with refused(INVALID, "nonsense"):
        await bench.scaler.IsActive(ref(nonsense="1"))
    assert await bench.count(ref(target="other")) == 3
    assert len(bench.board.evaluations()) == 1


async def test_rpcs_are_measured_by_method_and_code(bench):
    bench.runs("prod/llm", 3)
    await bench.metrics(ref())
    await bench.scaler.GetMetricSpec(ref())
    with refused(INVALID):
        await bench.scaler.IsActive(ref(nonsense="1"))
    text = bench.telemetry.exposition().decode()
    assert 'kvtide_rpc_seconds_count{code="OK",method="GetMetrics"} 1.0' in text
    assert 'kvtide_rpc_seconds_count{code="OK",method="GetMetricSpec"} 1.0' in text
    assert 'kvtide_rpc_seconds_count{code="INVALID_ARGUMENT",method="IsActive"} 1.0' in text


async def call(bench, method: str, asked):
    """Call a method, and read a stream's first message."""
    if method == "GetMetrics":
        return await bench.metrics(asked)
    if method == "IsActive":
        return await bench.scaler.IsActive(asked)
    return await anext(aiter(bench.scaler.StreamIsActive(asked)))


async def test_a_taken_port_is_a_clear_error(bench):
    taken = ServerOptions(address=f"127.0.0.1:{bench.port}")
    with pytest.raises(ConfigurationError, match="grpc_address: port [0-9]+ is in use"):
        async with serve(options=taken):
            pass
