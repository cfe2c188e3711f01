"""Many buckets made at once are the buckets made one by one, to the bit."""

import dataclasses
import random
from collections.abc import Iterable
from typing import Any

import pytest

from scaler.decision.facts.bucket import bucket
from scaler.decision.facts.columns import FEW, Columns
from scaler.decision.facts.matrices import Matrices
from scaler.decision.sample import Replica, Sample
from tests.golden.histories import samples

LEFT_OUT = ("spec_replicas", "ready_replicas", "loading_replicas", "gateway_in_flight")
READINGS = [
    one.name
    for one in dataclasses.fields(Replica)
    if one.name not in {"name", "sleeping", "itl_buckets", "ttft_buckets"}
]


def without(names: Iterable[str]) -> dict[str, Any]:
    return dict.fromkeys(names)


def with_holes(sample: Sample, rng: random.Random) -> Sample:
    """Return a sample of which something is not known, a queue is, or that is at zero."""
    replicas = [
        dataclasses.replace(one, **without(name for name in READINGS if rng.random() < 0.05))
        for one in sample.replicas
    ]
    changes = without(name for name in LEFT_OUT if rng.random() < 0.1)
    if rng.random() < 0.1:
        changes["gateway_waiting"] = float(rng.randint(0, 5))
    if rng.random() < 0.1:
        changes["arrivals_total"] = None
    if rng.random() < 0.05:
        replicas, changes["spec_replicas"] = [], rng.choice([0, None])
    return dataclasses.replace(sample, replicas=tuple(replicas), **changes)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("before", [0, 1, 40])
def test_many_at_once_are_those_made_one_by_one(seed, before):
    rng = random.Random(seed)
    made = [with_holes(one, rng) if seed % 2 else one for one in samples(seed, 160)]
    each = Matrices.of(
        [bucket(made[max(0, at - 32) : at], made[at]) for at in range(before, len(made))]
    )
    at_once = Columns.of(made[before:], made[:before])

    assert len(made) - before > FEW
    for name in ("by_instant", "by_reading", "by_queue"):
        one, other = getattr(each, name), getattr(at_once, name)
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()
