"""The load of a workload over time, as the rules over time read it."""

from collections.abc import Sequence

import numpy as np

from .load import Series, wanted
from .point import Curve
from .policy import InferencePolicy
from .window import Window


def curve_of(window: Window, series: Sequence[Series], policy: InferencePolicy) -> Curve:
    """Return the load over a window's buckets, in replicas at the target utilisation."""
    now = window.columns.instants
    load = wanted(series) if series else np.full(len(now.at_s), np.nan)
    load = load * policy.effective_target_utilization
    return Curve(
        at_s=now.at_s,
        load=np.where(load <= policy.activation_load, 0.0, load),
        ready=now.ready,
        loading=now.loading,
    )
