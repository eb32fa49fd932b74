"""Telemetry: traces, metrics and log lines, made of the events that this process appends. It never changes a task."""
