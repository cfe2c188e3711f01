"""The days that the policy benchmark plays slower: straight lines, and who is named first."""

import dataclasses
import itertools
import pathlib

import pytest

from benchmarks.policy_days import DAYS, clients, drawn
from benchmarks.policy_days_report import days_table, write_days
from benchmarks.policy_report import Point
from scaler.simulation.traffic import Lengths, Rate

SHORT = Lengths(mean_tokens=10)


def window(number, per_s):
    return Rate(
        start_s=100.0 * number, end_s=100.0 * (number + 1), per_s=per_s, prompt=SHORT, output=SHORT
    )


def test_a_rate_runs_straight_from_middle_to_middle():
    rates = [window(0, 1.0), window(1, 3.0), window(2, 3.0)]
    line = list(drawn(lambda _: iter(rates))(pathlib.Path()))

    assert (line[0].start_s, line[-1].end_s) == (50.0, 250.0)
    assert all(before.end_s == after.start_s for before, after in itertools.pairwise(line))
    assert [rate.per_s for rate in line[:10]] == pytest.approx([1.1 + 0.2 * k for k in range(10)])
    assert {rate.per_s for rate in line[10:]} == {3.0}


def test_the_rates_of_all_clients_add_up(tmp_path):
    (tmp_path / "chunk-0-trace.csv").write_text("0,1.5,2.1,Gamma,1,1\n600,0,0,,0,0\n")
    (tmp_path / "chunk-12-trace.csv").write_text("0,0.5,1,Weibull,1,1\n600,3,1,Gamma,1,1\n")
    (tmp_path / "chunk-0-dataset.json").write_text("{}")

    rates = list(clients(speed_up=6, cv=2.3)(tmp_path))

    assert [(one.start_s, one.end_s, one.per_s) for one in rates] == [(0, 100, 2), (100, 200, 3)]
    assert {one.cv for one in rates} == {2.3}


def ran(policy, gpu_hours, attainment, setting="default"):
    """Return a policy's points, the same on each day."""
    return [
        Point(
            trace=day.name,
            policy=policy,
            setting=setting,
            name=policy,
            seed=1,
            gpu_hours=gpu_hours,
            attainment=attainment,
            ttft_p99_s=1.0,
            most=4,
            lower_bound_gpu_hours=None,
        )
        for day in DAYS
    ]


def test_who_keeps_the_objective_comes_first_then_who_is_cheaper():
    table = days_table(
        [
            *ran("knative", 2.0, 0.98),
            *ran("fixed", 5.0, 0.97, "5"),
            *ran("fixed", 6.0, 0.995, "6"),
            *ran("fixed", 7.0, 1.0, "7"),
            *ran("kvtide", 4.0, 0.999),
            *ran("kvtide", 3.0, 0.991, "target=0.9"),
            *ran("oracle", 2.5, 0.992, "0.99"),
        ]
    )

    rows = table[table.index("|---") :].splitlines()[1:]
    names = [row.split(" | ")[0].removeprefix("| ") for row in rows]
    assert names == [
        "oracle at 99 %",
        "**kvtide** target=0.9",
        "**kvtide**",
        "fixed, the fewest for 99 %",
        "knative",
    ]
    assert "| fixed, the fewest for 99 % |" + " 99.5 % | 6.0 |" * len(DAYS) + " 18.0 |" in table


def test_seeds_are_averaged():
    other = [dataclasses.replace(one, seed=2, gpu_hours=5.0) for one in ran("kvtide", 4.0, 0.999)]

    table = days_table([*ran("kvtide", 4.0, 0.997), *other])

    assert "| **kvtide** |" + " 99.8 % | 4.5 |" * len(DAYS) + " 13.5 |" in table


def test_without_such_a_day_there_is_no_table():
    assert days_table([]) == ""


def test_the_table_is_put_between_its_markers(tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text("before\n<!-- slower days: begin -->old<!-- slower days: end -->\nafter\n")

    write_days(ran("kvtide", 4.0, 0.999), tmp_path)

    text = page.read_text()
    assert text.startswith("before\n<!-- slower days: begin -->\n\n* **")
    assert text.endswith("<!-- slower days: end -->\nafter\n")
    assert "old" not in text
