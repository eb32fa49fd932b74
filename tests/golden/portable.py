"""Stored rows and folded states as portable JSON, so that every release can read what an earlier one recorded."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path

from tasker.codec.rows import StoredEvent, StreamHeader
from tasker.domain.steps import ChunkedSteps, Steps
from tasker.domain.task import Task

HEX = {
    "stream_id", "event_id", "causation_id", "salt", "payload_hash", "hash", "definition_digest", "identity",
}  # fmt: skip
"""Columns of bytes that are no text."""
TEXT = {"metadata", "data", "payload"}
"""Columns of bytes that are JSON."""


def row_json(row: tuple) -> dict[str, object]:
    """Write the columns of a row, or of its header."""
    shown = {}
    for name, value in row._asdict().items():
        if isinstance(value, StreamHeader):
            shown[name] = row_json(value)
        elif isinstance(value, bytes):
            shown[name] = value.hex() if name in HEX else value.decode()
        else:
            shown[name] = value
    return shown


def row_of(shown: dict[str, object]) -> StoredEvent:
    """Read the columns of a row."""
    header = StreamHeader(**_bytes(shown["header"]))
    return StoredEvent(**{**_bytes(shown), "header": header})


def _bytes(shown):
    def read(name, value):
        if not isinstance(value, str) or name not in HEX | TEXT:
            return value
        return bytes.fromhex(value) if name in HEX else value.encode()

    return {name: read(name, value) for name, value in shown.items()}


def state_json(task: Task) -> object:
    """Write a folded state, its definition by name."""
    return _plain(task._replace(definition=task.definition.full_name, erased=bool(task.erased)))


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Steps | ChunkedSteps):
        return [_plain(state) for state in value]
    if hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


class Golden:
    """One recorded log: its name, its rows, its definitions, and the states that they fold to."""

    def __init__(self, folder: Path) -> None:
        """Read it."""
        head, *lines = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
        plans = (folder / "definitions.jsonl").read_text("utf-8").splitlines()
        self.log_id = bytes.fromhex(head["log_id"])
        self.head = head["head"]
        self.rows = [row_of(line) for line in lines]
        self.definitions = {bytes.fromhex(one["digest"]): one["bytes"].encode() for one in map(json.loads, plans)}
        self.states = json.loads((folder / "states.json").read_text("utf-8"))

    def streams(self) -> dict[bytes, list[StoredEvent]]:
        """Give the rows of each stream of a task."""
        found: dict[bytes, list[StoredEvent]] = {}
        for row in self.rows:
            if row.header.namespace != "$control":
                found.setdefault(row.stream_id, []).append(row)
        return found
