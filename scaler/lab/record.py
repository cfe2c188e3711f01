"""What was to be seen of a play, looked at twice a second, for the report at its end."""

import asyncio
import dataclasses

from . import scene
from .stage import Stage

LOOK_S = 0.5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One look; counts as :mod:`scaler.report.demo` names them."""

    at_s: float
    wanted: int | None
    ready: int
    lent: int | None
    working: int
    in_flight: int
    waiting: int
    online_load: float | None
    panic: bool


async def follow(stage: Stage, into: list[Moment]) -> None:
    """Look at a play until cancelled."""
    while True:
        into.append(seen(stage))
        await asyncio.sleep(LOOK_S)


def seen(stage: Stage) -> Moment:
    """Return what is to be seen now."""
    fleet, job = stage.cluster.fleets[scene.FLEET], stage.cluster.jobs[scene.JOB]
    serving, training = (stage.answer(one) for one in (stage.inference, stage.training))
    asked = serving.decision if serving else None
    lent = training.decision if training else None
    return Moment(
        at_s=stage.true_s,
        wanted=asked.replicas if asked else None,
        ready=fleet.ready,
        lent=lent.replicas if lent else None,
        working=job.running,
        in_flight=stage.cluster.gateways[scene.FLEET].in_flight,
        waiting=stage.cluster.waiting(),
        online_load=lent.load if lent else None,
        panic=bool(asked and asked.panic),
    )
