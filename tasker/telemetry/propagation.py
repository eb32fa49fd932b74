"""The trace that a request is part of: that of the span in which it is submitted, as `traceparent` and `tracestate`."""

from __future__ import annotations

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_WRITE = TraceContextTextMapPropagator()


def current() -> dict[str, str]:
    """Give the current span's context in the form of W3C Trace Context; {} outside of spans."""
    carrier: dict[str, str] = {}
    _WRITE.inject(carrier)
    return carrier
