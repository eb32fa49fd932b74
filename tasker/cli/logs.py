"""Log lines of a command that runs tasks, on stderr, in the form that the settings ask for."""

from __future__ import annotations

import json
import logging
import sys
import sysconfig
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasker.cli.output import safe
from tasker.redaction import Redactor, mask_values
from tasker.telemetry import scope
from tasker.telemetry.lines import Batched

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasker.app.tasker import Tasker

_FIRST = ("time", "level", "component", "message")
_ENGINES = (
    "event", "correlation_id", "task_id", "namespace", "task_name", "step_name", "attempt", "duration_ms", "error_type",
)  # fmt: skip
"""Fields whose values are the engine's own: names, ids and numbers, nothing to mask."""
_NOT_THEIRS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", *_ENGINES}
_JSON = json.JSONEncoder(ensure_ascii=False, default=str)
_OURS = frozenset({"tasker", "tasker_subscribers"})


def to_stderr(level: str, form: str) -> None:
    """Send all log lines of this process to stderr: Tasker's, and those that handlers write with their own loggers.

    Args:
        level: From which level on: debug, info, warning, error, critical.
        form: json, logfmt or console.
    """
    handler = Batched(sys.stderr)
    handler.setFormatter(Lines(form))
    handler.addFilter(Noise())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def observe(app: Tasker) -> None:
    """Tell the telemetry of a command of its application.

    So it knows whose log lines are the user's and what is masked in them, and spans of handlers' own tracers are sent.

    Args:
        app: The application, with its definitions loaded.
    """
    settings = app.settings
    references = [settings.app or "", *(one.class_ for one in settings.subscribers)]
    references += [step.handler for definition in app.definitions() for step in definition.step_templates]
    redactor = Redactor(settings.telemetry.filter_keys, settings.telemetry.mask)
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, Lines):
            handler.setFormatter(Lines(handler.formatter.form, redactor))
        for noise in handler.filters:
            if isinstance(noise, Noise):
                noise.let_in(references)
    app.publish_telemetry()


class Noise(logging.Filter):
    """Lets warnings of everybody pass, and below that only what Tasker and the user's own code say.

    Code is the user's unless it is installed like a library; of that, the packages count that handlers come from.
    """

    def __init__(self) -> None:
        """Know Tasker's own packages."""
        super().__init__()
        self._own = set(_OURS)
        self._libraries = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})

    def let_in(self, references: Iterable[str]) -> None:
        """Take the packages of references such as `shop.handlers:Pay` for the user's own."""
        self._own.update(one.partition(":")[0].partition(".")[0] for one in references if one)

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line is written."""
        if record.levelno >= logging.WARNING or record.name.partition(".")[0] in self._own:
            return True
        return not record.pathname.startswith(self._libraries)


class Lines(logging.Formatter):
    """One line for each record: its fields, those of the attempt in which it was written, secrets masked."""

    def __init__(self, form: str, redactor: Redactor | None = None) -> None:
        """Take the form (json, logfmt or console) and what masks secrets."""
        super().__init__()
        self.form = form
        self._redactor = redactor or Redactor()

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        fields: dict[str, object] = {
            "time": moment,
            "level": record.levelname.lower(),
            "component": record.name.removeprefix("tasker."),
            "message": self._redactor.url(record.getMessage()),
        }
        fields |= scope.fields()
        given = vars(record)
        theirs = {key: value for key, value in given.items() if key not in _NOT_THEIRS}
        fields |= {key: given[key] for key in _ENGINES if key in given}
        if record.exc_info:
            theirs["exception"] = self.formatException(record.exc_info)
        masked = self._redactor.mapping(theirs) if theirs else None
        if isinstance(masked, dict):
            fields |= masked
        hidden = mask_values(fields, scope.secrets())
        if isinstance(hidden, dict):
            fields = hidden
        return self._written(record.levelname, fields)

    def _written(self, level: str, fields: dict[str, object]) -> str:
        if self.form == "json":
            return _JSON.encode(fields)
        if self.form == "logfmt":
            return " ".join(f"{key}={json.dumps(str(value), ensure_ascii=False)}" for key, value in fields.items())
        rest = "".join(f" {key}={value}" for key, value in fields.items() if key not in _FIRST)
        return safe(f"{fields['time']} {level:<7} {fields['component']}: {fields['message']}{rest}")
