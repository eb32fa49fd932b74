"""What pages show of values: never what stands under a telling key, and `writeOnly` properties to who may read them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson

from tasker.http.masking import Mask, Schema

if TYPE_CHECKING:
    from tasker.http.call import Call

LONGEST = 20_000
"""Characters of one JSON value on a page."""
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # signs that turn the direction of what follows


class PageMask(Mask):
    """Redacts for everybody: a page is looked at over shoulders, and on shared screens."""

    def __init__(self, call: Call) -> None:
        """Take who looks."""
        context = call.engine.context
        super().__init__(context.redactor, context.settings.telemetry.mask, whole=False)
        self._reads_context = call.principal.may("context:read")

    def described(self, value: object, schema: Schema | None) -> object:
        """Show a value that a schema describes."""
        return super().described(value, None if self._reads_context else schema)


def as_json(value: object, most: int = LONGEST) -> str:
    """Write a value for people: indented, in the order in which it stands, and cut where it would fill a book.

    Args:
        value: A JSON value.
        most: Characters at most.
    """
    plain = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    text = _TURNING.sub(lambda found: f"\\u{ord(found[0]):04x}", plain)
    if len(text) <= most:
        return text
    return f"{text[:most]}\n… {len(text) - most} more characters; the API has all of them"


def as_words(name: str) -> str:
    """Write a status or a code as words."""
    return name.replace("_", " ")


def as_seconds(seconds: float | None) -> str:
    """Write a duration."""
    if seconds is None:
        return "none"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest:.0f} s" if minutes else f"{rest:.1f} s"
