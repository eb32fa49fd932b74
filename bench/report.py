"""Figures as a table: each beside the floor or the peer of the same run, and the target it has."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench.setting import ROOT
from tasker.fold import implementation

Numbers = Mapping[str, float]
Met = Callable[[Numbers], bool] | None
_SQLITE = "SQLite file, WAL, synchronous=FULL, about 230 bytes an event and 50 in its index"
DOCUMENT = ROOT / "docs" / "PERFORMANCE.md"


class Row(NamedTuple):
    """One line of the table; it is left out where one of its figures was not measured.

    Attributes:
        what: What was measured; names in braces are replaced by what the run says of itself.
        shown: Writes the figure.
        ratio: Writes its ratio to something of the same run; None for none.
        target: What the ratio or the figure should reach, for people.
        met: Says whether it does.
        needs: What the run may have had to do without; then the line stays and says so.
    """

    what: str
    shown: Callable[[Numbers], str]
    ratio: Callable[[Numbers], str] | None = None
    target: str = ""
    met: Met = None
    needs: str = ""

    def cells(self, figures: Numbers, notes: Mapping[str, str], missing: Mapping[str, str]) -> list[str]:
        """Write the line; empty where a figure is missing."""
        what = self.what.format_map(defaultdict(str, notes))
        try:
            ratio = "" if self.ratio is None else self.ratio(figures)
            met = "" if self.met is None else "yes" if self.met(figures) else "**no**"
            return [what, self.shown(figures), ratio, self.target, met]
        except KeyError:
            why = missing.get(self.needs, "").partition(":")[0]
            return [what, why, "", self.target, ""] if why else []


def rate(key: str) -> Callable[[Numbers], str]:
    """Write a rate."""
    return lambda figures: f"{figures[key]:,.0f}/s"


def millions(key: str) -> Callable[[Numbers], str]:
    """Write a rate in millions."""
    return lambda figures: f"{figures[key] / 1e6:,.2f} M/s"


def milliseconds(key: str, digits: int = 2) -> Callable[[Numbers], str]:
    """Write milliseconds."""
    return lambda figures: f"{figures[key]:.{digits}f} ms"


def seconds(key: str) -> Callable[[Numbers], str]:
    """Write seconds."""
    return lambda figures: f"{figures[key]:.2f} s"


def microseconds(key: str) -> Callable[[Numbers], str]:
    """Write microseconds for each step."""
    return lambda figures: f"{figures[key]:,.0f} µs/step"


def value(key: str) -> Callable[[Numbers], float]:
    """Give a figure."""
    return lambda figures: figures[key]


def times(ratio: Callable[[Numbers], float], of: str) -> Callable[[Numbers], str]:
    """Write a ratio, and to what."""
    return lambda figures: f"{ratio(figures):.2f} x {of}"


def at_most(figure: Callable[[Numbers], float], most: float) -> Callable[[Numbers], bool]:
    """Say whether a figure is small enough."""
    return lambda figures: figure(figures) <= most


def at_least(figure: Callable[[Numbers], float], least: float) -> Callable[[Numbers], bool]:
    """Say whether a figure is large enough."""
    return lambda figures: figure(figures) >= least


class Report(NamedTuple):
    """What a run found, and what people must know of it.

    Attributes:
        figures: The medians.
        notes: What is no number.
        missing: What was left out, and why.
        command: How the run was started.
        rounds: How many rounds it had.
        durability: What a returned append survives there, and by which settings.
    """

    figures: Numbers
    notes: Mapping[str, str]
    missing: Mapping[str, str]
    command: str
    rounds: int
    durability: str = _SQLITE

    def about(self) -> dict[str, str]:
        """Name machine, settings, durability, date and command."""
        several = f"medians of {self.rounds} rounds, every second one backwards"
        many = several if self.rounds > 1 else "one round"
        return {
            "machine": _machine(),
            "durability": self.durability,
            "settings": f"{many}; each figure in a process of its own; fold: {implementation()}; handlers do nothing",
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "command": self.command,
        }

    def kept(self) -> dict[str, object]:
        """Give what is kept of it in a file, for machines."""
        return {**self.about(), "missing": self.missing, "notes": self.notes, "figures": self.figures}

    def table(self, rows: list[Row]) -> str:
        """Write the table in Markdown."""
        about = self.about()
        lines = [
            "{machine}. {durability}; {settings}. Made by `{command}` on {date}.".format_map(about),
            "",
            "| what | figure | ratio | target | met |",
            "|---|---:|---:|---|---|",
        ]
        cells = (row.cells(self.figures, self.notes, self.missing) for row in rows)
        lines += ["| " + " | ".join(line) + " |" for line in cells if line]
        lines += [f"\nLeft out: {name}: {why}." for name, why in self.missing.items()]
        return "\n".join(lines) + "\n"


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    model = next(names, platform.machine())
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.release()}, {versions}"


def put(mark: str, text: str) -> None:
    """Put a text into the document, between `<!-- mark -->` and `<!-- end of mark -->`, or at its end."""
    name = mark.partition(":")[0]
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {name} -->"
    before, _, rest = DOCUMENT.read_text().partition(begin)
    after = rest.partition(end)[2] or "\n"
    DOCUMENT.write_text(f"{before}{begin}\n{text}\n{end}{after}")
