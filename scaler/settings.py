"""
What this process is told about itself: where it listens, its TLS files, how it logs and ends.

Flags come before the environment (``KVTIDE_GRPC_ADDRESS``), the environment before the section
``server`` of the configuration file (``grpcAddress``). Scaling rules are not here: they are the
metadata of each trigger. No field may be called ``port`` or ``service_host``, since Kubernetes sets
``KVTIDE_PORT`` and the like beside a Service called kvtide.
"""

import math
import pathlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from scaler.errors import ConfigurationError, Problem
from scaler.numerals import A_DURATION, read_duration, write_duration

PREFIX = "KVTIDE_"

RUNBOOKS = "https://github.com/kvtide/kvtide/blob/main/docs/runbooks.md"
"""Where this project's runbooks are read."""

Address = Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:.]*\]|[^\s:/\[\]]*):[0-9]{1,5}$")]


def _duration(low_s: float, high_s: float) -> BeforeValidator:
    """Read a Go duration such as ``1m30s`` into seconds."""

    def read(text: object) -> float:
        try:
            seconds = read_duration(str(text))
        except ValueError:
            seconds = math.nan
        if not low_s <= seconds <= high_s:
            between = f"{write_duration(low_s)} to {write_duration(high_s)}"
            raise ValueError(f"{A_DURATION}, {between}")
        return seconds

    return BeforeValidator(read)


class Settings(BaseSettings):
    """One process of ``kvtide serve``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=False
    )

    grpc_address: Address = ":6000"
    """Where KEDA finds the scaler, host:port; without a host, on every interface."""
    http_address: Address = ":8080"
    """Status page, probes, metrics and the decisions as JSON."""
    tls_cert_file: pathlib.Path | None = None
    """Certificate (PEM) of the gRPC server; read again when it is renewed."""
    tls_key_file: pathlib.Path | None = None
    tls_client_ca_file: pathlib.Path | None = None
    """With it, clients must show a certificate that it signed (mutual TLS)."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "logfmt"] = "json"
    tick: Annotated[float, _duration(0.1, 60)] = 2.0
    """Time between two rounds of reading and deciding."""
    idle: Annotated[float, _duration(60, 86_400)] = 1800.0
    """A ScaledObject is dropped after three polls that did not come, and after so long at most."""
    most_objects: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """Most ScaledObjects that are served; one more is refused."""
    pages: bool = True
    """Whether the HTTP side has pages for people; probes, metrics and JSON are always there."""
    runbook_url: str = RUNBOOKS
    """Address of the runbooks; an alert's name in small letters is an anchor of it."""
    dashboard_url: str | None = None
    """Address of the Grafana dashboard of an object, with ``{namespace}`` and ``{scaledobject}``
    where its names belong."""
    kubernetes: Literal["auto", "on", "off"] = "auto"
    """Whether the Kubernetes API is watched for what kube-state-metrics tells later or not at all;
    then ScaledObjects that the cluster has are served, and no others. auto: in a pod with a service
    account, or with KUBECONFIG set."""
    kubernetes_namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")] | (
        None
    ) = None
    """Watch this namespace alone, for rights in it alone; nodes are then not known."""
    kubernetes_events: bool = True
    """Whether what happens to a ScaledObject (panic, lending, data lost) is told as Kubernetes
    Events, a few a minute, where the API is watched."""
    direct_scrape: bool = False
    """Whether the pods' own pages of metrics are read each second between two scrapes, for triggers
    that state directScrapePort; it needs the Kubernetes API, and the network's way to the pods."""
    drain_delay: Annotated[float, _duration(0, 3600)] = 5.0
    """From SIGTERM (not ready any more) until streams end: endpoints take as long to go."""
    drain_grace: Annotated[float, _duration(0, 3600)] = 5.0
    """From then until what still runs is cut."""


def settings(*, flags: Mapping[str, Any], file: Mapping[str, Any]) -> Settings:
    """
    Return the settings; ``flags`` that are None were not given, ``file`` has camelCase keys.

    Raises:
        ConfigurationError: with every problem, each under the name that its author wrote.
    """
    names = {to_camel(name): name for name in Settings.model_fields}
    from_file = {names.get(key, key): value for key, value in file.items()}
    from_env = EnvSettingsSource(Settings)()
    from_flags = {name: value for name, value in flags.items() if value is not None}
    written = {
        **{names.get(key, key): f"server.{key}" for key in file},
        **{name: f"{PREFIX}{name.upper()}" for name in from_env},
        **{name: f"--{name.replace('_', '-')}" for name in from_flags},
    }
    problems: tuple[Problem, ...] = ()
    made = None
    try:
        made = Settings(**(from_file | from_env | from_flags))
    except ValidationError as error:
        problems = tuple(_problem(part, written) for part in error.errors())
    if made is not None:
        problems = _tls_problems(made, written)
    if made is None or problems:
        raise ConfigurationError(*problems)
    return made


def _problem(part: Any, written: Mapping[str, str]) -> Problem:  # noqa: ANN401
    name = str(part["loc"][0])
    if part["type"] == "extra_forbidden":
        known = ", ".join(to_camel(field) for field in Settings.model_fields)
        return Problem(field=written.get(name, name), got="an unknown key", allowed=known)
    allowed = part["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if part["type"] == "string_pattern_mismatch":
        allowed = "host:port or :port"
    return Problem(field=written.get(name, name), got=repr(part["input"]), allowed=allowed)


def _tls_problems(made: Settings, written: Mapping[str, str]) -> tuple[Problem, ...]:
    """Return what is missing: a certificate has a key, and only a server with both asks clients."""
    needs = (
        ("tls_cert_file", "tls_key_file"),
        ("tls_key_file", "tls_cert_file"),
        ("tls_client_ca_file", "tls_cert_file"),
    )
    return tuple(
        Problem(
            field=written.get(missing, missing), got="nothing", allowed=f"a file, as {stated} is"
        )
        for stated, missing in needs
        if getattr(made, stated) is not None and getattr(made, missing) is None
    )
