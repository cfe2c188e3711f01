"""Whether KEDA finds the scaler at all: the trigger's type and the address it dials."""

import dataclasses
import re
from collections.abc import Iterator

from scaler.documents.keys import closest

from .finding import METADATA, Finding, error
from .scaled_object import OURS, ScaledObject, TriggerSpec

_FIELD = f"{METADATA}scalerAddress"
_ADDRESS = re.compile(
    r"""
    (?P<scheme> [a-zA-Z][a-zA-Z0-9+.-]{0,20}:// )?
    (?P<host> [^\s:/\[\]]+ | \[[0-9a-fA-F:.]+\] )
    (?: : (?P<port> [^/:]* ) )?
    (?P<path> /.* )?
    """,
    re.VERBOSE,
)
_PORT = "6000"
"""The one that ``kvtide serve`` listens on where nothing else is stated."""


def scaler_address(spec: TriggerSpec) -> Iterator[Finding]:
    """Yield an address that gRPC does not dial: KEDA hands it on as it stands."""
    address = spec.metadata.get("scalerAddress")
    if not address:
        yield error(
            _FIELD, "not stated. State host:port of kvtide serve, such as kvtide.kvtide:6000"
        )
    elif isinstance(address, str) and ":///" not in address:  # else no text, or gRPC's own form
        parts = _ADDRESS.fullmatch(address.strip())
        if parts is None:
            why = "is no host:port, which KEDA dials. State it, IPv6 in brackets: [fd00::6]:6000"
            yield error(_FIELD, f"{address} {why}")
        else:
            yield from _dialled(address, parts)


def _dialled(address: str, parts: re.Match[str]) -> Iterator[Finding]:
    """Yield what an address has too much or too little of."""
    port = parts["port"] or ""
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535
    meant = f"{parts['host']}:{port if is_port else _PORT}"
    if meant == address:
        return
    if parts["scheme"]:
        why = "has a scheme"
    elif not port:
        why = "has no port"
    elif not is_port:
        why = f"has a port ({port}) that is no number from 1 to 65535"
    else:
        why = "has a path" if parts["path"] else "has spaces around it"
    yield error(_FIELD, f"{address} {why}, and KEDA dials host:port. State {meant}")


def as_meant(scaled: ScaledObject) -> tuple[ScaledObject, tuple[Finding, ...]]:
    """Return an object whose triggers that name a scaler's address are of types that KEDA knows."""
    triggers, found = [], []
    for trigger in scaled.spec.triggers:
        meant = None
        if trigger.type not in OURS and "scalerAddress" in trigger.metadata:
            meant = closest(trigger.type, OURS)
        if meant is not None:
            why = f"KEDA has no trigger of type {trigger.type}: did you mean {meant}?"
            found.append(error("spec.triggers.type", why))
        triggers.append(dataclasses.replace(trigger, type=meant or trigger.type))
    spec = dataclasses.replace(scaled.spec, triggers=tuple(triggers))
    return dataclasses.replace(scaled, spec=spec), tuple(found)
