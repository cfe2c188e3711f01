"""The engines that a trigger may name: those of the package, and those of the configuration."""

import functools
from collections.abc import Mapping

from scaler.configuration import Configuration
from scaler.readings.engines.profile import EngineProfile, parse_profiles, shipped_profiles

AUTO = "auto"
"""Whichever engine the series of the workload's pods are those of."""

_shipped = functools.cache(shipped_profiles)


def engine_profiles(configuration: Configuration) -> Mapping[str, EngineProfile]:
    """
    Return every engine by name, a configured one in the place of a shipped one of its name.

    Raises:
        ConfigurationError: with every problem of the configured ones.
    """
    renames = tuple(configuration.renames.items())
    return parse_profiles(configuration.engines, known=_shipped(), renames=renames)


def engine_names(configuration: Configuration) -> frozenset[str]:
    """Return what ``engine:`` may be."""
    return frozenset({AUTO, *_shipped(), *configuration.engines})
