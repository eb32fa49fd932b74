"""Log lines of a worker on stderr, in the form that the settings ask for."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def to_stderr(level: str, form: str) -> None:
    """Send the log lines of Tasker to stderr.

    Args:
        level: From which level on: debug, info, warning, error, critical.
        form: json, logfmt or console.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(form))
    root = logging.getLogger("tasker")
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False


class Lines(logging.Formatter):
    """One line for each record, with the fields that it was given."""

    def __init__(self, form: str) -> None:
        """Take the form: json, logfmt or console."""
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        fields: dict[str, object] = {
            "time": moment,
            "level": record.levelname.lower(),
            "component": record.name.removeprefix("tasker."),
            "message": record.getMessage(),
        }
        fields |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if self._form == "json":
            return json.dumps(fields, ensure_ascii=False, default=str)
        if self._form == "logfmt":
            return " ".join(f"{key}={json.dumps(str(value), ensure_ascii=False)}" for key, value in fields.items())
        rest = "".join(f" {key}={value}" for key, value in list(fields.items())[4:])
        return f"{moment} {record.levelname:<7} {fields['component']}: {fields['message']}{rest}"
