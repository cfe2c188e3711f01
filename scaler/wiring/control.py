"""The controller's process."""

import asyncio
import contextlib
import time

from scaler.controller import run as controller
from scaler.controller.fast.loop import FastRules
from scaler.controller.loop import Rules
from scaler.log import log_to_stderr
from scaler.telemetry.process import CONTENT_TYPE, Telemetry

from .stopping import on_stop


async def control(
    options: controller.Options,
    *,
    blind_reclaim_after_s: float,
    fast_path: bool,
    pod_deletion_cost: bool,
) -> None:
    """Run the controller until SIGTERM or SIGINT; a fault of its loop ends the process."""
    telemetry = Telemetry()
    log_to_stderr("info", "json")
    outside = controller.Outside(
        clock=time.time,
        exposition=telemetry.exposition,
        content_type=CONTENT_TYPE,
        rules=Rules(
            blind_reclaim_after_s=blind_reclaim_after_s,
            on_reclaimed=lambda namespace, name, seconds: telemetry.observe_reclaim(
                namespace=namespace, scaled_object=name, seconds=seconds
            ),
        ),
        fast=FastRules(
            scale=fast_path,
            deletion_cost=pod_deletion_cost,
            on_raised=lambda namespace, name, seconds: telemetry.observe_fast_scale(
                namespace=namespace, scaled_object=name, seconds=seconds
            ),
        ),
    )
    working = asyncio.create_task(controller.run(options, outside))
    on_stop(working.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await working
