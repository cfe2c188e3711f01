"""The Prometheus servers of a configuration as one source."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator

from scaler.configuration import Configuration
from scaler.documents.engines import engine_profiles
from scaler.documents.gateways import gateway_profiles
from scaler.errors import ConfigurationError, Problem
from scaler.readings.clocks import Clock
from scaler.readings.credentials import Credentials
from scaler.readings.direct import DirectReader
from scaler.readings.kubernetes.known import KnownCluster
from scaler.readings.prometheus_source import PrometheusSource
from scaler.readings.several import SeveralSources
from scaler.source import Source
from scaler.tracing import NO_TRACER, Tracer

from .apart import Apart
from .between import Between


@contextlib.asynccontextmanager
async def prometheus(
    configuration: Configuration,
    known: KnownCluster | None = None,
    clock: Clock | None = None,
    tracer: Tracer = NO_TRACER,
    *,
    direct: DirectReader | None = None,
) -> AsyncIterator[Source]:
    """
    Yield the servers of a configuration as one source; their connections close after.

    They are read on a thread of their own: the loop that waits for them stays free for others.

    ``known`` is what the Kubernetes API says, where it is asked; ``clock`` is whose seconds it is
    read by, which each server's are compared with (None: a past is read, by no clock's); ``direct``
    reads the pods of those that ask for it, where that is allowed.

    Raises:
        ConfigurationError: no server is named, an engine is described wrongly, or a file of
            credentials holds none.
    """
    read = servers(configuration, known, clock, tracer)
    async with contextlib.AsyncExitStack() as ends:
        for server in read.values():
            ends.push_async_callback(server.close)
        all_servers = SeveralSources(read)
        apart = Apart(all_servers if clock is None else Between(all_servers, direct))
        ends.callback(apart.close)
        yield apart


def servers(
    configuration: Configuration,
    known: KnownCluster | None = None,
    clock: Clock | None = None,
    tracer: Tracer = NO_TRACER,
) -> dict[str, PrometheusSource]:
    """
    Return the servers of a configuration by name; whoever asks for them closes them.

    Raises:
        ConfigurationError: as :func:`prometheus`.
    """
    if not configuration.prometheus:
        example = "a server in the file of --config: prometheus: {default: {url: http://…:9090}}"
        raise ConfigurationError(Problem(field="prometheus", got="nothing", allowed=example))
    _check_credentials(configuration)
    profiles, gateways = engine_profiles(configuration), gateway_profiles(configuration)
    return {
        name: PrometheusSource(
            server,
            profiles=profiles,
            gateways=gateways,
            queries=configuration.queries,
            known=known,
            clock=clock,
            tracer=tracer,
        )
        for name, server in configuration.prometheus.items()
    }


def _check_credentials(configuration: Configuration) -> None:
    problems = [
        dataclasses.replace(problem, field=f"prometheus.{name}.{problem.field}")
        for name, server in configuration.prometheus.items()
        for problem in Credentials(server).check()
    ]
    if problems:
        raise ConfigurationError(*problems)
