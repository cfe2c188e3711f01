import enum
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.policy import Percent, Share, SignalName, StepCost, Written
from scaler.documents.forms import DURATIONS, form_of, read_instant
from scaler.documents.names import LABELS, MEMBERS, TARGET, ScaleTarget

AUTO_COUNT = Annotated[int | None, Written.AUTO]
AUTO_SHARE = Annotated[Share | None, Written.AUTO]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("60s", 60.0, id="seconds"),
        pytest.param("5m", 300.0, id="minutes"),
        pytest.param("1h30m", 5400.0, id="parts add up"),
        pytest.param("500ms", 0.5, id="milliseconds"),
        pytest.param("1.5h", 5400.0, id="fractions"),
        pytest.param(".5s", 0.5, id="a fraction without its zero, as Go takes it"),
        pytest.param("250us", 0.00025, id="microseconds"),
        pytest.param("250µs", 0.00025, id="microseconds with the micro sign"),
        pytest.param("0", 0.0, id="zero needs no unit"),
    ],
)
def test_durations_are_written_as_in_go(text, seconds):
    assert DURATIONS.read(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("60", id="no unit"),
        pytest.param("-5s", id="negative"),
        pytest.param("1d", id="Go has no days"),
        pytest.param("5 m", id="blank before the unit"),
        pytest.param("1h30", id="the last part without its unit"),
        pytest.param("5M", id="units are lower case"),
        pytest.param("", id="nothing"),
        pytest.param("nan", id="not a number"),
        pytest.param("1e3s", id="exponents"),
    ],
)
def test_a_duration_is_never_guessed(text):
    with pytest.raises(ValueError):
        DURATIONS.read(text)


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        pytest.param(Share, "0.7", 0.7, id="a share as a number"),
        pytest.param(Share, "70%", 0.7, id="a share in percent"),
        pytest.param(Percent, "200", 200.0, id="percent is what it says"),
        pytest.param(Percent, "200%", 200.0, id="percent with its sign is the same number"),
        pytest.param(AUTO_COUNT, "auto", None, id="auto is found from what is seen"),
        pytest.param(AUTO_SHARE, "10%", 0.1, id="auto fields take values too"),
        pytest.param(bool, "true", True, id="switches"),
        pytest.param(int, "8", 8, id="whole numbers"),
        pytest.param(float, "1e3", 1000.0, id="numbers with an exponent"),
        pytest.param(
            tuple[SignalName, ...],
            "work, kv-cache",
            (SignalName.WORK, SignalName.KV_CACHE),
            id="lists, blanks after commas allowed",
        ),
        pytest.param(
            StepCost,
            "a=20ms, b=300us,c=50us",
            StepCost(a_s=0.02, b_s=0.0003, c_s=0.00005),
            id="the parts of a step's cost",
        ),
    ],
)
def test_texts_are_read_by_the_type_of_their_field(hint, text, value):
    assert form_of("field", hint).read(text) == value


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        pytest.param(int, "8.0", id="a count has no decimals"),
        pytest.param(int, "1_000", id="Python's own separators"),
        pytest.param(int, "9" * 16, id="a count beyond any cluster"),
        pytest.param(float, "nan", id="not a number"),
        pytest.param(float, "inf", id="infinity"),
        pytest.param(float, "0x10", id="hexadecimal"),
        pytest.param(bool, "yes", id="yes is no switch"),
        pytest.param(float, "70%", id="percent of nothing in particular"),
        pytest.param(Share, "70 %", id="blank before the sign"),
        pytest.param(float, "auto", id="auto where nothing is found by itself"),
        pytest.param(tuple[SignalName, ...], "work,", id="an empty part of a list"),
        pytest.param(tuple[SignalName, ...], "work,work", id="a signal twice"),
        pytest.param(StepCost, "a=20ms,b=300us", id="a part missing"),
        pytest.param(StepCost, "a=20ms,b=300us,c=1us,c=2us", id="a part twice"),
        pytest.param(StepCost, "20ms,300us,50us", id="parts without names"),
        pytest.param(str, "two\nlines", id="a name over two lines"),
    ],
)
def test_a_typo_is_an_error_and_never_another_value(hint, text):
    with pytest.raises(ValueError):
        form_of("field", hint).read(text)


def test_kubernetes_names_are_read():
    assert TARGET.read("LeaderWorkerSet/chat") == ScaleTarget("LeaderWorkerSet", "chat")
    assert LABELS.read("app=chat,model=org/name-7B") == (("app", "chat"), ("model", "org/name-7B"))
    assert MEMBERS.read("llm/chat,llm/code") == ("llm/chat", "llm/code")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        pytest.param(TARGET, "chat", id="a target without its kind"),
        pytest.param(TARGET, "Deployment/Chat", id="a name that Kubernetes refuses"),
        pytest.param(LABELS, "app.kubernetes.io/name=x", id="a Kubernetes label is none here"),
        pytest.param(LABELS, 'app=x"} or up{a="b', id="PromQL in a label's value"),
        pytest.param(MEMBERS, "chat", id="a member without its namespace"),
    ],
)
def test_names_that_name_nothing_are_refused(form, text):
    with pytest.raises(ValueError):
        form.read(text)


@given(st.floats(0, 1e6, allow_subnormal=False) | st.integers(0, 10**6).map(float))
def test_a_duration_survives_being_written(seconds):
    assert DURATIONS.read(DURATIONS.write(seconds)) == seconds


class Colour(enum.StrEnum):
    RED = "red"
    GREEN = "green"


def test_a_new_enumeration_needs_no_new_form():
    form = form_of("colour", Colour | None)

    assert form.read("green") is Colour.GREEN
    assert form.choices == ("red", "green")


@pytest.mark.parametrize(
    ("text", "at_s"),
    [
        pytest.param("1970-01-01T00:01:00Z", 60.0, id="UTC"),
        pytest.param("1970-01-01T01:01:00+01:00", 60.0, id="another zone"),
        pytest.param("1970-01-01T00:01", 60.0, id="no zone means UTC"),
        pytest.param("1790123100", 1_790_123_100.0, id="Unix seconds that look like a date"),
    ],
)
def test_instants_are_written_as_people_have_them(text, at_s):
    assert read_instant(text) == at_s


def test_an_instant_is_never_guessed():
    with pytest.raises(ValueError):
        read_instant("yesterday")
