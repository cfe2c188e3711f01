"""What an engine was told: versions as people write them, and values that cannot be."""

import math

import pytest

from scaler.capacity.kv_cache import Serving, parse_version
from scaler.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("0.32.0", "0.32.0", id="a release"),
        pytest.param("v0.19.2rc1", "0.19.2", id="a candidate counts as its release"),
        pytest.param("0.19.1rc1.dev301+g60995c05b", "0.19.1", id="a build between releases"),
        pytest.param("0.8.5 V0", "0.8.5 (V0)", id="the first engine, named"),
        pytest.param("0.6.6", "0.6.6 (V0)", id="the first engine, the only one then"),
        pytest.param("0.8", "0.8", id="0.8 had the second by default"),
        pytest.param("V0", "0.8.0 (V0)", id="the first engine without a number"),
        pytest.param("0.33.x fork", "0.33", id="a series"),
        pytest.param("1.x", "1", id="a series of everything"),
        pytest.param("v1", "1", id="a number alone"),
    ],
)
def test_a_version_is_read_from_what_people_write(text: str, shown: str) -> None:
    assert str(parse_version(text)) == shown


def test_versions_are_ordered_by_number() -> None:
    assert parse_version("0.9.2") < parse_version("0.10.0") < parse_version("0.33.x")


def test_a_text_without_a_version_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a release such as 0.32.0"):
        parse_version("latest")


@pytest.mark.parametrize(
    ("flags", "tokens"),
    [
        pytest.param({}, 0, id="nothing drafts"),
        pytest.param({"draft_layers": 3}, 1, id="one at a time, however deep the drafter"),
        pytest.param({"draft_layers": 1, "speculative_tokens": 4}, 4, id="as many as stated"),
        pytest.param({"draft_layers": 1, "speculative_tokens": 0}, 0, id="which may be none"),
    ],
)
def test_tokens_drafted_at_a_time(flags: dict[str, int], tokens: int) -> None:
    assert Serving(**flags).drafted_tokens == tokens  # type: ignore[arg-type]


def test_memory_without_end_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="gpu_memory_gib: got inf"):
        Serving(gpu_memory_gib=math.inf)


def test_a_replica_has_the_gpus_of_all_its_ranks() -> None:
    assert Serving(tensor_parallel=2, pipeline_parallel=3, data_parallel=5).gpus == 30


def test_all_wrong_flags_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Serving(tensor_parallel=0, max_model_len=-1, draft_layers=-1, gpu_memory_gib=0.0)

    fields = {problem.field for problem in caught.value.problems}
    assert fields == {"tensor_parallel", "max_model_len", "draft_layers", "gpu_memory_gib"}
