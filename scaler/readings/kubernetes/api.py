"""
The Kubernetes API: how it is reached, what it answers when it refuses, and lists kept current.

A list is read in pages and then watched from its version on. A watch that ends is resumed where it
stood; one that has expired (410) or breaks is answered by a new list, so that nothing is lost.
Half a minute is the most that a dead connection can go unnoticed.
"""

import asyncio
import dataclasses
import json
import logging
import os
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

from aiohttp import ClientConnectorError, ClientError, ClientSSLError
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError, ResourceNotFoundError
from kubernetes.aio.dynamic.resource import Resource
from yaml import YAMLError

from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

from .manifest import Key, Manifest, Refusal, key_of

logger = logging.getLogger("kvtide.kubernetes")

WATCH_S = 30
"""A watch is resumed after so long, so that a dead connection cannot outlive it."""
_LATE_S = 5.0
PAGE = 250
"""Objects in one answer: a cluster's pods at once are a hundred megabytes."""
LEAST_PAUSE_S = 1.0
MOST_PAUSE_S = 30.0
GONE = 410

FAULTS = (ApiException, DynamicApiError, ClientError, TimeoutError, OSError)
"""What the API answers when it refuses, is away or restarts."""

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 -- a path
"""Where a pod finds its service account's token."""

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What an answer makes of a parser that cannot read it: the fault of one kind, not of all."""

_NO_KUBECONFIG = (config.ConfigException, YAMLError, OSError, *UNREADABLE)
"""What the library raises for a file that is empty, broken, or of another kind."""

Parsed = TypeVar("Parsed")


def refusal(error: BaseException) -> Refusal:
    """Return what a fault of the API says, or why there is no connection to it."""
    if isinstance(error, ClientConnectorError) and not isinstance(error, ClientSSLError):
        # Names that are not found have numbers of their own, below 0.
        number = error.errno or 0
        why = os.strerror(number) if number > 0 else str(error.strerror)
        return Refusal(status=None, message=f"{error.host}:{error.port}: {why}")
    status = getattr(error, "status", None)
    reason = getattr(error, "summary", None)
    text = reason() if callable(reason) else str(getattr(error, "reason", None) or error)
    return Refusal(status=status if isinstance(status, int) else None, message=text.strip())


def is_in_cluster() -> bool:
    """Return whether this process is in a pod with a service account's token."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    return bool(host) and pathlib.Path(TOKEN).is_file()


def has_kubeconfig() -> bool:
    """Return whether a kubeconfig is where one is looked for; the library complains where not."""
    named = os.environ.get("KUBECONFIG") or "~/.kube/config"
    return any(pathlib.Path(one).expanduser().is_file() for one in named.split(os.pathsep) if one)


async def connect() -> ApiClient:
    """
    Return a client of the cluster that this process stands in, else of the kubeconfig's.

    Raises:
        ConfigurationError: there is neither, or no kubeconfig is in its file.
    """
    try:
        config.load_incluster_config()
    except config.ConfigException:
        if not has_kubeconfig():
            raise _no_kubeconfig("") from None
        try:
            await config.load_kube_config(config_file=os.environ.get("KUBECONFIG"))
        except _NO_KUBECONFIG as error:
            raise _no_kubeconfig(_why_none(error)) from error
    return ApiClient()


def _why_none(error: Exception) -> str:
    """Return why a file is no kubeconfig; what its reader stumbles over says nothing to people."""
    if isinstance(error, config.ConfigException):
        return str(error)
    if isinstance(error, YAMLError):
        return Said("this is no YAML")
    if isinstance(error, UnicodeDecodeError):
        return Said("bytes that are not UTF-8")
    return getattr(error, "strerror", None) or Said("this is no kubeconfig")


def _no_kubeconfig(why: str) -> ConfigurationError:
    where = os.environ.get("KUBECONFIG") or "~/.kube/config"
    got = Said("{path} ({reason})", path=where, reason=why)
    if not has_kubeconfig():
        got = Said(
            "no kubeconfig found at {where}, and this is no pod with a service account",
            where=where,
        )
    allowed = Said("a readable kubeconfig")
    return ConfigurationError(Problem(field="KUBECONFIG", got=got, allowed=allowed))


async def discovered(client: ApiClient) -> DynamicClient:
    """
    Return a client that knows the kinds that the cluster serves now.

    By itself the library keeps what it discovered in a file of the temporary folder, named by the
    API's address, and a later process believes it: kinds that are gone still seem to be there.
    """
    nowhere = f"{os.devnull}/discovery.json"
    made: DynamicClient = await DynamicClient(client, cache_file=nowhere)
    return made


async def reached(client: ApiClient, on_trouble: Callable[[Refusal], object]) -> DynamicClient:
    """Return the same once the API answers: it may be away just now, or start."""
    pause_s = LEAST_PAUSE_S
    while True:
        try:
            return await discovered(client)
        except FAULTS as error:
            why = refusal(error)
            on_trouble(why)
            logger.warning("the Kubernetes API does not answer: %s", why.message)
            await asyncio.sleep(pause_s)
            pause_s = min(MOST_PAUSE_S, 2 * pause_s)


class Kinds:
    """
    The kinds that a cluster serves, looked up one at a time.

    The library replaces its cache of them whenever it does not find a kind, and whoever searched
    the old one meanwhile fails (KeyError, kubernetes/aio/dynamic/discovery.py).
    """

    def __init__(self, client: DynamicClient) -> None:
        self.client = client
        self._lookup = asyncio.Lock()

    async def find(self, api_version: str, kind: str) -> Resource:
        """
        Return a kind as the client takes it.

        Raises:
            ResourceNotFoundError: the cluster does not serve it.
        """
        async with self._lookup:
            found: Resource = await self.client.resources.get(api_version=api_version, kind=kind)
            return found


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is listed: a kind of object, in one namespace or (None) all of them."""

    api_version: str
    kind: str
    namespace: str | None = None


def as_it_is(manifest: Manifest) -> Manifest:
    """Return an object as the API's JSON."""
    return manifest


async def follow(
    kinds: Kinds,
    kind: Kind,
    on_list: Callable[[Mapping[Key, Parsed]], Awaitable[None] | None],
    *,
    parse: Callable[[Manifest], Parsed],
    on_trouble: Callable[[Refusal], None] = lambda _: None,
    on_unreadable: Callable[[Key], None] | None = None,
) -> None:
    """
    Keep a list current and hand it over at each change; never returns.

    Args:
        kinds: those of the API server.
        kind: what is listed.
        on_list: called with every object as parsed, by key; the mapping is the same each time.
        parse: an object's JSON to what is kept of it.
        on_trouble: called when a list or watch fails, and tried again after a pause that doubles.
        on_unreadable: called with each object that ``parse`` cannot read, which is left out, so
            that a tenant's own fault takes the list from nobody else; None: then the list fails.
    """
    held = _Held(kind, parse, on_unreadable)
    pause_s, told = LEAST_PAUSE_S, None
    while True:
        try:
            async for listed in _listed(kinds, kind, held):
                pause_s, told = LEAST_PAUSE_S, None
                if (result := on_list(listed)) is not None:
                    await result
        except (*FAULTS, ResourceNotFoundError, *UNREADABLE) as error:
            why = _why(error, kind)
            on_trouble(why)
            if why != told:
                fields = {"kind": kind.kind, "status": why.status, "why": why.message}
                logger.warning("lost a watch", extra={"fields": fields})
            told = why
            await asyncio.sleep(pause_s)
            pause_s = min(MOST_PAUSE_S, 2 * pause_s)


def _why(error: Exception, kind: Kind) -> Refusal:
    if isinstance(error, ResourceNotFoundError):
        return Refusal(status=404, message=f"the cluster has no kind {kind.kind}")
    return refusal(error)


class _Held(Generic[Parsed]):
    """The objects of a list as parsed, by key."""

    def __init__(
        self,
        kind: Kind,
        parse: Callable[[Manifest], Parsed],
        on_unreadable: Callable[[Key], None] | None = None,
    ) -> None:
        self.objects: dict[Key, Parsed] = {}
        self._kind, self._parse, self._on_unreadable = kind, parse, on_unreadable

    def put(self, manifest: Manifest) -> None:
        """Hold an object as it is now; one that cannot be read is not held, where that may be."""
        key = key_of(manifest)
        try:
            self.objects[key] = self._parse(manifest)
        except UNREADABLE as error:
            if self._on_unreadable is None:
                raise
            self.objects.pop(key, None)
            self._on_unreadable(key)
            fields = {"kind": self._kind.kind, "object": "/".join(key), "why": str(error)[:200]}
            logger.warning("an object cannot be read", extra={"fields": fields})


async def _listed(
    kinds: Kinds, kind: Kind, held: _Held[Parsed]
) -> AsyncIterator[Mapping[Key, Parsed]]:
    """Yield a list, and again after each change, until it must be made anew."""
    client, resource = kinds.client, await kinds.find(kind.api_version, kind.kind)
    held.objects = {}
    version = await _list(client, resource, kind, held)
    yield held.objects
    while True:
        async for change, manifest in _changes(client, resource, kind, version):
            if change == "ERROR":
                if manifest.get("code") == GONE:
                    return
                raise ApiException(status=manifest.get("code"), reason=manifest.get("message"))
            version = manifest["metadata"]["resourceVersion"]
            if change == "DELETED":
                held.objects.pop(key_of(manifest), None)
            elif change in {"ADDED", "MODIFIED"}:
                held.put(manifest)
            else:
                continue
            yield held.objects


async def everything(kinds: Kinds, kind: Kind) -> tuple[Manifest, ...]:
    """Return every object of a kind, once; none where the cluster does not serve the kind."""
    try:
        resource = await kinds.find(kind.api_version, kind.kind)
    except ResourceNotFoundError:
        return ()
    held = _Held(kind, as_it_is)
    await _list(kinds.client, resource, kind, held)
    return tuple(held.objects.values())


async def _list(client: DynamicClient, resource: Resource, kind: Kind, held: _Held[Parsed]) -> str:
    """Take in every object of a list; return the version to watch from."""
    onward: dict[str, Any] = {}
    while True:
        answer = await client.get(
            resource, namespace=kind.namespace, limit=PAGE, serialize=False, **onward
        )
        page = json.loads(await answer.read())
        for one in page["items"]:
            held.put({"apiVersion": kind.api_version, "kind": kind.kind, **one})
        rest = page["metadata"].get("continue")
        if not rest:
            version: str = page["metadata"]["resourceVersion"]
            return version
        onward = {"_continue": rest}


async def _changes(
    client: DynamicClient, resource: Resource, kind: Kind, version: str
) -> AsyncIterator[tuple[str, Manifest]]:
    """Yield what happens after a version, for a while."""
    async with asyncio.timeout(WATCH_S + _LATE_S):
        answer = await client.get(
            resource,
            namespace=kind.namespace,
            resource_version=version,
            watch="true",
            timeout_seconds=WATCH_S,
            serialize=False,
        )
    try:
        async for line in _lines(answer.content.iter_any()):
            event = json.loads(line)
            yield event["type"], event["object"]
    finally:
        answer.close()


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of a stream, however long; a last one that was cut is dropped."""
    rest, begun_s = b"", asyncio.get_running_loop().time()
    stream = aiter(chunks)
    while True:
        left_s = begun_s + WATCH_S + _LATE_S - asyncio.get_running_loop().time()
        async with asyncio.timeout(max(0.0, left_s)):
            chunk = await anext(stream, b"")
        if not chunk:
            return
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line
