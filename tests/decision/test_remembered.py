"""What is remembered with a sample is what would be worked out anew, and dies with it."""

import dataclasses
import gc
import pickle
import weakref

from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.decide import decide
from scaler.decision.policy import SignalName
from scaler.decision.rates import increase
from scaler.decision.remembered import over_pairs, per_pair, per_sample
from scaler.decision.sample import Sample
from scaler.decision.window import Window
from tests.builders import inference, replica, sample, sample_of, window

READINGS = st.one_of(st.none(), st.integers(0, 60).map(float))
POLICY = inference(
    max_concurrency=None,
    metrics=tuple(SignalName),
    itl_target_s=0.1,
    queue_target=2.0,
    rps_target=1.0,
)


@st.composite
def samples(draw: st.DrawFn, at_s: float) -> Sample:
    names = draw(st.sets(st.sampled_from(["a", "b", "c"])))
    replicas = [
        replica(
            name,
            running=draw(READINGS),
            waiting=draw(READINGS),
            requests_finished_total=draw(READINGS),
            prompt_tokens_total=draw(READINGS),
            generation_tokens_total=draw(READINGS),
            steps_total=draw(READINGS),
            itl_sum_s=draw(READINGS),
            itl_count=draw(READINGS),
            kv_cache_usage=0.5,
        )
        for name in sorted(names)
    ]
    return sample_of(*replicas, at_s=at_s, gateway_in_flight=draw(READINGS))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    count = draw(st.integers(2, 12))
    return window(*(draw(samples(10_000.0 + 5 * k)) for k in range(count)))


def forgetful(one: Window) -> Window:
    """Return an equal window of samples that nobody has read yet."""
    anew = tuple(dataclasses.replace(sample_) for sample_ in one.samples)
    return dataclasses.replace(one, samples=anew)


@given(windows())
def test_a_decision_on_samples_that_were_read_before_is_the_one_on_new_ones(one):
    for end in range(1, len(one.samples) + 1):
        part = dataclasses.replace(one, samples=one.samples[:end])
        every_second = dataclasses.replace(one, samples=one.samples[:end][::2])

        assert decide(part, POLICY) == decide(forgetful(part), POLICY)
        assert decide(every_second, POLICY) == decide(forgetful(every_second), POLICY)


def test_work_is_done_once_for_a_sample():
    asked = []

    @per_sample
    def instant(one: Sample) -> float:
        asked.append(one)
        return one.at_s

    one = sample(7.0)

    assert (instant(one), instant(one), len(asked)) == (7.0, 7.0, 1)


def test_a_pair_is_told_by_both_of_its_samples():
    @per_pair
    def gap_s(before: Sample, after: Sample) -> float:
        return after.at_s - before.at_s

    after = sample(30.0)
    befores = [sample(float(second)) for second in range(20)]

    for _ in range(2):
        assert [gap_s(before, after) for before in befores] == [30.0 - k for k in range(20)]


def test_work_is_done_once_for_a_pair_and_few_pairs_are_remembered():
    asked = []

    @per_pair
    def gap_s(before: Sample, after: Sample) -> float:
        asked.append(before.at_s)
        return after.at_s - before.at_s

    after = sample(30.0)
    befores = [sample(float(second)) for second in range(9)]
    for before in (*befores[:4], *befores[:4]):
        gap_s(before, after)
    assert asked == [0.0, 1.0, 2.0, 3.0]

    for before in befores[4:]:
        gap_s(before, after)
    (answers,) = (kept for kept in after.__dict__.values() if isinstance(kept, dict))
    assert len(answers) == 1  # the ninth: after four and four more the memory begins anew


def test_neighbours_are_asked_about_all_at_once_whether_remembered_or_not():
    asked = []

    @per_pair
    def gap_s(before: Sample, after: Sample) -> float:
        asked.append(after)
        return after.at_s - before.at_s

    row = [sample(float(second)) for second in (0, 1, 3, 6)]
    gap_s(row[1], row[2])

    assert over_pairs(gap_s, row) == over_pairs(gap_s, row) == [1.0, 2.0, 3.0]
    assert len(asked) == 3
    assert over_pairs(gap_s, row[:1]) == []


def test_an_equal_sample_of_another_time_is_not_mistaken_for_the_one_before():
    after = sample_of(replica(requests_finished_total=9.0), at_s=10.0)

    rises = [
        increase(sample_of(replica(requests_finished_total=seen)), after, "requests_finished_total")
        for seen in (4.0, 5.0, 4.0)
    ]

    assert rises == [5.0, 4.0, 5.0]


def test_a_sample_does_not_keep_the_one_before_it():
    before, after = sample(0.0, running=3), sample(5.0, running=4)
    decide(window(before, after), POLICY)
    gone = weakref.ref(before)

    del before
    gc.collect()

    assert gone() is None


def test_what_is_remembered_is_no_part_of_the_value():
    read, unread = sample(0.0, running=3), sample(0.0, running=3)
    decide(window(read), POLICY)

    assert (read, repr(read), hash(read)) == (unread, repr(unread), hash(unread))
    assert pickle.loads(pickle.dumps(read)) == read  # noqa: S301 - our own bytes
