"""What the tests of telemetry share: a provider of the host with an exporter in memory, and words for its spans."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Spans:
    """The spans that a provider has sent."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        """Take the exporter."""
        self._exporter = exporter

    def all(self, name: str | None = None) -> list[ReadableSpan]:
        """Give every span, or those of one name, in the order in which they were sent."""
        return [span for span in self._exporter.get_finished_spans() if name in {None, span.name}]

    def one(self, name: str) -> ReadableSpan:
        """Give the only span of a name."""
        (span,) = self.all(name)
        return span

    def of_step(self, step: str) -> list[ReadableSpan]:
        """Give the spans of a step's attempts."""
        return [span for span in self.all("tasker.step") if span.attributes["tasker.step.name"] == step]


@contextmanager
def host(monkeypatch: pytest.MonkeyPatch, *processors: SpanProcessor) -> Iterator[Spans]:
    """Be a host that has set a provider for its process, for as long as the block lasts."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in (*processors, SimpleSpanProcessor(exporter)):
        provider.add_span_processor(processor)
    with monkeypatch.context() as patched:
        patched.setattr(trace, "_TRACER_PROVIDER", provider)
        yield Spans(exporter)


def names(span: ReadableSpan) -> list[str]:
    """Name the events of a span."""
    return [event.name for event in span.events]
