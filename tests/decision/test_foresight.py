"""An outlook that is kept is the one that would be worked out anew, and goes when it is not."""

import dataclasses
import math

import pytest

from scaler.decision.decide import decide
from scaler.decision.facts.record import Record
from scaler.decision.foresight import Foresight, with_outlook
from scaler.decision.history import thinned
from scaler.decision.policy import Forecast, InferencePolicy
from scaler.decision.sample import Sample
from scaler.decision.window import Kept, Window
from tests.golden.histories import samples

POLICY = InferencePolicy(lead_time_s=120.0, max_replicas=40)
FINE = 120


class Keeper:
    """Keeps a workload's samples as a source does, an hour of them before the fine ones."""

    def __init__(self, made: list[Sample]) -> None:
        self.fine, self.history = Record(), Record()
        self.left: Sample | None = None
        for one in made:
            self.add(one)

    def add(self, sample: Sample) -> None:
        """Take a sample in; what is no longer fine is thinned."""
        self.fine.add(sample)
        from_s = 60.0 * (math.floor(sample.at_s / 60.0) - FINE * 5 / 60)
        left = self.fine.take_before(math.nextafter(from_s, math.inf))
        self.history.merge(thinned(left, self.left))
        self.left = left[-1] if left else self.left

    def window(self) -> Window:
        """Return what is known now."""
        fine = self.fine.until(math.inf)
        older = self.history.until(fine.samples[0].at_s)
        return Window(
            samples=fine.samples, history=older.samples, interval_s=5.0, kept=Kept(fine, older)
        )


def test_decisions_with_a_kept_outlook_are_those_without():
    made = samples(7, 500)
    keeper, foresight = Keeper(made[:440]), Foresight()
    for one in made[440:]:
        keeper.add(one)
        window = keeper.window()

        assert decide(foresight.given("llm", window, POLICY), POLICY) == decide(window, POLICY)


def test_an_outlook_is_kept_until_the_minute_is_over():
    made = samples(7, 500)
    keeper, foresight = Keeper(made[:440]), Foresight()
    known = []
    for one in made[440:476]:  # three minutes
        keeper.add(one)
        known.append(foresight.given("llm", keeper.window(), POLICY).foreseen)

    assert len({id(one) for one in known}) == len({one.at_s // 60 for one in made[440:476]})


@pytest.mark.parametrize("late_s", [40.0, 400.0, 4000.0], ids=["a minute", "fine", "history"])
def test_a_late_sample_makes_it_anew(late_s):
    keeper, foresight = Keeper(samples(7, 1200)), Foresight()
    window = keeper.window()
    before = foresight.given("llm", window, POLICY)
    record = keeper.fine if late_s < FINE * 5 else keeper.history
    newest = window.latest
    at_s = newest.at_s // 60 * 60 - late_s + 0.5
    record.merge([dataclasses.replace(newest, at_s=at_s)])
    after = foresight.given("llm", keeper.window(), POLICY)

    assert after.foreseen is not before.foreseen
    assert decide(after, POLICY) == decide(keeper.window(), POLICY)


def test_an_outlook_of_another_policy_is_none_of_this_one():
    window = Keeper(samples(7, 500)).window()
    given = Foresight().given("llm", window, POLICY)
    other = dataclasses.replace(POLICY, forecast_quantile=0.5)

    for policy in (other, dataclasses.replace(POLICY, forecast=Forecast.OFF)):
        assert decide(given, policy) == decide(window, policy)
    assert with_outlook(given, POLICY, 60.0).foreseen == with_outlook(window, POLICY, 60.0).foreseen


def test_what_is_told_of_other_readings_is_worked_out_anew():
    window = Keeper(samples(7, 500)).window()
    given = Foresight().given("llm", window, POLICY)
    earlier = given.until(window.samples[-20].at_s)
    assert earlier is not None

    assert decide(earlier, POLICY) == decide(dataclasses.replace(earlier, foreseen=None), POLICY)


@pytest.mark.parametrize(
    "policy",
    [
        dataclasses.replace(POLICY, forecast=Forecast.OFF),
        dataclasses.replace(POLICY, lead_time_s=None),
        dataclasses.replace(POLICY, forecast=Forecast.TREND),
    ],
)
def test_nothing_is_kept_where_no_forecast_looks_at_minutes(policy):
    window = Keeper(samples(7, 300)).window()

    assert Foresight().given("llm", window, policy) is window


def test_an_outlook_of_a_workload_that_is_gone_is_forgotten():
    window, foresight = Keeper(samples(7, 300)).window(), Foresight()
    first = foresight.given("llm", window, POLICY).foreseen
    foresight.keep_only(["other"])

    assert foresight.given("llm", window, POLICY).foreseen is not first
