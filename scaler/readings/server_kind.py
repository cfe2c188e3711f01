"""
Which server answers: what its build information gives away.

Prometheus' own page (``/api/v1/status/buildinfo``) is copied by those that speak its API, so that
panels know what they may ask: VictoriaMetrics calls itself Prometheus 2.24.0 and leaves out the
rest (before that it left out everything), Mimir names its application, Thanos counts from 0.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

VICTORIA_METRICS = "VictoriaMetrics"
_IMITATED = "2.24.0"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerKind:
    """What a server is, as far as it tells."""

    name: str = "unknown"
    version: str | None = None

    def __str__(self) -> str:
        """Return it as people say it."""
        return self.name if self.version is None else f"{self.name} {self.version}"


def kind_of(document: object) -> ServerKind:
    """Return what a server is by the document that its page of build information holds."""
    found = document.get("data") if isinstance(document, Mapping) else None
    data: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    version = str(data["version"]) if data.get("version") else None
    application = data.get("application")
    if application:
        return ServerKind(name=str(application), version=version)
    if version in (None, _IMITATED) and isinstance(found, Mapping) and not data.get("revision"):
        return ServerKind(name=VICTORIA_METRICS)
    if version is None:
        return ServerKind()
    name = "Thanos" if version.startswith("0.") else "Prometheus"
    return ServerKind(name=name, version=version)
