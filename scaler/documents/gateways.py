"""The gateways that a trigger may name: those of the package, and those of the configuration."""

import dataclasses
import functools
from collections.abc import Mapping

from scaler.configuration import Configuration
from scaler.readings.gateways.profile import GatewayProfile, parse_gateways, shipped_documents

_shipped = functools.cache(shipped_documents)


def gateway_profiles(configuration: Configuration) -> Mapping[str, GatewayProfile]:
    """
    Return every gateway by name, a configured one in the place of a shipped one of its name.

    Raises:
        ConfigurationError: with every problem of the configured ones.
    """
    profiles = parse_gateways(
        {**_shipped(), **configuration.gateways}, renames=tuple(configuration.renames.items())
    )
    elsewhere = configuration.gateway_namespaces
    return {
        name: dataclasses.replace(profile, namespaces=elsewhere)
        for name, profile in profiles.items()
    }


def gateway_profile(configuration: Configuration, name: str) -> GatewayProfile | None:
    """Return one gateway; None: nobody knows one of that name."""
    document = {**_shipped(), **configuration.gateways}.get(name)
    return None if document is None else parse_gateways({name: document})[name]


def gateway_names(configuration: Configuration) -> frozenset[str]:
    """Return what ``gateway:`` may be."""
    return frozenset({*_shipped(), *configuration.gateways})
