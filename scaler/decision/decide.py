"""
The decision: what is known and a policy in, a Decision out.

Pure. The server, the simulator, ``backtest`` and ``explain`` call this one function, so that what a
backtest shows is what the server would have answered. The newest sample is "now"; there is no
clock, no network and no memory here. It never raises: what cannot be decided holds, with the
reason.
"""

from .decision import Decision
from .holding import decide_member, decide_workload
from .lending import decide_workers
from .policy import InferencePolicy, LendingPolicy
from .pool import PoolWindow, TierWindow
from .window import Window


def decide(
    window: Window | PoolWindow | TierWindow, policy: InferencePolicy | LendingPolicy
) -> Decision:
    """
    Return the replicas (or lent workers) that ``policy`` wants, given what is known.

    Raises:
        TypeError: a window of one kind with a policy of another; a caller's mistake.
    """
    match window, policy:
        case Window(), InferencePolicy():
            return decide_workload(window, policy)
        case TierWindow(), InferencePolicy():
            return decide_member(window, policy)
        case PoolWindow(), LendingPolicy():
            return decide_workers(window, policy)
        case _:
            kinds = f"{type(window).__name__} and {type(policy).__name__}"
            raise TypeError(f"a window and a policy of one kind belong together, got {kinds}")
