"""What is there of the ScaledObjects of files in the Prometheus that their triggers name."""

import asyncio
import pathlib
from collections.abc import Mapping
from typing import Any

from scaler.check.triggers import triggers_in
from scaler.wiring.deployed import deployed
from scaler.wiring.doctor import examined

from .explanation import configuration_of
from .flags import duration_s

LONGEST_WATCH_S = 300.0


def examine(
    texts: Mapping[str, str] | None,
    *,
    prometheus: str | None,
    config: pathlib.Path | None,
    watch: str,
) -> dict[str, Any]:
    """
    Return the document of ``kvtide doctor`` on YAML texts by name; None: on what the cluster has.

    Raises:
        ConfigurationError: in a flag, a file or a trigger.
    """
    watch_s = duration_s("--watch", watch, most_s=LONGEST_WATCH_S)
    configuration = configuration_of(config, prometheus)
    if texts is None:
        texts = asyncio.run(deployed())
    triggers = triggers_in(texts, configuration) if texts else {}
    return asyncio.run(examined(triggers, configuration=configuration, watch_s=watch_s))
