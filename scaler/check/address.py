"""Whether KEDA finds the scaler at all: the trigger's type and the address it dials."""

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


def misspelt_trigger(scaled: ScaledObject) -> Finding | None:
    """Return the type of a trigger that names a scaler's address and is none that KEDA knows."""
    for trigger in scaled.spec.triggers:
        if trigger.type in OURS or "scalerAddress" not in trigger.metadata:
            continue
        if meant := closest(trigger.type, OURS):
            why = f"KEDA has no trigger of type {trigger.type}: did you mean {meant}?"
            return error("spec.triggers.type", why)
    return None
