"""The lines of the table of telemetry, with the target that its cost has."""

from __future__ import annotations

from bench.report import Row, at_least, microseconds, rate, times, value
from bench.telemetry import DEFAULT, LINES, OFF, TRACES

_LEAST = 0.85
_KINDS = {
    OFF: "`telemetry.enabled: false`",
    DEFAULT: "telemetry as it is by default: counters, nobody listens",
    TRACES: "and a span for each task and attempt, to an exporter that drops them",
    LINES: "and a JSON line for each event, to where nobody reads it",
}


def telemetry_rows() -> list[Row]:
    """Give the lines: all in one run, in turns, ratios within a turn."""
    found: list[Row] = []
    for kind, what in _KINDS.items():
        steps, cpu = f"telemetry_steps_{kind}", f"telemetry_cpu_us_{kind}"
        ratio = None if kind == OFF else times(value(f"{steps}_ratio"), "without")
        more = None if kind == OFF else times(value(f"{cpu}_ratio"), "without")
        target = f"> {_LEAST} x without" if kind == TRACES else ""
        met = at_least(value(f"{steps}_ratio"), _LEAST) if kind == TRACES else None
        found.append(Row(f"{what}: steps", rate(steps), ratio, target, met))
        found.append(Row(f"{what}: processor time", microseconds(cpu), more))
    return found
