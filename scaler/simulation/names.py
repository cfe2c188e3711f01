"""Names of pods as a Deployment's controller makes them."""

import random

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and nothing that looks like one (k8s.io/apimachinery, util/rand)."""


def pod_name(owner: str, number: int) -> str:
    """Return the name of an owner's n-th pod: owner, ReplicaSet's hash, five letters."""
    rng = random.Random(f"{owner}/{number}")
    return f"{owner}-6f9c8d7b5-{''.join(rng.choices(_LETTERS, k=5))}"
