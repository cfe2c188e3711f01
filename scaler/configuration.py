"""
What the people who run kvtide state once, for all workloads: servers, pools, engines, gateways.

Plain values; ``documents.configuration`` reads them from YAML. Nothing here is a scaling rule (that
is a policy, per workload); what is about the process itself is passed on to its settings unread.
Secrets are named by file and never held; what may carry one is left out of ``repr``.
"""

import dataclasses
import math
import re
import string
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from scaler.capacity.gpus import mig_profile
from scaler.decision.policy import Auto
from scaler.ranges import Range, range_problems

from .errors import ConfigurationError, Problem

Pairs = tuple[tuple[str, str], ...]
Interval = Annotated[float, Range(ge=1, le=600)]
ANY_COUNT = Range(ge=1, le=math.inf)
QUERY_PLACEHOLDERS = ("namespace", "workload")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeIntervals:
    """How often each kind of source is scraped; None (auto): the median gap of its timestamps."""

    engine_s: Auto[Interval] = None
    """The engines' own /metrics."""
    gpu_s: Auto[Interval] = None
    """DCGM's exporter."""
    gateway_s: Auto[Interval] = None
    """Gateways and routers."""
    cluster_s: Auto[Interval] = None
    """kube-state-metrics."""

    def __post_init__(self) -> None:
        """Refuse intervals outside one second to ten minutes."""
        _refuse(*range_problems(self))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusServer:
    """One server that speaks Prometheus' query API: Prometheus, Thanos, Mimir, VictoriaMetrics."""

    url: str = dataclasses.field(repr=False)
    """Base address, with the path prefix of a tenant where there is one."""
    namespaces: tuple[str, ...] = ()
    """Namespaces whose ScaledObjects may name this server; not stated: all."""
    matchers: Pairs = ()
    """Label equalities added to every selector, such as cluster: eu1."""
    labels: Pairs = ()
    """Labels that name what rows are about, where they have names of their own: namespace, pod."""
    replica_labels: tuple[str, ...] = ()
    """Labels that tell copies of one series apart; the copies are collapsed by their maximum."""
    params: Pairs = dataclasses.field(default=(), repr=False)
    """Parameters added to every query, such as Thanos' dedup and partial_response."""
    headers: Pairs = dataclasses.field(default=(), repr=False)
    """Headers added to every query, such as a tenant's X-Scope-OrgID."""
    bearer_token_file: str | None = None
    """File with a bearer token, read again when it changes."""
    basic_username: str | None = None
    """User of HTTP basic authentication."""
    basic_password_file: str | None = None
    """File with that user's password."""
    aws_region: str | None = None
    """Sign requests (SigV4) as Amazon managed Prometheus in this region wants it; the extra aws."""
    google_auth: bool = False
    """Show a token of Google's application default credentials; the extra google."""
    oauth2_token_url: str | None = None
    """Where a token for client credentials is got, over https."""
    oauth2_client_id: str | None = None
    """The client that it is got for."""
    oauth2_client_secret_file: str | None = None
    """File with that client's secret."""
    oauth2_client_assertion_file: str | None = None
    """File with a token that shows who the client is, such as AZURE_FEDERATED_TOKEN_FILE."""
    oauth2_scope: str | None = None
    """Scopes that are asked for, such as https://prometheus.monitor.azure.com/.default."""
    ca_file: str | None = None
    """Certificate authority that the server's certificate is checked against."""
    cert_file: str | None = None
    """Client certificate, for mutual TLS."""
    key_file: str | None = None
    """Key of the client certificate."""
    insecure_skip_verify: bool = False
    """Do not check the server's certificate."""
    timeout_s: Annotated[float, Range(ge=0.1, le=300)] = 10.0
    """Longest wait for one query."""
    ingestion_delay_s: Annotated[float, Range(ge=0, le=300)] = 2.0
    """How late a sample may become visible; instants younger than this are not final."""
    max_series: Annotated[int, ANY_COUNT] = 200_000
    """Most series in one reply; more is an error, and a reason to split into shards."""
    scrape_interval: ScrapeIntervals = dataclasses.field(default_factory=ScrapeIntervals)
    """How often this server scrapes, per kind of source."""

    def __post_init__(self) -> None:
        """Refuse what no query could use; all problems at once."""
        _refuse(
            *range_problems(self),
            *_address_problems(self.url),
            *_header_problems(self.headers),
            *_label_problems("matchers", (name for name, _ in self.matchers)),
            *_label_problems("replica_labels", self.replica_labels),
            *_label_problems("labels", (name for _, name in self.labels)),
            *_spelling_problems(self.labels),
            *_namespace_problems("namespaces", self.namespaces),
            *_one_without_other(self, "basic_username", "basic_password_file"),
            *_one_without_other(self, "cert_file", "key_file"),
            *_both(self, "bearer_token_file", "basic_username"),
            *_cloud_problems(self),
        )

    def is_open_to(self, namespace: str) -> bool:
        """Say whether the ScaledObjects of a namespace may name this server."""
        return not self.namespaces or namespace in self.namespaces

    @property
    def shown_url(self) -> str:
        """The address as logs, errors and pages show it: without a user, password or parameters."""
        return shown_url(self.url)

    @property
    def request_url(self) -> str:
        """The address as it is asked: a user and password in it go into a header."""
        return shown_url(self.url).rstrip("/")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A fixed number of GPUs, MIG slices or shares that inference and training live on."""

    units: Annotated[int, ANY_COUNT]
    """GPUs, MIG slices or shares in the pool."""
    workloads: tuple[str, ...]
    """The online workloads of the pool, namespace/scaledobject each."""
    reserved_units: Annotated[int, Range(ge=0)] = 0
    """Units that are never lent."""
    resource: str = "nvidia.com/gpu"
    """The extended resource that a unit is, such as nvidia.com/mig-1g.5gb."""

    def __post_init__(self) -> None:
        """Refuse a pool without units or without online workloads."""
        empty = Problem(field="workloads", got="nothing", allowed="at least one online workload")
        nameless = tuple(
            Problem(field="workloads", got=repr(name), allowed="namespace/scaledobject")
            for name in self.workloads
            if not all(name.partition("/")) or name.count("/") != 1
        )
        _refuse(
            *range_problems(self, reserved_units=Range(ge=0, le=self.units)),
            *(nameless if self.workloads else (empty,)),
            *_unknown_profile(self.resource),
        )


def _unknown_profile(resource: str) -> tuple[Problem, ...]:
    """Return what is wrong with a resource that names a MIG profile."""
    try:
        mig_profile(resource)
    except ConfigurationError as error:
        return tuple(dataclasses.replace(one, field="resource") for one in error.problems)
    return ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that is stated once; keys of the mappings are the names that triggers use."""

    prometheus: Mapping[str, PrometheusServer] = dataclasses.field(default_factory=dict)
    """Servers by name; a trigger that names none uses default."""
    pools: Mapping[str, Pool] = dataclasses.field(default_factory=dict)
    """Pools of GPUs by name; training triggers name one."""
    engines: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """Engine profiles by name, as the files in scaler/readings/engines have them."""
    models: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Models by name that the shipped table lacks: a config.json, or a checkpoint's folder."""
    gateways: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """Gateway profiles by name, shaped like the presets."""
    queries: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Arrival counters by name, in PromQL; $namespace and $workload are filled in."""
    renames: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What metric names begin with, and what a collector here puts in its place: those of every
    engine and gateway are found under both, such as vllm:, stored as acme_vllm_."""
    gateway_namespaces: tuple[str, ...] = ()
    """Namespaces beside a workload's own whose gateway series its trigger may name."""
    pool_namespaces: tuple[str, ...] | None = None
    """Namespaces beside its own whose workloads a trigger's poolWorkloads may name; not stated:
    all. Whoever names a workload learns whether it is served, and how loaded it is."""
    server: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Settings of the serving process, where neither flags nor the environment state them."""

    def __post_init__(self) -> None:
        """Refuse placeholders other than the two that are filled in, and names that are none."""
        problems = tuple(
            Problem(
                field=f"renames.{old}",
                got=repr(new),
                allowed="how names begin in the server: letters, digits, _, : and .",
            )
            for old, new in self.renames.items()
            if not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:.]*", new)
        )
        problems += tuple(
            Problem(
                field=f"queries.{name}",
                got=f"placeholder {placeholder}",
                allowed="$namespace, $workload ($$ is a dollar sign)",
            )
            for name, query in self.queries.items()
            for placeholder in _foreign_placeholders(query)
        )
        problems += _namespace_problems("gateway_namespaces", self.gateway_namespaces)
        problems += _namespace_problems("pool_namespaces", self.pool_namespaces or ())
        _refuse(*problems)

    def arrival_query(self, name: str, *, namespace: str, workload: str) -> str:
        """Return a named query with its placeholders filled; the values are Kubernetes names."""
        template = string.Template(self.queries[name])
        return template.substitute(namespace=namespace, workload=workload)


def _foreign_placeholders(query: str) -> list[str]:
    """Return every placeholder that is not filled in, and every dollar sign that is none."""
    found = string.Template.pattern.finditer(query)
    return [
        match.group()
        for match in found
        if match["escaped"] is None
        and (match["named"] or match["braced"]) not in QUERY_PLACEHOLDERS
    ]


def _spelling_problems(labels: Pairs) -> tuple[Problem, ...]:
    return tuple(
        Problem(field=f"labels.{label}", got="an unknown key", allowed="namespace, pod")
        for label, _ in labels
        if label not in ("namespace", "pod")
    )


def _label_problems(field: str, names: Iterable[str]) -> tuple[Problem, ...]:
    return tuple(
        Problem(field=field, got=repr(name), allowed="Prometheus label names such as cluster")
        for name in names
        if re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) is None
    )


def _namespace_problems(field: str, names: Iterable[str]) -> tuple[Problem, ...]:
    return tuple(
        Problem(field=field, got=repr(name), allowed="names of namespaces such as llm")
        for name in names
        if re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) is None
    )


def shown_url(url: str) -> str:
    """Return an address without what may be secret in it: user, password, parameters."""
    scheme, found, rest = url.partition("://")
    before, place = (f"{scheme}://", rest) if found else ("", url)
    host, slash, path = re.split(r"[?#]", place, maxsplit=1)[0].partition("/")
    return f"{before}{host.rpartition('@')[2]}{slash}{path}"


def _address_problems(url: str) -> tuple[Problem, ...]:
    """Return what is wrong with an address; a secret in it is not told."""
    shown = repr(shown_url(url))
    if not _is_address(url):
        allowed = "an address such as http://prometheus:9090"
        return (Problem(field="url", got=shown, allowed=allowed),)
    if "?" in url or "#" in url:
        got = f"{shown} carries parameters; their place is params"
        return (Problem(field="url", got=got, others=("params",)),)
    return ()


def _is_address(url: str) -> bool:
    if any(character <= " " or character == "\x7f" for character in url):
        return False
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half of an IPv6 address
        return False


def _header_problems(headers: Pairs) -> tuple[Problem, ...]:
    """Return the headers that no request could carry, by name and never by value."""
    return tuple(
        Problem(field=f"headers.{name}", got=got, allowed=allowed)
        for name, value in headers
        for wrong, got, allowed in (
            (
                re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) is None,
                "a name that no header has",
                "letters, digits and - such as X-Scope-OrgID",
            ),
            (
                not value.isprintable() or not value.isascii() or value != value.strip(),
                "a value with a line break, or with spaces around it",
                "printable characters on one line",
            ),
        )
        if wrong
    )


def _one_without_other(value: object, one: str, other: str) -> tuple[Problem, ...]:
    missing = [name for name in (one, other) if getattr(value, name) is None]
    if len(missing) != 1:
        return ()
    stated = other if missing[0] == one else one
    allowed = f"stated, since {stated} is"
    return (Problem(field=missing[0], got="nothing", allowed=allowed, others=(stated,)),)


def _cloud_problems(server: PrometheusServer) -> tuple[Problem, ...]:
    """Return where more than one way is stated to show who asks, or half of one."""
    ways = {
        "bearer_token_file": server.bearer_token_file,
        "basic_username": server.basic_username,
        "aws_region": server.aws_region,
        "google_auth": server.google_auth or None,
        "oauth2_token_url": server.oauth2_token_url,
    }
    stated = [name for name, value in ways.items() if value is not None]
    clouds = {"aws_region", "google_auth", "oauth2_token_url"} & set(stated)
    shown = (server.oauth2_client_secret_file, server.oauth2_client_assertion_file)
    problems = [
        Problem(
            field=stated[0],
            got=f"stated beside {', '.join(stated[1:])}; state one of them",
            others=tuple(stated[1:]),
        )
        for _ in clouds
        if len(stated) > 1
    ][:1]
    if server.oauth2_token_url is not None and sum(one is not None for one in shown) != 1:
        both = "stated beside oauth2_client_assertion_file; state one of them"
        got = both if all(shown) else "missing; state it, or oauth2_client_assertion_file"
        others = ("oauth2_client_assertion_file",)
        problems.append(Problem(field="oauth2_client_secret_file", got=got, others=others))
    if server.oauth2_token_url is not None and not server.oauth2_token_url.startswith("https://"):
        url = server.oauth2_token_url
        problems.append(Problem(field="oauth2_token_url", got=repr(url), allowed="https://…"))
    return (*problems, *_one_without_other(server, "oauth2_token_url", "oauth2_client_id"))


def _both(value: object, one: str, other: str) -> tuple[Problem, ...]:
    if getattr(value, one) is None or getattr(value, other) is None:
        return ()
    return (Problem(field=one, got=f"stated beside {other}; state one of them", others=(other,)),)


def _refuse(*problems: Problem) -> None:
    """Raise the problems, where there are any."""
    if problems:
        raise ConfigurationError(*problems)
