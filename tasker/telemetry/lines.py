"""One structured log line for each event that this process appends."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, TextIO

from tasker.domain import events as ev
from tasker.telemetry import facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.domain.events import ControlEvent, TaskStreamEvent
    from tasker.domain.task import Task
    from tasker.redaction import Redactor
    from tasker.telemetry.change import Change
    from tasker.telemetry.routing import Routes

LOGGER = "tasker.tasks"
_LOUD = frozenset({ev.TaskFailed, ev.StepFailed, ev.StepAbandoned})
_SECOND = 1_000_000


class Batched(logging.StreamHandler[TextIO]):
    """Writes the lines of events together, when telemetry has told a batch of them, and all others at once.

    Each write lets go of the interpreter, and to get it back beside a busy engine costs more than to write the line.
    """

    def __init__(self, stream: TextIO) -> None:
        """Take where to write."""
        super().__init__(stream)
        self._kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line of an event, or write a line behind those that were kept."""
        try:
            self._kept.append(self.format(record) + self.terminator)
            if record.name != LOGGER:
                self.flush()
        except Exception:  # noqa: BLE001 - as handlers do: logging reports it and goes on
            self.handleError(record)

    def flush(self) -> None:
        """Write what was kept."""
        with self.lock or nullcontext():
            self._write_kept()
            super().flush()

    def _write_kept(self) -> None:
        kept, self._kept = self._kept, []
        if kept:
            self.stream.write("".join(kept))


class EventLines:
    """Writes events to the logger `tasker.tasks`: what went wrong as warnings, the rest at the level info."""

    def __init__(self, routes: Routes, redactor: Redactor) -> None:
        """Take which events to write."""
        self._log = logging.getLogger(LOGGER)
        self._routes = routes
        self._redactor = redactor
        self._written = False

    def wants(self, changes: Sequence[Change]) -> bool:
        """Say whether anything of it would be written: nobody has to listen, or only to what went wrong."""
        if not self._log.isEnabledFor(logging.WARNING) or not self._log.hasHandlers():
            return False
        if self._log.isEnabledFor(logging.INFO):
            return True
        return any(type(event) in _LOUD for change in changes for event in change.events)

    def take(self, change: Change) -> None:
        """Write the lines of an append."""
        fraction = self._routes.fraction(change.stream_id)
        for event in change.events:
            name = facts.name_of(event)
            route = self._routes.of(name)
            level = logging.WARNING if type(event) in _LOUD else logging.INFO
            if route.logs and route.takes(fraction) and self._log.isEnabledFor(level):
                self._write(level, name, event, _fields(change.after, event, self._redactor))

    def control(self, event: ControlEvent) -> None:
        """Write the line of a pause of a scope, or of its end."""
        if self._routes.of(event.type).logs and self._log.isEnabledFor(logging.INFO):
            said: dict[str, object] = {"scope": event.scope, "actor": event.actor}
            reason = facts.short(event.reason, self._redactor)
            self._write(logging.INFO, event.type, event, said | ({"reason": reason} if reason else {}))

    def flush(self) -> None:
        """Have what was kept written, after a batch."""
        if self._written:
            self._written = False
            for handler in (*self._log.handlers, *logging.getLogger("tasker").handlers, *logging.getLogger().handlers):
                if isinstance(handler, Batched):
                    handler.flush()

    def _write(self, level: int, name: str, event: ev.Event, fields: dict[str, object]) -> None:
        """Hand a record on without looking for a caller: there is none to be named, and it costs half of the line."""
        subject = fields.get("task_name", fields.get("scope"))
        step = fields.get("step_name")
        text = f"{name} {subject}" if step is None else f"{name} {subject}/{step}"
        record = logging.LogRecord(LOGGER, level, "", 0, text, None, None)
        record.created = event.at / _SECOND
        vars(record).update(fields, event=name)
        self._log.handle(record)
        self._written = True


def _fields(task: Task, event: TaskStreamEvent, redactor: Redactor) -> dict[str, object]:
    definition = task.definition
    found: dict[str, object] = {
        "correlation_id": task.request.correlation_id or task.id,
        "task_id": task.id,
        "namespace": definition.namespace,
        "task_name": definition.name,
    }
    if isinstance(event, ev.StepEvent | ev.CustomEvent):
        found["step_name"] = event.step
        found["attempt"] = event.attempt
    duration = getattr(event, "duration", None)
    if duration is not None:
        found["duration_ms"] = round(duration * 1_000, 3)
    error = facts.error_type(event)
    if error is not None:
        found["error_type"] = error
    message = event.error.message if isinstance(event, ev.StepFailed) else getattr(event, "error_message", None)
    if message is not None:
        found["error_message"] = facts.short(message, redactor)
    return found
