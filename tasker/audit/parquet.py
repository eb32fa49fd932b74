"""Export into a Parquet file, which analysts read without Tasker. The library for it is an extra."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Self

import orjson

from tasker.clock import parse_rfc3339
from tasker.errors import InvalidRequest, TaskerError

if TYPE_CHECKING:
    from types import ModuleType

_ROWS = 20_000
_TEXTS = (
    "id", "source", "type", "subject", "dataschema", "taskname", "step", "correlationid", "causationid", "actor",
    "traceparent",
)  # fmt: skip
_NUMBERS = ("position", "streamversion", "attempt")


class ParquetFile:
    """A Parquet file with a row for each event: its CloudEvents attributes, `time` as a moment, `data` as JSON.

    It gets its name when it is whole; what was begun and not ended is removed.
    """

    def __init__(self, path: Path) -> None:
        """Take its place.

        Raises:
            InvalidRequest: There is a file already.
            TaskerError: The extra is not installed.
        """
        self._arrow, self._format = _libraries()
        if path.exists():
            raise InvalidRequest(f"{path}: expected no file, found one. Name another one")
        self._path, self._part = path, path.with_name(path.name + ".part")
        self._rows: list[dict[str, object]] = []
        arrow = self._arrow
        kinds = dict.fromkeys(_NUMBERS, arrow.int64()) | {"time": arrow.timestamp("us", tz="UTC")}
        self._schema = arrow.schema(list((kinds | dict.fromkeys((*_TEXTS, "data"), arrow.string())).items()))

    def __enter__(self) -> Self:
        """Begin the file.

        Raises:
            InvalidRequest: It cannot be written.
        """
        try:
            self._writer = self._format.ParquetWriter(self._part, self._schema)
        except OSError as error:
            raise InvalidRequest(f"{self._path}: expected a file that can be written, found {error}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the file and give it its name, or remove it."""
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()
        if kind is not None:
            self._part.unlink()
            return
        with self._part.open("rb+") as file:
            os.fsync(file.fileno())
        self._part.rename(self._path)

    def write(self, lines: bytes) -> None:
        """Take lines of CloudEvents."""
        for line in lines.splitlines():
            event = orjson.loads(line)
            event["time"] = parse_rfc3339(event["time"])
            event["data"] = orjson.dumps(event["data"]).decode()
            self._rows.append(event)
        if len(self._rows) >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        columns = {name: [row.get(name) for row in rows] for name in self._schema.names}
        self._writer.write_table(self._arrow.table(columns, schema=self._schema))


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        message = f"Parquet needs the extra 'parquet' ({error}). Run: pip install 'tasker-engine[parquet]'"
        raise TaskerError(message) from error
