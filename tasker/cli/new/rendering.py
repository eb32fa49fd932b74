"""Python and YAML as formatters write it: on one line where that fits, else one item a line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

WIDTH = 88  # columns: the default of ruff and black
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_ -]*[A-Za-z0-9]|[A-Za-z]")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def texts(start: str, values: Sequence[str], *, brackets: str = "[]") -> str:
    """Write a list of texts, or with other brackets a tuple.

    Args:
        start: What stands before it on its line, such as `STEPS = `, with the indentation.
        values: The texts.
        brackets: `[]` or `()`.
    """
    return items(start, [json.dumps(value) for value in values], brackets=brackets)


def items(start: str, values: Sequence[str], *, brackets: str = "[]") -> str:
    """Write a list of expressions, or with other brackets a tuple."""
    opening, closing = brackets[0], brackets[1]
    comma = "," if brackets == "()" and len(values) == 1 else ""
    line = f"{start}{opening}{', '.join(values)}{comma}{closing}"
    if len(line) <= WIDTH:
        return line
    indent = " " * (len(start) - len(start.lstrip()))
    return "\n".join([f"{start}{opening}", *(f"{indent}    {value}," for value in values), f"{indent}{closing}"])


def imported(module: str, name: str) -> str:
    """Write the import of a name."""
    return items(f"from {module} import ", [name], brackets="()") if _wide(module, name) else _import(module, name)


def method(name: str) -> str:
    """Write the first lines of a method that takes an event."""
    line = f"    def {name}(self, event):"
    return line if len(line) <= WIDTH else f"    def {name}(\n        self, event\n    ):"


def scalar(text: str) -> str:
    """Write a text as a scalar of YAML: as it is where that is read as the same text, else in quotes."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _import(module: str, name: str) -> str:
    return f"from {module} import {name}"


def _wide(module: str, name: str) -> bool:
    return len(_import(module, name)) > WIDTH
