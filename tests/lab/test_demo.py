"""What the demo plays, and how it is shown."""

import io
import pathlib

import pytest
from rich.console import Console

from scaler.decision.decision import Decision, Reason, Step
from scaler.decision.policy import InferencePolicy
from scaler.documents.trigger import parse_trigger
from scaler.errors import ConfigurationError
from scaler.lab import scene
from scaler.lab.demo import DemoOptions, curtain, programme
from scaler.lab.screen import frame, line
from scaler.lab.stage import Event, Play, Stage
from scaler.telemetry.observed import Observation
from tests.shared_data import shared_data

TRACE = "arrival_s,prompt_tokens,output_tokens\n" + "".join(
    f"{0.5 * n},{300 + n % 7},40\n" for n in range(400)
)


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "steady.csv"
    path.write_text(TRACE)
    return path


@pytest.mark.parametrize("speed", [1.0, 10.0, 60.0])
def test_the_scaled_objects_are_right_at_every_speed(speed):
    made = scene.objects(speed)
    for name, metadata in (
        (scene.FLEET, made.inference_metadata),
        (scene.JOB, made.training_metadata),
    ):
        trigger = parse_trigger(scene.NAMESPACE, name, metadata, made.configuration)
        assert trigger.policy.stable_window_s == max(6.0, 60.0 / speed)
        if isinstance(trigger.policy, InferencePolicy):
            cost = trigger.policy.step_cost
            assert cost is not None
            assert cost.a_s * speed == pytest.approx(scene.ENGINE.step_cost.a_s, rel=1e-3)


def test_what_cannot_be_shortened_is_said():
    assert scene.objects(10.0).kept_long == ()
    assert scene.objects(60.0).kept_long == ("the stable window is 6 s, not 1 s",)


def test_a_trace_is_played_at_its_own_pace_scaled_to_need_most_of_the_pool(trace):
    made = programme(DemoOptions(trace=trace, duration_s=6, speed=10))
    arrivals = list(made.play.arrivals())
    assert arrivals == list(made.play.arrivals())
    assert made.play.length_s == 60
    assert 55 < arrivals[-1].at_s < 61
    work_s = sum(
        a.prompt_tokens * scene.ENGINE.step_cost.c_s + a.output_tokens * scene.ENGINE.step_cost.b_s
        for a in arrivals
    )
    assert work_s / made.play.length_s == pytest.approx(0.8 * scene.UNITS, rel=0.05)
    assert any("steady.csv" in note for note in made.notes)
    assert made.play.replicas == scene.UNITS  # 80 % of twelve, at a utilisation of 0.7


def test_a_stated_scale_is_taken(trace):
    made = programme(DemoOptions(trace=trace, duration_s=6, speed=10, scale=1.0))
    assert len(list(made.play.arrivals())) == 120


def test_rates_are_sampled_and_called_so(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("window_start_s,requests_per_min,prompt_tokens_mean\n0,600,500\n60,600,500\n")
    made = programme(DemoOptions(trace=path, duration_s=12, speed=10, scale=1.0))
    assert len(list(made.play.arrivals())) == pytest.approx(1200, rel=0.15)
    assert any("sampled" in note for note in made.notes)


def test_the_public_code_trace_can_be_played():
    path = shared_data("traces", "azure2023_code.csv.gz")
    made = programme(DemoOptions(trace=path, duration_s=180, speed=10))
    assert len(list(made.play.arrivals())) > 8_000


@pytest.mark.parametrize(
    ("field", "options"),
    [
        pytest.param("--speed", {"speed": 0.0}, id="no speed"),
        pytest.param("--duration", {"duration_s": 0.0}, id="no time"),
        pytest.param("--scale", {"scale": -1.0}, id="fewer than none"),
    ],
)
def test_options_that_cannot_be_played_are_refused(field, options):
    with pytest.raises(ConfigurationError, match=field):
        DemoOptions(**options)


def test_a_trace_that_is_absent_is_named():
    with pytest.raises(ConfigurationError, match="nowhere"):
        programme(DemoOptions(trace=pathlib.Path("nowhere.csv")))


class Clock:
    now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def stage(clock):
    play = Play(
        arrivals=lambda: scene.demand(length_s=300, seed=1), length_s=300.0, speed=10.0, replicas=2
    )
    stage = Stage(play, clock=clock)
    await stage.open()
    yield stage
    await stage.close()


def answer(name, replicas, reason, detail="because"):
    decision = Decision(at_s=1.8e9, steps=(Step(replicas, reason, detail),), load=0.5)
    return Observation(
        namespace=scene.NAMESPACE,
        scaled_object=name,
        role="inference",
        decision=decision,
        reason=reason,
        detail=detail,
        newest_s=1.8e9,
        evaluated_s=1.8e9,
    )


def shown(stage):
    console = Console(width=120, file=io.StringIO())
    console.print(frame(stage, ["status page"]))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_the_screen_shows_who_holds_the_pool_what_is_wanted_and_why(stage, clock):
    assert "not asked about yet" in shown(stage)
    clock.now_s += 12.0
    stage.world.catch_up()
    stage.gpus.collect()
    stage._answers = lambda: (
        answer(scene.FLEET, 3, Reason.DEMAND, "load 2.1 over 6 s"),
        answer(scene.JOB, 8, Reason.LENT),
    )
    stage.events.append(
        Event(at_s=100.0, name="chat", before=2, after=3, who="HPA", reason="Demand")
    )
    text = shown(stage)
    assert "2:00 of 5:00" in text
    assert "Demand: load 2.1 over 6 s" in text
    assert "2 → 3" in text
    assert "▲ training" in text
    assert text.count("■") == 2 + 1  # two that serve, and one in the legend
    assert "chat Demand, finetune Lent" in line(stage)


async def test_the_curtain_puts_fixed_fleets_beside_ours(stage, clock):
    clock.now_s += 30.0
    stage.world.catch_up()
    console = Console(width=100, file=io.StringIO())
    rows = await curtain(stage, console, ["a note"])
    assert [row.name for row in rows] == ["kvtide", "its peak, fixed (2)", "its mean, fixed (2)"]
    ours, peak, _ = (row.score for row in rows)
    assert ours.gpu_hours == pytest.approx(peak.gpu_hours) == pytest.approx(2 * 300 / 3600)
    assert ours.requests == pytest.approx(peak.requests, abs=3)
    assert peak.training_gpu_hours == pytest.approx((scene.UNITS - 2) * 270 / 3600)
    assert isinstance(console.file, io.StringIO)
    assert "a note" in console.file.getvalue()
