"""What telemetry costs: tasks of four steps without it, with its counters, with spans, and with log lines, in turns."""

from __future__ import annotations

import logging
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

from bench import handlers
from bench.setting import Bench, Figures, head_of
from bench.sums import middle
from tasker import Tasker
from tasker.cli.logs import Lines
from tasker.telemetry.lines import Batched

OFF, DEFAULT, TRACES, LINES = "off", "default", "traces", "lines"
_STEPS, _SLOTS = 4, 64


def telemetry(bench: Bench) -> Figures:
    """Run the same work with more and more telemetry; each figure also as a ratio to none, of the same turn."""
    values: dict[str, list[float]] = defaultdict(list)
    kinds = [OFF, DEFAULT, TRACES, LINES]
    for turn in range(bench.pick(2, 8)):
        first = turn % len(kinds)
        taken = {kind: _measured(bench, kind) for kind in kinds[first:] + kinds[:first]}
        for kind, figures in taken.items():
            for key, value in figures.items():
                values[f"telemetry_{key}_{kind}"].append(value)
                values[f"telemetry_{key}_{kind}_ratio"].append(value / taken[OFF][key])
    return {key: middle(some) for key, some in values.items()}


def _measured(bench: Bench, kind: str) -> Figures:
    """Give steps a second until the last end is recorded, and the processor's microseconds for each."""
    url, tasks = bench.url(), bench.pick(500, 2500)
    with ExitStack() as stack:
        if kind in {TRACES, LINES}:
            stack.enter_context(_spans_to_nowhere())
        if kind == LINES:
            stack.enter_context(_lines_to_nowhere())
        settings = {"telemetry": {"enabled": kind != OFF}}
        app = stack.enter_context(Tasker(url, settings=settings, concurrency=_SLOTS))
        app.register(handlers.chain(_STEPS))
        app.run_until_complete(app.submit(name="chain").id)
        app.run_until_idle()
        before, began, used = head_of(url), time.time(), time.process_time()
        app.submit_many([{"name": "chain", "context": {"n": number}} for number in range(tasks)])
        app.run_until_idle()
        used = time.process_time() - used
        ends = [event.time.timestamp() for event in app.events(types="task.completed", after=before)]
    if len(ends) != tasks:
        raise RuntimeError(f"expected {tasks} completed tasks, found {len(ends)}")
    steps = tasks * _STEPS
    return {"steps": steps / (max(ends) - began), "cpu_us": used / steps * 1e6}


@contextmanager
def _spans_to_nowhere() -> Iterator[None]:
    """Be a host with a provider whose exporter drops what it is given, in batches as the SDK makes them."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=100_000))
    with mock.patch.object(trace, "_TRACER_PROVIDER", provider):
        yield
    provider.shutdown()


@contextmanager
def _lines_to_nowhere() -> Iterator[None]:
    """Write log lines as a worker does, to where nobody reads them."""
    root = logging.getLogger()
    before = root.level
    with open(os.devnull, "w", encoding="utf-8") as file:  # noqa: PTH123 - a device
        handler = Batched(file)
        handler.setFormatter(Lines("json"))
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        yield
        root.removeHandler(handler)
        root.setLevel(before)
