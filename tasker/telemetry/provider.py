"""Where spans go: the provider that the host set for its process, or one by the OTEL_ variables, or nowhere."""

from __future__ import annotations

import os
import sys
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from tasker.instrument import logger
from tasker.telemetry import environment

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_SDK = "opentelemetry.sdk.trace"


class Provider(NamedTuple):
    """A provider of the SDK, and whether it was made here and so has to be shut down here."""

    tracers: TracerProvider
    own: bool

    def close(self, seconds: float) -> None:
        """Send what is left, if it is our own, for so many seconds at most."""
        if self.own:
            ending = Thread(target=self.tracers.shutdown, name="tasker-telemetry-end", daemon=True)
            ending.start()
            ending.join(seconds)


def find(service_name: str) -> Provider | None:
    """Give where spans go, or None: then OpenTelemetry is not even imported.

    Args:
        service_name: The setting; OTEL_SERVICE_NAME wins over it.
    """
    hosts = _hosts()
    if hosts is not None:
        return Provider(hosts, own=False)
    if not environment.wanted(os.environ, environment.TRACES):
        return None
    try:
        return _own(service_name)
    except ModuleNotFoundError as error:
        text = "the OTEL_ variables ask for traces, but %s is not installed; pip install 'tasker-engine[otel]'"
        logger("telemetry").error(text, error.name)
        return None


def _hosts() -> TracerProvider | None:
    """Give the provider that the host has set; who set one has imported the SDK."""
    if _SDK not in sys.modules:
        return None
    from opentelemetry import trace  # noqa: PLC0415 - it is loaded; without it, nothing shall load it
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same

    found = trace.get_tracer_provider()
    return found if isinstance(found, TracerProvider) else None


def _own(service_name: str) -> Provider | None:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - takes a tenth of a second: only where asked for
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - the same

    found = environment.exporters(os.environ, environment.TRACES)
    if not found:
        return None
    resource = Resource.create(environment.service(os.environ, service_name))
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    for exporter in found:
        tracers.add_span_processor(BatchSpanProcessor(exporter))
    return Provider(tracers, own=True)


def publish(provider: Provider) -> None:
    """Make it the provider of the whole process, so that the tracers of handlers send to the same place.

    Only for a command, whose process is Tasker's own.
    """
    from opentelemetry import trace  # noqa: PLC0415 - see `_own`

    if provider.own:
        trace.set_tracer_provider(provider.tracers)
