"""The demo's report: one page that loads nothing, with what the screen showed and more."""

from scaler.lab.record import Moment
from scaler.report.demo import html


def moment(at_s: float, **more) -> Moment:
    values = {
        "wanted": 3,
        "ready": 2,
        "lent": 4,
        "working": 4,
        "in_flight": 17,
        "waiting": 0,
        "online_load": 0.25,
        "panic": False,
    }
    return Moment(at_s=at_s, **{**values, **more})


PAGE = html(
    title="30 minutes, 1000 requests",
    notes=("a curve <shaped> like a day",),
    figures=(["", "kvtide"], [["training, GPU-hours", "2.17"]]),
    moments=[moment(0), moment(60, panic=True), moment(120, wanted=None), moment(180)],
    events=[("1:00", "chat", "1 → 3", "Panic", "HPA")],
)


def test_it_has_the_figures_the_day_and_what_happened():
    for part in ("training, GPU-hours", "2.17", "1 → 3", "a curve &lt;shaped&gt; like a day"):
        assert part in PAGE
    assert PAGE.count("<svg") == 4


def test_panic_and_holds_are_marked():
    assert ">panic</title>" in PAGE
    assert ">held</title>" in PAGE


def test_time_is_in_hours_and_minutes():
    assert "0:01 h" in PAGE


def test_it_loads_nothing():
    assert "src=" not in PAGE
    assert "http" not in PAGE.replace("http://www.w3.org/2000/svg", "")


def test_a_play_that_ended_at_once_has_a_page_too():
    assert "What happened" in html(title="", notes=(), figures=([""], []), moments=[], events=[])
