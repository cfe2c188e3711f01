"""What the lending page says of figures: against which oracle, and against the run without."""

import dataclasses

import pytest

from benchmarks.lending_report import Oracles, Result, Row, plot, table, write_page

NONE = Row(
    requests=1000,
    training_gpu_hours=0.0,
    lent_gpu_hours=0.0,
    lost_gpu_hours=0.0,
    ttft_p99_s=2.0,
    slo=0.99,
    inference_gpu_hours=15.0,
    told_to_go=0,
    reclaim_p50_s=None,
    reclaim_p99_s=None,
)
OURS = dataclasses.replace(
    NONE,
    training_gpu_hours=9.0,
    lost_gpu_hours=1.0,
    ttft_p99_s=2.1,
    told_to_go=7,
    reclaim_p50_s=10.0,
    reclaim_p99_s=30.0,
)
MOST = Oracles(bound=10.0, unbound=20.0, trained=9.5)
RESULT = Result(
    highest_load=0.8,
    oracles=MOST,
    by_share={0.2: dataclasses.replace(MOST, bound=5.0), 0.3: MOST},
    ways={"no lending": NONE, "kvtide": OURS},
    sweep={0.2: dataclasses.replace(OURS, training_gpu_hours=4.0), 0.3: OURS},
)


def line(text: str, way: str) -> list[str]:
    found = next(one for one in text.splitlines() if one.startswith(f"| {way} |"))
    return [cell.strip() for cell in found.strip("|").split("|")][1:]


def test_a_way_stands_against_both_oracles_and_the_run_without():
    assert line(table("day", RESULT), "kvtide") == [
        *("9.00", "90.0 %", "45.0 %", "10.0 %", "2.100", "+5.0 %", "0.9900", "15.0", "7", "10/30")
    ]


def test_without_lending_there_is_nothing_to_compare():
    assert line(table("day", RESULT), "no lending") == [
        *("0.00", "–", "–", "–", "2.000", "–", "0.9900", "15.0", "0", "–/–")
    ]


def test_a_threshold_stands_against_the_oracle_of_that_threshold():
    text = table("day", RESULT)

    assert line(text, "`lendBelow` 0.2")[1] == "80.0 %"
    assert "`lendBelow` 0.3" not in text  # the default has its own row


@pytest.mark.parametrize("times", [1, 2], ids=["once", "again over what it wrote"])
def test_the_page_keeps_what_is_written_by_hand(tmp_path, times):
    page = tmp_path / "lending-benchmark.md"
    page.write_text(
        "# By hand\n<!-- figures: begin -->\nof last year\n<!-- figures: end -->\nand after\n"
    )

    for _ in range(times):
        write_page({"day": RESULT}, tmp_path)

    text = page.read_text()
    assert text.startswith("# By hand\n<!-- figures: begin -->\n")
    assert text.endswith("<!-- figures: end -->\nand after\n")
    assert "of last year" not in text
    assert text.count("**day**") == 1
    assert line(text, "day") == ["90.0 %", "94.7 %", "+5.0 %", "10.0 %"]


def test_the_plot_has_a_line_for_the_rule_and_one_for_us():
    drawn = plot({"day": RESULT, "night": dataclasses.replace(RESULT, sweep={})})

    assert drawn.count("<polyline") == 3
    assert "day: kvtide" in drawn
    assert "night: kvtide" not in drawn
