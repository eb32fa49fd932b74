"""`LogSubscriber`: one structured line for each event."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from tasker_subscribers.base import ReadySubscriber
from tasker_subscribers.event import envelope
from tasker_subscribers.options import BaseConfig, Options
from tasker_subscribers.texts import line

if TYPE_CHECKING:
    from typing import Unpack

    from tasker_subscribers.event import Event

LARGEST_DATA = 8_192  # characters of the body, as JSON
LEVELS = ("debug", "info", "warning", "error", "critical")
FORMS = ("fields", "json")
_LONGEST_LINE = 500
_FAILURES = frozenset({"task.failed", "step.failed"})
_ENVELOPE = {
    "task_id": "stream_id",
    "correlation_id": "correlation_id",
    "step_name": "step",
    "attempt": "attempt",
    "namespace": "namespace",
    "task_name": "task_name",
    "event_id": "event_id",
    "position": "position",
}


class LogConfig(BaseConfig, total=False):
    """Options of `LogSubscriber`.

    Attributes:
        logger: The name of the logger; `tasker.events` goes where Tasker's own lines go.
        level: The level of all lines; by default failures are errors and everything else is info.
        form: `fields` gives the values to the formatter as fields of the record; `json` writes them into the message,
            for formatters that know no fields.
        data: False to leave the body of the event out.
    """

    logger: str
    level: str
    form: str
    data: bool


class LogSubscriber(ReadySubscriber):
    """Writes a line for each event: what happened, to which task and step, and the masked body."""

    name = "log"
    subscribe_to = ("*",)

    def __init__(self, **config: Unpack[LogConfig]) -> None:
        """Take the options of `LogConfig`.

        Raises:
            InvalidDefinition: An option is wrong.
        """
        options = Options(type(self).__qualname__, config, LogConfig)
        super().__init__(options)
        self._logger = logging.getLogger(options.text("logger", "tasker.events"))
        self._level = options.choice("level", "info", LEVELS) if options.has("level") else None
        self._form = options.choice("form", "fields", FORMS)
        self._data = options.flag("data", default=True)

    def handle(self, event: Event) -> None:
        """Write the line of an event."""
        fields, message = self.fields(event), line(self.message(event), _LONGEST_LINE)
        if self._form == "json":
            whole = {"message": message, "time": event.time.isoformat(), **fields}
            self._logger.log(self.level(event), "%s", json.dumps(whole, ensure_ascii=False, default=str))
        else:
            self._logger.log(self.level(event), "%s", message, extra=fields)

    def level(self, event: Event) -> int:
        """Give the level of the line."""
        usual = "error" if event.type in _FAILURES else "info"
        return logging.getLevelNamesMapping()[(self._level or usual).upper()]

    def message(self, event: Event) -> str:
        """Give the text of the line."""
        detail = self.detail(event)
        return f"{self.headline(event)}: {detail}" if detail else self.headline(event)

    def fields(self, event: Event) -> dict[str, Any]:
        """Give the fields of the line; names of fields that records have already are not allowed."""
        found = {field: envelope(event, key) for field, key in _ENVELOPE.items()}
        duration = event.body.get("duration") if event.type.startswith(("task.", "step.")) else None
        if isinstance(duration, int | float):
            found["duration_ms"] = round(duration * 1_000, 3)
        if self._data:
            found["data"] = self._bounded(self.seen(event))
        return {"event": event.type} | {field: value for field, value in found.items() if value is not None}

    @staticmethod
    def _bounded(body: dict[str, Any]) -> object:
        written = json.dumps(body, ensure_ascii=False, default=str)
        return body if len(written) <= LARGEST_DATA else f"{written[:LARGEST_DATA]}… ({len(written)} characters)"
