"""Canonical JSON: UTF-8, sorted keys, no spaces. orjson is the one library that writes a stored byte."""

from __future__ import annotations

import orjson

Json = object
"""A JSON value."""


def dumps(value: Json) -> bytes:
    """Write canonical JSON."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def loads(text: bytes) -> Json:
    """Read JSON."""
    value: Json = orjson.loads(text)
    return value


def mapping(text: bytes) -> dict[str, Json]:
    """Read JSON that is a map.

    Raises:
        TypeError: It is something else; stored data always is a map.
    """
    value = loads(text)
    if not isinstance(value, dict):
        message = f"expected a JSON object in stored data, found {text[:40]!r}"
        raise TypeError(message)
    return value
