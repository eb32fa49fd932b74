"""The public face as text, one file for each side of it: what others build upon changes on purpose, or not at all."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.face import command, documents, python

HERE = Path(__file__).parent
SIDES = {
    "python": python.lines,
    "command": command.lines,
    "http": documents.http,
    "events": documents.events,
    "yaml": documents.definition,
    "request": documents.request,
    "settings": documents.settings,
    "metrics": documents.metrics,
}
"""The name of each file, without its ending, and what writes its lines."""


def written(side: str) -> str:
    """Give the text of one side as the code is now."""
    return "".join(f"{line}\n" for line in SIDES[side]())


def kept(side: str) -> Path:
    """Give the file in which a side is kept."""
    return HERE / f"{side}.txt"
