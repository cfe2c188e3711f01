"""Pages as real engines wrote them: before, during and after their first requests."""

import pytest

from tests.readings.test_engines import observer_of
from tests.readings.worlds import NOW_S, STEP_S
from tests.shared_data import shared_data

READ = ("requests_running", "requests_waiting", "kv_blocks", "kv_capacity_tokens")


@pytest.mark.parametrize(
    ("engine", "page", "expected"),
    [
        pytest.param("vllm", "vllm/api2-idle.txt", (0, 0, 4096, 524_288), id="two API servers"),
        pytest.param(
            "vllm",
            "vllm/dp2-idle-fresh.txt",
            (0, 0, 8192, 1_048_576),
            id="two data-parallel engines before their first request",
        ),
        pytest.param(
            "vllm", "vllm/dp2-during.txt", (None, None, 8192, 1_048_576), id="both at work"
        ),
        pytest.param("ray-vllm", "ray/ray-fresh.txt", (0, 0, None, None), id="Ray"),
        pytest.param("ray-vllm", "ray/ray-idle-after-load.txt", (0, 0, None, None), id="Ray, idle"),
        pytest.param(
            "vllm", "dynamo/mocker-before.txt", (0, None, None, None), id="Dynamo's mocker"
        ),
    ],
)
def test_an_engine_s_page_is_read_as_it_was_written(engine, page, expected):
    text = shared_data("captures", *page.split("/")).read_text(encoding="utf-8")
    observer = observer_of(engine)
    for age in (1, 0):
        observer.round(NOW_S - age * STEP_S, {"llm-0": text})
    (found,) = observer.window().latest.replicas
    for field, value in zip(READ, expected, strict=True):
        if value is not None:
            assert getattr(found, field) == value, field
    assert found.requests_running is not None
