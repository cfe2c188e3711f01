"""The plot of what was served in time against what it cost."""

import re
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from scaler.report.front import front_plot

SVG = "{http://www.w3.org/2000/svg}"


def row(name, hours, served, *, front=True):
    return {"name": name, "gpu_hours": hours, "slo_attainment": served, "front": front}


def drawn(rows, slo=0.99):
    return ET.fromstring(front_plot(rows, slo=slo, today="today"))  # noqa: S314 -- made here


def test_every_setting_is_a_point_with_its_figures_and_the_front_a_line():
    rows = [
        row("today", 8.0, 0.97, front=False),
        row("a=1 <b>", 5.0, 0.95),
        row("a=2", 9.0, 0.999),
        row("none ended", 1.0, None),
    ]
    svg = drawn(rows)

    told = [one.findtext(f"{SVG}title") for one in svg.iter(f"{SVG}circle")]
    assert told == [
        "today: 97.00 % in time, 8.00 GPU-hours",
        "a=1 <b>: 95.00 % in time, 5.00 GPU-hours",
        "a=2: 99.90 % in time, 9.00 GPU-hours",
    ]
    (line,) = [one.get("d") for one in svg.iter(f"{SVG}path") if "L" in one.get("d", "")]
    assert len(re.findall("[ML]", line)) == 2
    places = [(float(one.get("cx")), float(one.get("cy"))) for one in svg.iter(f"{SVG}circle")]
    assert places[1][0] < places[0][0] < places[2][0]  # dearer is further right
    assert places[1][1] > places[0][1] > places[2][1]  # better is further up


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.none() | st.floats(0, 1)), max_size=6),
    st.floats(0.5, 1),
)
def test_whatever_came_out_is_drawn_within_the_picture(figures, slo):
    rows = [row(f"s{at}", hours, served) for at, (hours, served) in enumerate(figures)]
    for one in drawn(rows, slo).iter(f"{SVG}circle"):
        assert 0 <= float(one.get("cx")) <= 900
        assert 0 <= float(one.get("cy")) <= 320
