"""What the lending page says of figures: against which oracle, and against the run without."""

import dataclasses

import pytest

from benchmarks.lending_report import Oracles, Result, plot, sweeps, table, write_page
from benchmarks.lending_runs import Row

NONE = Row(
    requests=1000,
    training_gpu_hours=0.0,
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
    assert line(table("day", [RESULT]), "kvtide") == [
        *("9.00", "90.0 %", "45.0 %", "10.0 %", "2.100", "+5.0 %", "0.9900", "15.0", "7", "10/30")
    ]


def test_without_lending_there_is_nothing_to_compare():
    assert line(table("day", [RESULT]), "no lending") == [
        *("0.00", "–", "–", "–", "2.000", "–", "0.9900", "15.0", "0", "–/–")
    ]


def seeds(*ours: Row) -> list[Result]:
    """Return a seed for each of our runs."""
    return [
        dataclasses.replace(RESULT, ways={"no lending": NONE, "kvtide": one}, sweep={0.2: one})
        for one in ours
    ]


def test_over_seeds_a_share_is_the_median_with_the_least_and_the_most():
    runs = [dataclasses.replace(OURS, training_gpu_hours=each) for each in (9.0, 8.82, 9.9)]

    cells = line(table("day", seeds(*runs)), "kvtide")

    assert cells[:2] == ["9.00", "90.0 % (88.2 to 99.0)"]
    assert cells[5] == "+5.0 %"  # the same in each


def test_over_seeds_the_time_to_first_token_stands_against_the_same_seed():
    runs = seeds(*(dataclasses.replace(OURS, ttft_p99_s=each) for each in (2.1, 2.058, 2.31)))
    runs[2].ways["no lending"] = dataclasses.replace(NONE, ttft_p99_s=2.31)

    assert line(table("day", runs), "kvtide")[5] == "+2.9 % (+0.0 to +5.0)"


def test_a_seed_in_which_nothing_could_be_lent_has_no_share():
    nothing = dataclasses.replace(MOST, bound=0.0)
    runs = [RESULT, dataclasses.replace(RESULT, oracles=nothing)]

    assert line(table("day", runs), "kvtide")[1] == "90.0 %"
    assert line(table("day", runs[1:]), "kvtide")[1] == "–"


def test_a_threshold_stands_against_all_that_is_free():
    lines = sweeps({"day": [RESULT], "night": [dataclasses.replace(RESULT, sweep={})]}).splitlines()

    assert lines[0] == "| case | `lendBelow` | 0.2 | 0.3 |"
    assert lines[2:] == [
        "| day | training GPU-h of unbound | 20.0 % | 45.0 % |",
        "| day | TTFT p99 against none | +5.0 % | +5.0 % |",
        "| day | told to go | 7 | 7 |",
    ]


def test_without_a_sweep_there_is_no_table_of_thresholds():
    assert sweeps({"night": [dataclasses.replace(RESULT, sweep={})]}) == ""


@pytest.mark.parametrize(
    ("count", "said"), [(1, "Of one seed."), (3, "Medians of 3 seeds, with")], ids=["one", "three"]
)
def test_the_page_says_of_how_many_seeds_it_is(tmp_path, count, said):
    page = tmp_path / "lending-benchmark.md"
    page.write_text("<!-- figures: begin --><!-- figures: end -->")

    write_page({"day": [RESULT] * count}, tmp_path)

    assert said in page.read_text()


@pytest.mark.parametrize("times", [1, 2], ids=["once", "again over what it wrote"])
def test_the_page_keeps_what_is_written_by_hand(tmp_path, times):
    page = tmp_path / "lending-benchmark.md"
    page.write_text(
        "# By hand\n<!-- figures: begin -->\nof last year\n<!-- figures: end -->\nand after\n"
    )

    for _ in range(times):
        write_page({"day": [RESULT]}, tmp_path)

    text = page.read_text()
    assert text.startswith("# By hand\n<!-- figures: begin -->\n")
    assert text.endswith("<!-- figures: end -->\nand after\n")
    assert "of last year" not in text
    assert text.count("**day**") == 1
    assert line(text, "day") == ["90.0 %", "94.7 %", "+5.0 %", "10.0 %"]


def test_the_plot_has_a_line_for_the_rule_and_one_for_us():
    drawn = plot({"day": [RESULT], "night": [dataclasses.replace(RESULT, sweep={})]})

    assert drawn.count("<polyline") == 3
    assert "day: kvtide" in drawn
    assert "night: kvtide" not in drawn
