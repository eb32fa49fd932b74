"""Texts for people: cut to what a service takes, without signs that would break or forge a line."""

from __future__ import annotations

import json
from string import Formatter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker_subscribers.options import Options

_ELLIPSIS = "…"
_CONTROLS = {code: "\ufffd" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if code not in {0x09, 0x0A}}
#: Signs that turn the direction of writing: with them a text can show something else than it says.
_CONTROLS |= dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd")


def clean(text: str) -> str:
    """Replace control characters, except tabs and line breaks."""
    return text.replace("\r\n", "\n").translate(_CONTROLS)


def cut(text: str, limit: int) -> str:
    """Give at most so many characters; a cut shows."""
    return text if len(text) <= limit else text[: limit - 1] + _ELLIPSIS


def line(text: str, limit: int) -> str:
    """Give a text as one clean line of at most so many characters."""
    return cut(" ".join(clean(text[: limit * 4]).split()), limit)


def shown(value: object) -> str:
    """Give a JSON value as people read it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


class Template:
    """A text with names in braces, `{task_name} failed: {error_message}`; nothing else is looked up in the values."""

    def __init__(self, options: Options, key: str, text: str) -> None:
        """Check the text.

        Raises:
            InvalidDefinition: A brace is open, or what is in it is no plain name.
        """
        try:
            parts = list(Formatter().parse(text))
        except ValueError as error:
            message = f"expected for {key} a text such as '{{task_name}} failed', found {text!r} ({error})"
            raise options.wrong(key, message) from None
        for _, name, form, conversion in parts:
            if name is not None and (not name.isidentifier() or form or conversion):
                message = (
                    f"expected plain names in the braces of {key}, such as {{task_name}}, found {name!r} in {text!r}"
                )
                raise options.wrong(key, message)
        self._parts = [(before, name) for before, name, _, _ in parts]

    @property
    def names(self) -> set[str]:
        """Give the names in the braces."""
        return {name for _, name in self._parts if name is not None}

    def fill(self, value: Callable[[str], str]) -> str:
        """Put values in place of the names.

        Args:
            value: Gives the text for a name.
        """
        return "".join(before + ("" if name is None else value(name)) for before, name in self._parts)
