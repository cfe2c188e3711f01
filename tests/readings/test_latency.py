"""Files of measured steps, and what they tell of an engine's speed."""

import random

import pytest

from scaler.errors import ConfigurationError
from scaler.readings.latency import MOST_TOLD, measured_steps

A_S, B_S, C_S = 0.0075, 44e-6, 25e-6
BATCHES, PROMPTS = (1, 8, 32, 64, 128, 256), (0, 256, 1024)


def written(tmp_path, rows, header="batch,prompt_tokens,latency_s"):
    path = tmp_path / "steps.csv"
    lines = (header, *(",".join(map(str, row)) for row in rows))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def law(batch, prompt):
    return A_S + B_S * batch + C_S * prompt


def grid(noise=0.0, seed=1):
    rng = random.Random(seed)
    return [
        (batch, prompt, law(batch, prompt) * rng.gauss(1, noise))
        for batch in BATCHES
        for prompt in PROMPTS
    ]


def test_steps_by_the_law_give_its_costs(tmp_path):
    seen = measured_steps(written(tmp_path, grid()))

    assert seen.rows == len(BATCHES) * len(PROMPTS)
    assert seen.cost.a_s == pytest.approx(A_S)
    assert seen.cost.b_s == pytest.approx(B_S)
    assert seen.cost.c_s == pytest.approx(C_S)
    assert seen.largest_error == pytest.approx(0, abs=1e-6)


def test_noise_shows_as_error_and_hardly_in_the_costs(tmp_path):
    seen = measured_steps(written(tmp_path, grid(noise=0.05)))

    assert seen.cost.a_s == pytest.approx(A_S, rel=0.1)
    assert seen.cost.c_s == pytest.approx(C_S, rel=0.1)
    assert 0.01 < seen.median_error < 0.06
    assert seen.median_error < seen.largest_error < 0.3


def test_a_mean_of_many_steps_counts_as_many(tmp_path):
    """Two stray rows of one step each, among rows that are means of a thousand."""
    rows = [(*row, 1000) for row in grid()]
    stray = [(64, 0, 10 * law(64, 0), 1), (128, 0, 10 * law(128, 0), 1)]
    path = written(tmp_path, [*rows, *stray], "batch,prompt_tokens,latency_s,steps")

    seen = measured_steps(path)

    assert seen.cost.a_s == pytest.approx(A_S, rel=0.001)
    assert seen.largest_error == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(grid()[:7], id="seven rows"),
        pytest.param([(n, 0, law(n, 0)) for n in range(1, 30)], id="no prompt tokens at all"),
        pytest.param([(8, p, law(8, p)) for p in range(0, 900, 30)], id="one batch only"),
        pytest.param([(n, p, 0.02) for n, p, _ in grid()], id="latency that does not depend"),
    ],
)
def test_what_cannot_tell_the_costs_apart_is_refused(tmp_path, rows):
    with pytest.raises(ConfigurationError, match=r"tell a \+ b·batch \+ c·prompt_tokens apart"):
        measured_steps(written(tmp_path, rows))


@pytest.mark.parametrize(
    ("row", "field"),
    [
        pytest.param((0, 0, 0.01), "batch", id="a step of nobody"),
        pytest.param((4, -1, 0.01), "prompt_tokens", id="less than no tokens"),
        pytest.param((4, 0, 0), "latency_s", id="a step in no time"),
        pytest.param((4, 0, "nan"), "latency_s", id="not a number"),
        pytest.param((4, 0, "12 ms"), "latency_s", id="another unit"),
        pytest.param((4, 0), "latency_s", id="a row cut off"),
    ],
)
def test_a_wrong_value_is_named_with_its_row(tmp_path, row, field):
    path = written(tmp_path, [*grid(), row])

    with pytest.raises(ConfigurationError, match=f"row 19, {field}: got"):
        measured_steps(path)


def test_every_wrong_value_is_named_at_once(tmp_path):
    with pytest.raises(ConfigurationError) as raised:
        measured_steps(written(tmp_path, [(0, -1, 0.01), (1, 0, "fast")]))

    assert len(raised.value.problems) == 3


def test_a_header_without_a_column_is_refused(tmp_path):
    path = written(tmp_path, [(1, 0.01)], header="batch,latency_ms")

    with pytest.raises(ConfigurationError, match="the header lacks prompt_tokens, latency_s"):
        measured_steps(path)


def test_a_missing_file_is_a_users_mistake(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        measured_steps(tmp_path / "none.csv")


@pytest.mark.parametrize("number", ["nan", "inf", "1e308", "-1"])
def test_no_number_that_cannot_be_measured_is_taken(tmp_path, number):
    with pytest.raises(ConfigurationError, match="row 1, latency_s: got"):
        measured_steps(written(tmp_path, [(1, 0, number)]))


def test_of_a_file_that_is_wrong_throughout_the_first_hundred_fields_are_told(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        measured_steps(written(tmp_path, [("x", "x", "x")] * 1000))
    assert len(caught.value.problems) == MOST_TOLD
