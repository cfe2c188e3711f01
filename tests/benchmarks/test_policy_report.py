"""What the policy benchmark makes of its points: fronts, goals, the page."""

import pytest

from benchmarks.policy_report import (
    Point,
    Standing,
    cheapest,
    front,
    goals,
    lasting,
    print_goals,
    write_page,
)

TRACE = "azure2023-conv"


def point(policy, gpu_hours, attainment, *, setting="default", seed=1):
    return Point(
        trace=TRACE,
        policy=policy,
        setting=setting,
        name=f"{policy} {setting}",
        seed=seed,
        gpu_hours=gpu_hours,
        attainment=attainment,
        ttft_p99_s=1.0,
        most=4,
        lower_bound_gpu_hours=2.0 if policy == "oracle" else None,
    )


def standing(*points):
    return Standing.of(TRACE, points)


def test_the_front_is_what_no_other_point_beats():
    dear, cheap, beaten = point("a", 4, 0.99), point("a", 2, 0.9), point("a", 3, 0.85)

    assert front([dear, beaten, cheap]) == [cheap, dear]


def test_the_cheapest_at_a_level_reaches_it():
    points = [point("a", 4, 0.999), point("a", 3, 0.99), point("a", 2, 0.98)]

    assert cheapest(points, 0.99) == points[1]
    assert cheapest(points, 0.9999) is None


@pytest.mark.parametrize(
    ("rival", "is_beyond"),
    [
        pytest.param(point("knative", 5.0, 0.99), False, id="dearer for the same"),
        pytest.param(point("knative", 4.0, 0.98), False, id="less for the same cost"),
        pytest.param(point("knative", 4.0, 0.99), True, id="on our front"),
        pytest.param(point("knative", 3.0, 0.95), True, id="cheaper than any of ours that good"),
        pytest.param(point("knative", 9.0, 0.999), True, id="better than all of ours"),
        pytest.param(point("knative", 1.0, 0.50), False, id="too bad to count"),
    ],
)
def test_a_rival_is_beyond_our_front(rival, is_beyond):
    own = [point("kvtide", 4.0, 0.99), point("kvtide", 2.0, 0.94)]

    assert bool(standing(rival, *own).beyond()) is is_beyond


def test_all_goals_met_are_said_to_be():
    ours, rival = point("kvtide", 4.0, 0.999), point("knative", 5.0, 0.99)

    said = goals(standing(ours, rival, point("oracle", 3.5, 0.99)))

    assert ["missed" in goal for goal in said] == [False, False, False]
    assert "99 %: 20 % fewer, 4.00" in said[1]
    assert "1.14 x" in said[2]


def test_goals_missed_are_said_with_the_figures():
    ours, rival = point("kvtide", 4.5, 0.99), point("knative", 4.0, 0.999)

    said = goals(standing(ours, rival, point("oracle", 3.5, 0.99)))

    assert all("missed" in goal for goal in said)
    assert "knative default (99.90 % at 4.00)" in said[0]
    assert "we do not reach it" in said[1]
    assert "1.29 x" in said[2]


def test_what_lasts_reaches_a_level_with_each_seed():
    lucky = [
        point("kvtide", 2.0, share, setting="lucky", seed=k) for k, share in ((1, 1), (2, 0.9))
    ]
    steady = [
        point("kvtide", hours, 0.99, setting="steady", seed=k) for k, hours in ((1, 3), (2, 4))
    ]
    dear = [point("kvtide", 9.0, 1.0, setting="dear", seed=k) for k in (1, 2)]
    once = point("kvtide", 1.0, 1.0, setting="played once")

    assert lasting([*dear, *lucky, *steady, once], 2, 0.99) == steady
    assert lasting(lucky, 2, 0.99) == []


@pytest.mark.parametrize(
    ("attainment", "said"),
    [
        (0.992, "with each of 2 seeds: default, 4.00 GPU-hours and 1.25 x the oracle on average"),
        (0.98, "with each of 2 seeds: none"),
    ],
)
def test_what_lasts_is_said_beside_the_goals(attainment, said, capsys):
    ours = [point("kvtide", 4.0, 0.999), point("kvtide", 4.0, attainment, seed=2)]
    oracles = [point("oracle", hours, 0.99, seed=k) for k, hours in ((1, 3.1), (2, 3.3))]

    print_goals([*ours, *oracles, point("knative", 5.0, 0.99)])
    assert said in capsys.readouterr().out

    print_goals([*ours, oracles[0], point("knative", 5.0, 0.99)])
    assert "seeds" not in capsys.readouterr().out


def test_other_seeds_are_not_in_the_sweep():
    assert standing(point("kvtide", 1.0, 1.0, seed=2)).own == ()


def test_the_page_keeps_what_is_around_its_markers(tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text("before\n<!-- figures: begin -->\nstale\n<!-- figures: end -->\nafter\n")

    write_page(
        [point("kvtide", 4.0, 0.99), point("kvtide", 5.0, 0.98, seed=2), point("fixed", 6.0, 1.0)],
        tmp_path,
    )

    text = page.read_text()
    assert text.startswith("before\n<!--")
    assert text.endswith("-->\nafter\n")
    assert "stale" not in text
    assert "| **kvtide** | 4.50 ± 0.50 | 98.50 % ± 0.50 |" in text
    assert (tmp_path / f"benchmarks-{TRACE}.svg").read_text().startswith("<svg")


@pytest.mark.parametrize("one", [point("kvtide", 1.0, 1.0), point("knative", 1.0, 1.0)])
def test_without_both_sides_no_goal_is_said_to_be_met(one):
    assert "met" not in " ".join(goals(standing(one, point("oracle", 1.0, 1.0))))


def test_policies_at_their_defaults_are_told_by_the_worst_that_they_do(tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text("<!-- figures: begin -->\n<!-- figures: end -->\n", encoding="utf-8")
    points = [
        point("calm", 3.0, 0.96),
        point("calm", 4.0, 0.98, seed=2),
        point("eager", 9.0, 0.99),
        point("calm", 1.0, 1.0, setting="tuned"),
    ]
    write_page(points, tmp_path)

    text = page.read_text(encoding="utf-8")
    assert "| eager | 99.0 | 9.0 |\n| calm | 97.0 | 3.5 |\n" in text


def test_the_goals_at_a_glance(tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text("<!-- figures: begin -->\n<!-- figures: end -->\n", encoding="utf-8")
    points = [
        point("kvtide", 4.0, 0.992),
        point("knative", 5.0, 0.99),
        point("fixed", 6.0, 0.996),
        point("oracle", 3.5, 0.99),
    ]
    write_page(points, tmp_path)

    text = page.read_text(encoding="utf-8")
    saved = " | ".join(["**-20 %**"] * 4)
    assert f"| {TRACE} | 1 | {saved} | – | alone | -30 % | **1.14** |\n" in text
