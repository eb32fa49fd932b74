"""The events that a new subscriber takes: names of the catalogue, names of one's own, and globs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import typer

from tasker.cli.new.names import parts
from tasker.errors import InvalidRequest

_CHOICE = re.compile(r"\[!?(.)[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a subscriber takes.

    Attributes:
        all: Names and globs, each once, in the order in which they were given.
        globs: Those that select several names.
    """

    all: tuple[str, ...]
    globs: tuple[str, ...]

    @property
    def methods(self) -> dict[str, list[str]]:
        """Give the methods that take single events, each with the names that it takes."""
        found: dict[str, list[str]] = {}
        for name in self.all:
            if name not in self.globs:
                found.setdefault(f"handle_{name.replace('.', '_')}", []).append(name)
        return found

    @property
    def samples(self) -> tuple[str, ...]:
        """Give names of events that it takes: those that are named, and for each glob one that it selects."""
        found = (_sample(name) if name in self.globs else name for name in self.all)
        return tuple(dict.fromkeys(name for name in found if name is not None))


def read_events(texts: Iterable[str]) -> Taken:
    """Read names of events and globs over them, each text with one or several that commas part.

    Raises:
        BadParameter: One can never match an event; near names are offered.
    """
    from tasker.catalog.patterns import GLOB

    names = tuple(dict.fromkeys(parts(texts, "events")))
    for name in names:
        _check(name)
    globs = tuple(name for name in names if not GLOB.isdisjoint(name))
    return Taken(names, globs)


def _sample(glob: str) -> str | None:
    """Give an event that a glob selects, of the system or a possible one of one's own; None where none is at hand."""
    from tasker.catalog.catalog import system_entries
    from tasker.catalog.patterns import Patterns
    from tasker.handlers.publishing import check_event_name

    matches = Patterns(glob).matches
    for name in filter(matches, sorted(system_entries())):
        return name
    made = _CHOICE.sub(r"\1", glob).replace("*", "happened").replace("?", "x")
    try:
        check_event_name(made)
    except InvalidRequest:
        return None
    return made if matches(made) else None


def _check(name: str) -> None:
    """Refuse what can never match an event."""
    from tasker.catalog.catalog import check_selecting
    from tasker.catalog.patterns import Patterns

    try:
        check_selecting(Patterns(name))
    except InvalidRequest as error:
        msg = f"events: {error}"
        raise typer.BadParameter(msg) from error
