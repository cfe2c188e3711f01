"""
OpenTelemetry traces: a span of each round, query and RPC, where the environment asks for them.

Off unless one of the standard variables asks (``OTEL_TRACES_EXPORTER``, or an endpoint of
``OTEL_EXPORTER_OTLP…``); where spans go, with which headers, and how many of them, is said by those
variables alone. Nothing of a credential is in a span: addresses are without user and parameters,
errors are told as they are in the log.
"""

import contextlib
import importlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from scaler.errors import ConfigurationError, Problem

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTERS = {
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
}
"""By protocol; the first is the one that the specification recommends as the default."""
_FLUSH_S = 1.0
"""What the last spans get when the process ends."""

ERROR, _MESSAGE = "error.type", "error.message"
Attribute = str | int | float | bool
"""What a span may say; None is left out."""


class Tracer:
    """Makes spans; one without a provider makes none, and costs nothing."""

    def __init__(self, provider: Any = None) -> None:  # noqa: ANN401 -- the SDK's, if it is there
        self._provider = provider
        self._tracer = None
        if provider is not None:
            self._api = importlib.import_module("opentelemetry.trace")
            self._tracer = provider.get_tracer("kvtide")

    @contextlib.contextmanager
    def span(
        self,
        name: str,
        *,
        kind: str = "INTERNAL",
        parent: Mapping[str, str] | None = None,
        **attributes: Attribute | None,
    ) -> Iterator[dict[str, Attribute]]:
        """
        Measure the body; what goes wrong in it is the span's status and is raised on.

        Args:
            name: what is done.
            kind: ``INTERNAL``, ``CLIENT`` or ``SERVER``.
            parent: headers of a caller who traces (W3C's ``traceparent``).
            attributes: with ``__`` for the dots of OpenTelemetry's names.

        Yields:
            What more is to be said, by OpenTelemetry's own names; it is read at the end.
        """
        told: dict[str, Attribute] = {}
        if self._tracer is None:
            yield told
            return
        said = {key.replace("__", "."): value for key, value in attributes.items()}
        with self._tracer.start_as_current_span(
            name,
            context=None if parent is None else _context(parent),
            kind=self._api.SpanKind[kind],
            attributes={key: value for key, value in said.items() if value is not None},
            record_exception=False,  # its stack says more than a trace should
            set_status_on_exception=False,
        ) as span:
            try:
                yield told
            except Exception as error:
                told |= failed(getattr(error, "kind", type(error).__name__), str(error))
                raise
            finally:
                if ERROR in told:
                    span.set_status(self._api.StatusCode.ERROR, told.pop(_MESSAGE, None))
                span.set_attributes(told)

    def end(self) -> None:
        """Send what is left; a receiver that does not answer is waited for a second."""
        if self._provider is not None:
            last = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
            last.start()
            last.join(_FLUSH_S)


NO_TRACER = Tracer()


def failed(kind: str, message: str) -> dict[str, Attribute]:
    """Return what a span says of something that went wrong, and was not raised."""
    return {ERROR: kind, _MESSAGE: message}


def tracer(environment: Mapping[str, str], version: str) -> Tracer:
    """
    Return what the standard variables ask for.

    Raises:
        ConfigurationError: an exporter or a protocol that there is not, or no extra ``otel``.
    """
    if not _is_asked_for(environment):
        return NO_TRACER
    names = ("opentelemetry.sdk.trace", "opentelemetry.sdk.trace.export")
    sdk, export = (_module(name) for name in names)
    resources = _module("opentelemetry.sdk.resources")
    is_named = "OTEL_SERVICE_NAME" in environment or "service.name" in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    about = {"service.version": version} | ({} if is_named else {"service.name": "kvtide"})
    provider = sdk.TracerProvider(
        resource=resources.Resource.create(about),
        shutdown_on_exit=False,  # atexit would wait for a receiver that is away
    )
    if _exporter(environment) == "console":
        exporter = export.ConsoleSpanExporter()
    else:
        exporter = _module(_EXPORTERS[_protocol(environment)]).OTLPSpanExporter()
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    return Tracer(provider)


def _is_asked_for(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if _exporter(environment) == "none":
        return False
    asked = ("OTEL_TRACES_EXPORTER", *_ENDPOINTS)
    return any(environment.get(name, "").strip() for name in asked)


def _exporter(environment: Mapping[str, str]) -> str:
    name = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if name not in ("otlp", "console", "none"):
        raise _wrong("OTEL_TRACES_EXPORTER", name, "otlp, console or none")
    return name


def _protocol(environment: Mapping[str, str]) -> str:
    for variable in _PROTOCOLS:
        if name := environment.get(variable, "").strip():
            if name not in _EXPORTERS:
                raise _wrong(variable, name, " or ".join(_EXPORTERS))
            return name
    return next(iter(_EXPORTERS))


def _context(headers: Mapping[str, str]) -> Any:  # noqa: ANN401
    return importlib.import_module("opentelemetry.propagate").extract(headers)


def _module(name: str) -> Any:  # noqa: ANN401
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".trace")[0].replace(".", "-")
        raise _wrong(
            "OTEL_…",
            f"traces need the package {package}: pip install 'kvtide[otel]'",
        ) from None


def _wrong(field: str, got: str, allowed: str = "") -> ConfigurationError:
    return ConfigurationError(Problem(field=field, got=got, allowed=allowed))
