"""What people see of settings: values with the secrets masked, and errors that say key, expectation and finding."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

from tasker.errors import near
from tasker.settings.sections import MASK, Section, is_section

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SECRET_KEY = re.compile(r"passw|secret|token|credential|authorization|hash|dsn|webhook|(^|_)key$", re.IGNORECASE)
_URL_SECRET = re.compile(
    r"(://[^:/?#\s]*:|[?&][^=&\s]*(?:passw|secret|token|key)[^=&\s]*=)(?:\S*(?=@)|[^&\s]*)", re.IGNORECASE
)
_WORDS = {
    "dict_type": "a map",
    "mapping_type": "a map",
    "model_type": "a map",
    "tuple_type": "a list",
    "string_type": "text",
}


def problem(top: type[Section], details: ErrorDetails, content: object) -> tuple[str, str]:
    """Turn an error of the library into a key and a sentence with expectation, finding and near names."""
    kind, loc, message = details["type"], details["loc"], details["msg"]
    key = ".".join(str(part) for part in loc if part != "[key]")
    if kind == "extra_forbidden":
        known = _known_keys(top, loc[:-1])
        return key, f"unknown key.{near(str(loc[-1]), known)} Expected one of {', '.join(sorted(known))}"
    expected = _WORDS.get(kind) or re.sub(r"^(Value error, |Input should be |\w+ should (?=have|match))", "", message)
    if kind == "missing":
        return key, "expected a value, found none; add the key"
    return key, f"expected {expected}, found {_found(key, content)}"


def _known_keys(section: type[Section], loc: tuple[str | int, ...]) -> list[str]:
    for part in loc:
        if isinstance(part, str):
            field = next(field for name, field in section.model_fields.items() if part == (field.alias or name))
            section = next(kind for kind in (field.annotation, *get_args(field.annotation)) if is_section(kind))
    return [field.alias or name for name, field in section.model_fields.items()]


def _found(key: str, content: object) -> str:
    """Show the wrong value, never a secret one, and of lists and maps only that they are such."""
    for part in key.split("."):
        if isinstance(content, dict):
            content = content.get(part)
        elif isinstance(content, list) and part.isdigit():
            content = content[int(part)]
    if isinstance(content, dict | list):
        return "a list" if isinstance(content, list) else "a map"
    return repr(shown(key.rpartition(".")[2], content))[:100]


def shown(name: str, value: object) -> object:
    """Return a value as plain JSON, masked where its key or, in a URL, its place says that it is secret."""
    if value is not None and _SECRET_KEY.search(name):
        return MASK
    if isinstance(value, Section):
        return {
            field.alias or own: shown(field.alias or own, getattr(value, own))
            for own, field in type(value).model_fields.items()
        }
    if isinstance(value, Mapping):
        return {str(key): shown(str(key), child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [shown(name, child) for child in value]
    return _URL_SECRET.sub(rf"\1{MASK}", value) if isinstance(value, str) else value
