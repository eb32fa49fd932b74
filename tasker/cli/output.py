"""What a command prints: JSON lines if asked for, Rich tables on a terminal, aligned plain text in a pipe."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_STYLES = {
    "complete": "green",
    "error": "red",
    "failed": "red",
    "in_progress": "cyan",
    "waiting_for_retry": "yellow",
    "waiting": "yellow",
    "paused": "yellow",
    "cancelled": "dim",
    "skipped": "dim",
}


def safe(value: object) -> str:
    """Give a value as text in which nothing can steer a terminal."""
    return _CONTROLS.sub(lambda match: f"\\x{ord(match[0]):02x}", shown(value))


def shown(value: object) -> str:
    """Give a value as people read it: times in UTC to the millisecond, nothing for None, JSON for the rest."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    if isinstance(value, str | int | float):
        return str(value)
    return as_json(value)


def as_json(value: object) -> str:
    """Encode a value as JSON on one line; times as RFC 3339 with microseconds."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    return str(value)


class Output:
    """Where a command prints."""

    def __init__(self, *, json_lines: bool) -> None:
        """Take whether JSON lines are wanted."""
        self.json_lines = json_lines

    @property
    def is_terminal(self) -> bool:
        """Tell whether a person watches and colours help."""
        return not self.json_lines and sys.stdout.isatty()

    def say(self, text: str) -> None:
        """Print a line for people; nothing where JSON lines are wanted."""
        if not self.json_lines:
            print(safe(text), flush=True)

    def warn(self, text: str) -> None:
        """Print a line on stderr."""
        print(safe(text), file=sys.stderr, flush=True)

    def one(self, data: Mapping[str, object], text: str) -> None:
        """Print one thing: as a JSON line, or as text."""
        print(as_json(data) if self.json_lines else safe(text), flush=True)

    def facts(self, pairs: Mapping[str, object]) -> None:
        """Print names and values below each other; values that are None or empty are left out."""
        kept = {name: value for name, value in pairs.items() if value not in (None, "", [], {})}
        width = max(map(len, kept), default=0)
        for name, value in kept.items():
            self.say(f"{name:<{width}}  {safe(value)}")

    def table(
        self, columns: Sequence[str], rows: Iterable[Mapping[str, object]], full: Iterable[object] | None = None
    ) -> None:
        """Print rows.

        Args:
            columns: The keys that are shown, in order.
            rows: What is shown of each thing.
            full: What a JSON line holds of each; default: the rows.
        """
        listed = list(rows)
        if self.json_lines:
            for data in listed if full is None else full:
                print(as_json(data), flush=True)
        elif self.is_terminal:
            self._rich(columns, listed)
        else:
            self._aligned(columns, listed)

    def _aligned(self, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
        cells = [[safe(row.get(name)).replace("\n", " ") for name in columns] for row in rows]
        lines = [[name.upper() for name in columns], *cells]
        widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
        for line in lines:
            self.say("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())

    def _rich(self, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for name in columns:
            table.add_column(name.replace("_", " "), overflow="fold")
        for row in rows:
            texts = [safe(row.get(name)) for name in columns]
            table.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in texts))
        Console().print(table)
