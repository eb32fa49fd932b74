"""Metrics over OTLP, for processes that nobody scrapes; sent where the OTEL_ variables say, and only if they do."""

from __future__ import annotations

from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from tasker.domain import events as ev
from tasker.telemetry.counts import BUCKETS, STEPS, TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tasker.telemetry.change import Change
    from tasker.telemetry.counts import Counts
    from tasker.telemetry.gauges import Gauges

_TASK_ENDS, _STEP_ENDS = (ev.TaskCompleted, ev.TaskFailed), (ev.StepCompleted, ev.StepFailed)


class Meters:
    """Sends the counters of an application, its durations and, where it knows them, its gauges."""

    def __init__(
        self,
        exporters: Sequence[Any],
        attributes: Mapping[str, str],
        counts: Counts,
        gauges: Callable[[], Gauges] | None,
    ) -> None:
        """Begin to send, once a minute unless the variables say otherwise.

        Args:
            exporters: Metric exporters of the SDK.
            attributes: The service's name, unless the variables name it.
            counts: What has counted.
            gauges: Reads how things stand; None to send no gauges.
        """
        readers = [PeriodicExportingMetricReader(one) for one in exporters]
        resource = Resource.create(dict(attributes))
        self._provider = MeterProvider(readers, resource, shutdown_on_exit=False)
        self._counts = counts
        self._gauges = gauges
        meter = self._provider.get_meter("tasker")
        for what, kinds in (("tasks", TASKS), ("steps", STEPS)):
            for kind, word in kinds.items():
                meter.create_observable_counter(f"tasker.{what}.{word}", [partial(self._counted, kind)])
        self._tasks, self._steps = (
            meter.create_histogram(f"tasker.{one}.duration", "s", explicit_bucket_boundaries_advisory=BUCKETS)
            for one in ("task", "step")
        )
        if gauges is not None:
            for name in ("live_tasks", "ready_steps", "stuck_slots"):
                meter.create_observable_gauge(f"tasker.{name}", [partial(self._stands, name)])
            meter.create_observable_gauge("tasker.subscription_lag", [self._lags])

    def take(self, change: Change) -> None:
        """Note the durations of an append."""
        definition = change.after.definition
        labels = {"namespace": definition.namespace, "name": definition.name}
        for event in change.events:
            if isinstance(event, _TASK_ENDS):
                self._tasks.record(event.duration, labels)
            elif isinstance(event, _STEP_ENDS) and event.duration is not None:
                self._steps.record(event.duration, {**labels, "step": event.step})

    def close(self, seconds: float) -> None:
        """Send what is left, for so many seconds at most."""
        ending = Thread(target=self._provider.shutdown, name="tasker-telemetry-end", daemon=True)
        ending.start()
        ending.join(seconds)

    def _counted(self, kind: type[ev.Event], _: CallbackOptions) -> Iterable[Observation]:
        for (event, place), count in self._counts.snapshot().events.items():
            if event is kind:
                yield Observation(count, {name: value for name, value in place._asdict().items() if value is not None})

    def _stands(self, name: str, _: CallbackOptions) -> Iterable[Observation]:
        value = None if self._gauges is None else getattr(self._gauges(), name)
        return [] if value is None else [Observation(value)]

    def _lags(self, _: CallbackOptions) -> Iterable[Observation]:
        lags = None if self._gauges is None else self._gauges().lags
        return [Observation(lag, {"subscription": name}) for name, lag in (lags or {}).items()]
