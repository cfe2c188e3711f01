"""Whether KEDA finds the scaler at all: the trigger's type and the address it dials."""

import dataclasses
import re
from collections.abc import Iterator

from scaler.documents.keys import closest

from .finding import METADATA, Finding, error
from .scaled_object import OURS, ScaledObject, TriggerSpec

_FIELD = f"{METADATA}scalerAddress"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,20}://", re.IGNORECASE)
_PORT = re.compile(r":[0-9]{1,5}$")


def scaler_address(spec: TriggerSpec) -> Iterator[Finding]:
    """Yield an address that gRPC does not dial: KEDA hands it on as it stands."""
    address = spec.metadata.get("scalerAddress")
    if not address:
        yield error(
            _FIELD, "not stated. State host:port of kvtide serve, such as kvtide.kvtide:6000"
        )
    elif not isinstance(address, str) or ":///" in address:
        return  # not text, which is an error of its own; or a path of a socket
    elif _SCHEME.match(address):
        bare = _SCHEME.sub("", address).rstrip("/")
        yield error(_FIELD, f"{address} has a scheme, and KEDA dials host:port. State {bare}")
    elif not _PORT.search(address):
        yield error(
            _FIELD, f"{address} has no port, and KEDA dials host:port. State {address}:6000"
        )


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
