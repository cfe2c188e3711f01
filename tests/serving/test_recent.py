"""What was answered a moment ago, what kvtide recorded of itself, and who holds what."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from scaler.decision.decide import decide
from scaler.decision.decision import Decision, Reason, Step
from scaler.decision.policy import InferencePolicy
from scaler.decision.pool import Member, Node, PoolWindow
from scaler.report.moments import Moment
from scaler.serving.history import events
from scaler.serving.own_metrics import moments_of
from scaler.serving.recent import recent
from scaler.serving.units import Use, picture
from tests.builders import demand, inference, lending, window


def test_the_newest_moment_is_the_present_answer_and_earlier_ones_are_earlier_answers():
    policy = inference()
    subject = demand([7.0] * 70 + [30.0])

    moments = recent(subject, policy, decide, points=100)

    assert moments[-1].wanted == decide(subject, policy).replicas
    assert [one.at_s for one in moments] == sorted(one.at_s for one in moments)
    for one in moments[:-1]:
        cut = tuple(sample for sample in subject.samples if sample.at_s <= one.at_s)
        then = decide(dataclasses.replace(subject, samples=cut), policy)
        assert (one.wanted, one.reason) == (then.replicas, then.reason.value)


def test_no_more_moments_than_were_asked_for():
    subject = demand([float(n) for n in range(1, 101)])

    assert len(recent(subject, inference(), decide, points=7)) <= 7


def test_own_metrics_become_moments_with_gaps_where_there_was_no_answer():
    rows = [
        ({"__name__": "kvtide_desired_replicas", "reason": "Demand"}, [(10.0, 2.0)]),
        ({"__name__": "kvtide_desired_replicas", "reason": "Panic"}, [(20.0, 5.0)]),
        ({"__name__": "kvtide_panic"}, [(10.0, 0.0), (20.0, 1.0)]),
        ({"__name__": "kvtide_held", "reason": "NoData"}, [(30.0, 1.0)]),
        ({"__name__": "kvtide_held", "reason": ""}, [(10.0, 0.0)]),
        ({"__name__": "kvtide_safe_concurrency", "binding_limit": "kv"}, [(10.0, 48.0)]),
        ({"__name__": "of_somebody_else"}, [(10.0, 1.0)]),
    ]

    assert moments_of(rows) == [
        Moment(
            at_s=10.0, reason="Demand", detail="", wanted=2, safe_concurrency=48, binding_limit="kv"
        ),
        Moment(at_s=20.0, reason="Panic", detail="", wanted=5, panic=True),
        Moment(at_s=30.0, reason="NoData", detail=""),
    ]


def test_what_happened_is_told_newest_first():
    told = events(
        [
            Moment(at_s=1, reason="Demand", detail="", wanted=2),
            Moment(at_s=2, reason="Demand", detail="", wanted=2),
            Moment(at_s=3, reason="Panic", detail="", wanted=2, panic=True),
            Moment(at_s=4, reason="NoData", detail="", panic=True),
        ]
    )

    assert [(one.at_s, one.before, one.after, one.panic) for one in told] == [
        (4, 2, None, None),
        (3, 2, 2, True),
    ]


def lent(workers):
    return Decision(at_s=0.0, steps=(Step(workers, Reason.LENT, ""),))


@given(
    units=st.integers(1, 16),
    reserved=st.integers(0, 4),
    serving=st.integers(0, 16),
    workers=st.none() | st.integers(0, 8),
    wanted=st.none() | st.integers(0, 8),
)
def test_a_pool_is_shown_whole_and_nothing_unknown_is_shown_as_free(
    units, reserved, serving, workers, wanted
):
    shown = dataclasses.replace(window().latest, ready_replicas=serving)
    member = Member(
        name="llm/chat",
        policy=InferencePolicy(units_per_replica=1),
        window=dataclasses.replace(window(), samples=(shown,)),
    )
    pool = PoolWindow(at_s=0.0, members=(member,), workers=workers)
    policy = lending(pool_units=units, reserved_units=min(reserved, units))

    drawn = picture(pool, policy, lent(wanted))
    uses = dict(drawn.whole.uses)

    assert drawn.whole.units == max(units, serving + (workers or 0))
    assert uses.get(Use.LENT, 0) + uses.get(Use.RECLAIMING, 0) == (workers or 0)
    if workers is None:
        assert not {Use.FREE, Use.RESERVED} & set(uses)


def test_nodes_show_what_inference_and_the_borrower_hold():
    pool = PoolWindow(
        at_s=0.0,
        members=(Member(name="llm/chat", policy=None, window=None),),
        nodes=(
            Node(name="gpu-a", units=4, units_in_use=2),
            Node(name="gpu-b", units=4, schedulable=False),
        ),
    )
    borrowed = (Node(name="gpu-a", units=4, units_in_use=1), Node(name="gpu-b", units=4))

    for wanted, use in ((None, Use.LENT), (1, Use.LENT), (0, Use.RECLAIMING)):
        drawn = picture(pool, lending(), lent(wanted), borrowed)

        assert [(strip.name, strip.uses) for strip in drawn.nodes] == [
            ("gpu-a", ((Use.SERVING, 2), (use, 1), (Use.FREE, 1))),
            ("gpu-b", ((Use.UNKNOWN, 4),)),
        ]


def test_a_node_shows_what_starts_what_is_given_back_and_what_is_kept():
    """One reserved unit is drawn where the fewest are free, and never twice."""
    shown = dataclasses.replace(window().latest, ready_replicas=1)
    member = Member(
        name="llm/chat",
        policy=InferencePolicy(units_per_replica=1),
        window=dataclasses.replace(window(), samples=(shown,)),
    )
    pool = PoolWindow(
        at_s=0.0,
        members=(member,),
        workers=3,
        nodes=(
            Node(name="gpu-a", units=8, units_in_use=3, units_starting=1, units_ending=1),
            Node(name="gpu-b", units=4),
        ),
    )
    borrowed = (
        Node(name="gpu-a", units=8),
        Node(name="gpu-b", units=4, units_in_use=3, units_ending=2),
    )

    drawn = picture(pool, lending(pool_units=12, reserved_units=2), lent(3), borrowed)

    assert [(strip.name, strip.uses) for strip in drawn.nodes] == [
        ("gpu-a", ((Use.SERVING, 1), (Use.LOADING, 2), (Use.FREE, 5))),
        ("gpu-b", ((Use.LENT, 1), (Use.RECLAIMING, 2), (Use.RESERVED, 1))),
    ]
