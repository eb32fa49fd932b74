"""The events that a new subscriber takes: names of the catalogue, names of one's own, and globs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import typer

from tasker.cli.new.names import parts
from tasker.errors import InvalidRequest, near

_GLOB = frozenset("*?[]!")
_SAMPLE = frozenset(
    {
        *("task.created", "task.started", "task.completed", "task.failed"),
        *("step.started", "step.completed", "step.failed"),
    }
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a subscriber takes.

    Attributes:
        all: Names and globs, each once, in the order in which they were given.
        own: The names that are no events of the system.
        globs: Those that select several names.
    """

    all: tuple[str, ...]
    own: tuple[str, ...]
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
    def in_sample(self) -> bool:
        """Tell whether a task that completes and one that fails bring any of them."""
        from tasker.catalog.patterns import Patterns

        return any(map(Patterns(self.all).matches, {*_SAMPLE, *self.own}))


def read_events(texts: Iterable[str]) -> Taken:
    """Read names of events and globs over them, each text with one or several that commas part.

    Raises:
        BadParameter: One can never match an event; near names are offered.
    """
    from tasker.catalog.catalog import system_entries

    known = system_entries()
    names = tuple(dict.fromkeys(parts(texts, "events")))
    for name in names:
        _check(name, known)
    globs = tuple(name for name in names if not _GLOB.isdisjoint(name))
    own = tuple(name for name in names if name not in known and name not in globs)
    return Taken(names, own, globs)


def _check(name: str, known: Iterable[str]) -> None:
    """Refuse what can never match an event."""
    try:
        _checked(name, known)
    except InvalidRequest as error:
        msg = f"events: {error}"
        raise typer.BadParameter(msg) from error


def _checked(name: str, known: Iterable[str]) -> None:
    from tasker.catalog.catalog import RESERVED
    from tasker.catalog.patterns import Patterns
    from tasker.handlers.publishing import check_event_name

    first, dot, _ = name.partition(".")
    if any(map(Patterns(name).matches, known)):
        return
    if first in RESERVED and dot:
        msg = f"expected an event that there is, found {name!r}: names in {first!r} are the system's own"
        raise InvalidRequest(f"{msg}.{near(name, known)} `tasker catalog` lists them")
    if _GLOB.isdisjoint(name):
        check_event_name(name)
