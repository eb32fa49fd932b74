"""Reading the text of a Python traceback back into frames."""

from __future__ import annotations

import re
from typing import Any

MOST_FRAMES = 100
_FRAME = re.compile(
    r'^ *File "(?P<file>[^"\n]{1,1000})", line (?P<line>\d{1,9}), in (?P<name>[^\n]{1,200})\n?(?P<code>    [^\n]*)?',
    re.MULTILINE,
)


def frames(text: object) -> list[dict[str, Any]]:
    """Give the frames of a traceback, the innermost last; none if it is no traceback of Python.

    Args:
        text: What `traceback.format_tb` wrote.
    """
    found = list(_FRAME.finditer(text)) if isinstance(text, str) else []
    return [_frame(one) for one in found[-MOST_FRAMES:]]


def _frame(found: re.Match[str]) -> dict[str, Any]:
    frame: dict[str, Any] = {
        "filename": found["file"],
        "lineno": int(found["line"]),
        "function": found["name"],
        "in_app": "site-packages" not in found["file"],
    }
    code = (found["code"] or "").strip()
    return frame | ({"context_line": code} if code else {})
