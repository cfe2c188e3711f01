"""
What the GPUs say, as a guard over what the load asked for.

Neither GPU memory nor GPU utilisation is a load: an engine that allocates its cache up front shows
flat memory, and a decode loop keeps a GPU busy from the first request on. So they never set a
count; memory asks for one more replica and forbids scaling down when the fullest replica is nearly
full, and utilisation raises only what another signal already finds at its target.
"""

import math
from collections.abc import Sequence

from scaler.said import Said

from .decision import Reason, Signal, Step
from .load import Series
from .policy import InferencePolicy, SignalName
from .sample import Replica
from .window import Window


def gpu_memory(window: Window, policy: InferencePolicy) -> Signal:
    """
    Return how full the fullest replica's GPU memory is, above the floor it never went below.

    ``load`` is a share from 0 to 1, ``(used − floor) / (used + free − floor)``; None: it abstains.
    The floor is each replica's least use in the window: weights, and whatever else is always there.
    """
    shares = {
        replica.name: share
        for replica in window.latest.replicas
        if (share := _memory_share(window, replica)) is not None
    }
    target = policy.gpu_memory_threshold
    if not shares or window.allocates_up_front:
        why = Said("no GPU memory is reported")
        if shares:
            why = Said("the engine allocates its memory up front")
        return Signal(name=SignalName.GPU_MEMORY, load=None, target=target, detail=why)
    fullest = max(shares, key=lambda name: shares[name])
    return Signal(
        name=SignalName.GPU_MEMORY,
        load=shares[fullest],
        target=target,
        detail=Said(
            "{fullest} has used {share:.0f} % of what it may",
            fullest=fullest,
            share=100 * shares[fullest],
        ),
    )


def _memory_share(window: Window, replica: Replica) -> float | None:
    used, free = replica.gpu_memory_used_mib, replica.gpu_memory_free_mib
    if used is None or free is None:
        return None
    floor = min(
        then.gpu_memory_used_mib
        for sample in window.samples
        for then in sample.replicas
        if then.name == replica.name and then.gpu_memory_used_mib is not None
    )
    room = used + free - floor
    return (used - floor) / room if room > 0 else None


def gpu_utilization(window: Window, policy: InferencePolicy) -> Signal:
    """
    Return the mean utilisation of the ready replicas' GPUs over the stable window, 0 to 1.

    ``DCGM_FI_PROF_GR_ENGINE_ACTIVE`` where it is there (the only one that MIG instances have),
    else ``DCGM_FI_DEV_GPU_UTIL``.
    """
    busy = [
        reading
        for sample in window.last(policy.stable_window_s)
        for replica in sample.replicas
        if not replica.sleeping and (reading := _busy(replica)) is not None
    ]
    name, target = SignalName.GPU_UTILIZATION, policy.gpu_utilization_target
    if not busy:
        why = Said("no GPU utilisation is reported")
        return Signal(name=name, load=None, target=target, detail=why)
    mean = sum(busy) / len(busy)
    detail = Said(
        "{share:.0f} % busy on average over {window_s:g} s",
        share=100 * mean,
        window_s=policy.stable_window_s,
    )
    return Signal(name=name, load=mean, target=target, detail=detail)


def _busy(replica: Replica) -> float | None:
    if replica.gpu_engine_active is not None:
        return replica.gpu_engine_active
    return replica.gpu_utilization


def hold_for_memory(signal: Signal, count: int, ready: int) -> Step | None:
    """Ask for one more than is ready, and for none less, while GPU memory is past its threshold."""
    if signal.load is None or signal.load <= signal.target or count > ready:
        return None
    detail = Said(
        "{told}, past {target:.0f} %: one more than the {ready} ready",
        told=signal.detail,
        target=100 * signal.target,
        ready=ready,
    )
    return Step(ready + 1, Reason.GPU_MEMORY, detail)


def raise_for_utilization(
    signal: Signal, series: Sequence[Series], window: Window, count: int
) -> Step | None:
    """Raise to what brings utilisation to its target, when another signal is there or some wait."""
    ready = window.latest.ready
    if signal.load is None or not ready or signal.load <= signal.target:
        return None
    at_target = any(s.latest is not None and s.latest >= s.target * ready for s in series)
    if not at_target and not window.now.backlog:
        return None
    wanted = math.ceil(ready * signal.load / signal.target)
    if wanted <= count:
        return None
    detail = Said("{told}, and requests wait", told=signal.detail)
    if at_target:
        detail = Said("{told}, and another signal is at its target", told=signal.detail)
    return Step(wanted, Reason.GPU_UTILIZATION, detail)
