"""What the standard OTEL_ variables ask for: which exporters, under which service name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasker.instrument import logger

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACES, METRICS = "TRACES", "METRICS"
_OTLP, _NONE = "otlp", "none"
_INSTALL = "pip install 'tasker-engine[otel]'"


def wanted(environ: Mapping[str, str], signal: str) -> tuple[str, ...]:
    """Name the exporters that the variables ask for; none of the variables set asks for none.

    Args:
        environ: The environment.
        signal: `TRACES` or `METRICS`.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    named = [one.strip() for one in environ.get(f"OTEL_{signal}_EXPORTER", "").split(",") if one.strip()]
    if not named and any(environ.get(name) for name in (_endpoint(""), _endpoint(f"{signal}_"))):
        named = [_OTLP]
    return tuple(_with_protocol(one, environ, signal) for one in named if one != _NONE)


def _endpoint(signal: str) -> str:
    return f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT"


def _with_protocol(name: str, environ: Mapping[str, str], signal: str) -> str:
    """Name the entry point of an exporter; OTLP is spoken over HTTP unless the variables say otherwise."""
    if name != _OTLP:
        return name
    general = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or general
    return "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"


def service(environ: Mapping[str, str], configured: str) -> dict[str, str]:
    """Give the attribute of the service's name, unless the variables name it: they win."""
    listed = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    named = environ.get("OTEL_SERVICE_NAME") or any(
        one.partition("=")[0].strip() == "service.name" for one in listed.split(",")
    )
    return {} if named else {"service.name": configured}


def exporters(environ: Mapping[str, str], signal: str) -> list[Any]:
    """Build the exporters that the variables ask for; what cannot be built is logged and left out.

    Returns:
        Exporters of the SDK, of spans or of metrics; their constructors read the remaining variables.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to import, and seldom needed

    found: list[Any] = []
    group = f"opentelemetry_{signal.lower()}_exporter"
    for name in wanted(environ, signal):
        points = list(entry_points(group=group, name=name))
        if not points:
            text = "the OTEL_ variables ask for the exporter %s, expected it installed, found none; %s"
            logger("telemetry").error(text, name, _INSTALL)
            continue
        try:
            found.append(points[0].load()())
        except Exception as error:  # noqa: BLE001 - reported; a wrong variable of an exporter must not fail a task
            text = "the exporter %s cannot be made, nothing is sent by it: %s; check the OTEL_EXPORTER_ variables"
            logger("telemetry").error(text, name, type(error).__qualname__)
    return found
