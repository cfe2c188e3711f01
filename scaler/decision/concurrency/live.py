"""
Safe concurrency from a live window: what was measured first, then what is computed or stated.

The property that must stay true: what a person stated caps whatever was found, and a limit that
nothing is known of is absent, never guessed.
"""

from scaler.capacity.concurrency.result import Bound, Limit, SafeConcurrency
from scaler.decision.policy import InferencePolicy
from scaler.decision.window import Window

from .cache import difference_note
from .evidence import Reach
from .kv_limit import kv_bound
from .slo import slo_bounds


def safe_concurrency(window: Window, policy: InferencePolicy) -> SafeConcurrency | None:
    """Return the requests that one replica may hold at once; None: no limit is known."""
    earlier, reach = window.earlier, Reach.of(window, policy)
    limits = (
        kv_bound(window, policy, earlier, reach),
        *slo_bounds(window, policy, reach),
        _engine_bound(window, policy),
        _explicit_bound(policy),
    )
    bounds = tuple(bound for bound in limits if bound is not None)
    note = difference_note(window.latest, policy)
    return SafeConcurrency(bounds=bounds, notes=(note,) if note else ()) if bounds else None


def _engine_bound(window: Window, policy: InferencePolicy) -> Bound | None:
    reported = tuple(
        (int(replica.max_running), "as it reports")
        for replica in window.latest.replicas
        if replica.max_running is not None and replica.max_running >= 1
    )
    stated = () if policy.max_num_seqs is None else ((policy.max_num_seqs, "as stated"),)
    if not (*stated, *reported):
        return None
    requests, source = min((*stated, *reported))
    detail = f"the engine runs at most {requests} requests at once, {source}"
    return Bound(limit=Limit.ENGINE, requests=requests, detail=detail)


def _explicit_bound(policy: InferencePolicy) -> Bound | None:
    if policy.max_concurrency is None:
        return None
    detail = f"stated: at most {policy.max_concurrency} requests at once"
    return Bound(limit=Limit.EXPLICIT, requests=policy.max_concurrency, detail=detail)
