"""Globs over event names, in the one form that `subscribe_to`, `bus.on` and the `types` of `events()` share."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING

from tasker.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

GLOB = frozenset("*?[]!")
"""What no name has: signs by which a glob selects several."""

_REMEMBERED = 10_000
_FORM = re.compile(r"[A-Za-z0-9_.*?\[\]!$-]+")


class Patterns:
    """Globs that select event names: `*` is any text, dots too; `?` one character; `[ab]` one of these."""

    __slots__ = ("_known", "_regex", "globs")

    def __init__(self, globs: str | Iterable[str]) -> None:
        """Compile one glob or several.

        Raises:
            InvalidRequest: There is none, or one is no text that could match a name.
        """
        self.globs = _checked(globs)
        self._regex = re.compile("|".join(translate(glob) for glob in self.globs))
        self._known: dict[str, bool] = {}

    def matches(self, name: str) -> bool:
        """Tell whether any of the globs selects this name; answers are remembered, for it is asked for each event."""
        known = self._known.get(name)
        if known is None:
            known = self._regex.match(name) is not None
            if len(self._known) < _REMEMBERED:
                self._known[name] = known
        return known

    def __repr__(self) -> str:
        """Show the globs."""
        return f"Patterns({list(self.globs)!r})"


def _checked(globs: object) -> tuple[str, ...]:
    """Turn what a caller gave into texts."""
    given = (globs,) if isinstance(globs, str) else globs
    if not isinstance(given, list | tuple | set | frozenset) or not given:
        msg = f"event patterns: expected a glob such as 'task.*' or a list of them, found {globs!r}. Name at least one"
        raise InvalidRequest(msg)
    for glob in given:
        if not isinstance(glob, str) or not _FORM.fullmatch(glob):
            msg = (
                f"event patterns: expected an event name or a glob over names, such as 'task.completed' or 'order.*', "
                f"found {glob!r}"
            )
            raise InvalidRequest(msg)
    return tuple(given) if isinstance(given, list | tuple) else tuple(sorted(given))
