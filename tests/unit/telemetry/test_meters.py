"""Rules of metrics that are sent instead of scraped."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

from tasker.telemetry import environment
from tests.integration.runner_kit import memory_app, plan, step


class Kept(MetricExporter):
    """An exporter that keeps what it is given."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        super().__init__()
        self.points: dict[str, list[object]] = {}
        self.service = ""

    def export(self, metrics_data, timeout_millis=10_000, **_):
        """Keep the last points of each metric."""
        for resource in metrics_data.resource_metrics:
            self.service = resource.resource.attributes["service.name"]
            for scope in resource.scope_metrics:
                self.points |= {metric.name: list(metric.data.data_points) for metric in scope.metrics}
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis=10_000):
        """Keep nothing back."""
        return True

    def shutdown(self, timeout_millis=30_000, **_):
        """Hold nothing."""


@pytest.fixture
def exporter(monkeypatch):
    """Give an exporter that the variables ask for."""
    kept = Kept()
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    monkeypatch.setattr(environment, "exporters", lambda environ, signal: [kept])
    return kept


def test_what_was_counted_is_sent(exporter):
    """Counters, durations and gauges go where the variables say, the last of them when the application is closed."""
    settings = {"telemetry": {"service_name": "shop"}}
    with memory_app(plan(step()), settings=settings) as app:
        for _ in range(3):
            app.submit(name="plan")
        app.run_until_idle()
    place = {"namespace": "default", "name": "plan"}
    assert exporter.service == "shop"
    for name, labels in (("tasker.tasks.completed", place), ("tasker.steps.started", {**place, "step": "a"})):
        (point,) = exporter.points[name]
        assert (point.value, dict(point.attributes)) == (3, labels)
    (lasted,) = exporter.points["tasker.step.duration"]
    assert (lasted.count, dict(lasted.attributes)) == (3, {**place, "step": "a"})
    assert exporter.points["tasker.task.duration"][0].count == 3
    assert {name: exporter.points[f"tasker.{name}"][0].value for name in ("live_tasks", "stuck_slots")} == {
        "live_tasks": 0,
        "stuck_slots": 0,
    }


def test_nothing_is_sent_unasked(monkeypatch):
    """Without the variables there is no meter, and no thread that sends."""
    monkeypatch.delenv("OTEL_METRICS_EXPORTER", raising=False)
    with memory_app(plan(step())) as app:
        app.submit(name="plan")
        app.run_until_idle()
        assert app._engine.context.telemetry._meters is None
