"""Metrics in the text formats of Prometheus, by its own client; each application has a registry of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from tasker.telemetry.counts import BUCKETS, STEPS, TASKS
from tasker.telemetry.incidents import INCIDENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import Metric

    from tasker.telemetry.counts import Counts, Place, Snapshot
    from tasker.telemetry.gauges import Gauges
    from tasker.telemetry.telemetry import Telemetry

_TASK, _STEP = ("namespace", "name"), ("namespace", "name", "step")


class Exposition:
    """Everything that one application shows."""

    def __init__(self, telemetry: Telemetry) -> None:
        """Take what has counted."""
        self._registry = CollectorRegistry()
        self._collected = _Collected(telemetry.counts)
        self._telemetry = telemetry
        self._registry.register(self._collected)

    def render(self, gauges: Gauges, accept: str) -> tuple[bytes, str]:
        """Write the metrics; one call at a time.

        Args:
            gauges: What was read for this scrape.
            accept: What the scraper wants: OpenMetrics, or the classic text format.

        Returns:
            The bytes and their content type.
        """
        self._collected.gauges = gauges
        self._collected.dropped = self._telemetry.dropped
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Collected(Collector):
    """What was counted, in the terms of the client."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self.gauges: Gauges | None = None
        self.dropped = 0

    def collect(self) -> Iterator[Metric]:
        """Give every family."""
        counted = self._counts.snapshot()
        yield from _events(counted)
        yield from _durations(counted)
        incidents = CounterMetricFamily("tasker_incidents", "What parts of Tasker had to pass over", labels=("kind",))
        for kind, count in sorted(INCIDENTS.snapshot().items()):
            incidents.add_metric((kind,), count)
        yield incidents
        told = "Appends that became no span and no log line, because an exporter or a reader of lines was too slow"
        yield CounterMetricFamily("tasker_telemetry_dropped", told, value=self.dropped)
        if self.gauges is not None:
            yield from _gauges(self.gauges)

    def describe(self) -> Iterable[Metric]:
        """Describe nothing before the first scrape."""
        return ()


def _labels(place: Place) -> tuple[str, ...]:
    return tuple(one for one in place if one is not None)


def _events(counted: Snapshot) -> Iterator[Metric]:
    for what, kinds, labels in (("tasks", TASKS, _TASK), ("steps", STEPS, _STEP)):
        for kind, word in kinds.items():
            family = CounterMetricFamily(f"tasker_{what}_{word}", f"Events {kind.type} appended here", labels=labels)
            for (event, place), count in counted.events.items():
                if event is kind:
                    family.add_metric(_labels(place), count)
            yield family


def _durations(counted: Snapshot) -> Iterator[Metric]:
    told = "Seconds from a task's creation to its end"
    tasks = HistogramMetricFamily("tasker_task_duration_seconds", told, labels=_TASK)
    steps = HistogramMetricFamily("tasker_step_duration_seconds", "Seconds of attempts", labels=_STEP)
    for place, histogram in counted.durations.items():
        buckets, below = list[tuple[str, float]](), 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), histogram.buckets, strict=True):
            below += count
            buckets.append((bound, below))
        (tasks if place.step is None else steps).add_metric(_labels(place), buckets, histogram.total)
    yield tasks
    yield steps


def _gauges(gauges: Gauges) -> Iterator[Metric]:
    if gauges.live_tasks is not None:
        told = "Tasks of the whole log that have not ended"
        yield GaugeMetricFamily("tasker_live_tasks", told, value=gauges.live_tasks)
    if gauges.ready_steps is not None:
        told = "Steps of the whole log that could start now"
        yield GaugeMetricFamily("tasker_ready_steps", told, value=gauges.ready_steps)
    if gauges.lags is not None:
        told = "Events that a durable subscription has yet to take"
        family = GaugeMetricFamily("tasker_subscription_lag", told, labels=("subscription",))
        for name, lag in sorted(gauges.lags.items()):
            family.add_metric((name,), lag)
        yield family
    told = "Slots of this process held by handlers whose time has run out"
    yield GaugeMetricFamily("tasker_stuck_slots", told, value=gauges.stuck_slots)
