"""Plots: gaps stay gaps, and peaks survive being thinned."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.report.plot import Band, Mark, lines, stepped, thinned


def strokes(svg):
    """Return the points of every line that is drawn."""
    return re.findall('<polyline points="([^"]*)"', svg)


def test_a_gap_is_neither_bridged_nor_drawn_as_zero():
    points = [(0.0, 4.0), (60.0, 4.0), (120.0, None), (180.0, 4.0), (240.0, 4.0)]

    pieces = strokes(lines({"ran": points}, title="Replicas"))

    heights = {re.split("[, ]", piece)[1] for piece in pieces}
    assert len(pieces) == 2
    assert len(heights) == 1


def test_a_point_alone_between_gaps_is_seen():
    points = [(0.0, None), (60.0, 3.0), (120.0, None)]

    assert len(strokes(lines({"ran": points}, title="Replicas"))) == 1


def test_a_count_stands_until_it_changes_and_is_no_slope():
    points = [(0.0, 2.0), (60.0, 2.0), (120.0, 5.0), (180.0, None), (240.0, 1.0)]

    assert stepped(points) == [*points[:2], (120.0, 2.0), *points[2:]]


def test_a_change_is_marked_where_it_was_and_which_way():
    marks = [Mark(at=at, name=f"at {at:g}", upwards=up) for at, up in ((30.0, True), (90.0, False))]

    svg = lines({"ran": [(0.0, 1.0), (120.0, 1.0)]}, title="Replicas", marked=marks)

    tips = re.findall(r'<polygon points="([\d.]+),([\d.]+) [\d.]+,([\d.]+) .*?<title>(at \d+)', svg)
    assert [name for *_, name in tips] == ["at 30", "at 90"]
    assert [float(tip) < float(base) for _, tip, base, _ in tips] == [True, False]
    assert float(tips[0][0]) < float(tips[1][0])


def test_a_moment_of_the_clock_has_times_as_well():
    svg = lines({"ran": [(1000.0, 1.0), (1038.0, 1.0)]}, title="Replicas")

    assert re.findall(r">(\d\d:\d\d:\d\d)<", svg) == [
        "00:16:40",
        "00:16:50",
        "00:17:00",
        "00:17:10",
    ]


@pytest.mark.parametrize("width", [360, 900])
def test_what_stands_above_has_its_own_room(width):
    names = ("load", "stable average", "panic average", "target of what is ready", "panic from")
    series = {name: [(0.0, 1.0), (3600.0, 2.0)] for name in names}
    bands = [
        Band(since=at, until=at + 60, name=name, colour="red")
        for at, name in ((3500.0, "at the maximum"), (900.0, "panic"), (960.0, "held"))
    ]

    svg = lines(series, title="Load against target", up="replicas", marked=bands, size=(width, 240))

    told = re.findall(r'<text x="([\d.]+)" y="(\d+)"[^>]*>([^<]+)', svg)
    named = sorted((int(y), float(x), text) for x, y, text in told if text in names)
    assert {text for *_, text in named} == set(names)
    for (y, x, text), (other_y, other_x, _) in itertools.pairwise(named):
        assert y != other_y or other_x > x + 6 * len(text)
    of_bands = [(float(x), text) for x, _, text in told if text in {one.name for one in bands}]
    assert [text for _, text in of_bands] == ["panic", "at the maximum"]  # no room for the third
    assert of_bands[-1][0] + 6 * len("at the maximum") < width
    field = float(re.findall(r'y="([\d.]+)"[^>]*fill-opacity="0.16"', svg)[0])
    assert max(y for y, *_ in named) < field


def test_nothing_recorded_is_said():
    assert "nothing was recorded" in lines({"ran": [(0.0, None)]}, title="Replicas")


def test_names_are_text_and_no_markup():
    svg = lines({"<b>": [(0.0, 1.0), (1.0, 2.0)]}, title="a & b")

    assert len(strokes(svg)) == 1
    assert "<b>" not in svg


@given(st.lists(st.none() | st.integers(0, 50).map(float), min_size=1, max_size=300))
def test_thinning_keeps_the_extremes_in_order(values):
    points = [(float(at), value) for at, value in enumerate(values)]

    kept = thinned(points, 40)

    known = [value for value in values if value is not None]
    left = [y for _, y in kept if y is not None]
    assert len(kept) <= 42
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)
    assert set(kept) <= set(points)
    assert (min(left, default=None), max(left, default=None)) == (
        min(known, default=None),
        max(known, default=None),
    )
