"""The body of an answer: read no further than memory allows, and turned into a JSON value."""

from __future__ import annotations

import json

import httpx2

from tasker.errors import PayloadTooLarge
from tasker.handlers.api_config import shown
from tasker.handlers.step_view import JsonValue
from tasker.handlers.values import from_json

MAX_BODY = 16 * 1024 * 1024
"""Bytes of a decoded body that are read at once; a larger one is for `connection.stream`."""
_BOM = "\ufeff"
_UNREADABLE = "\ufffd"


def read(response: httpx2.Response) -> bool:
    """Read the body of a sync client's answer; what is longer than `MAX_BODY` is cut, and its connection closed.

    Returns:
        False if it was cut.
    """
    parts = _Parts()
    for part in response.iter_bytes():
        if not parts.take(part):
            response.close()
            break
    return parts.into(response)


async def aread(response: httpx2.Response) -> bool:
    """Do as `read` does, for an async client's answer."""
    parts = _Parts()
    async for part in response.aiter_bytes():
        if not parts.take(part):
            await response.aclose()
            break
    return parts.into(response)


def too_large(response: httpx2.Response) -> PayloadTooLarge:
    """Say that a body was cut that the handler would have taken for whole."""
    request = response.request
    return PayloadTooLarge(
        f"expected at most {MAX_BODY:,} bytes of body from {request.method} {shown(request.url)}, found more;"
        " read it piece by piece with self.connection.stream(…), or ask for less"
    )


def parsed(response: httpx2.Response) -> JsonValue:
    """Give the body as JSON, in whichever charset it says it is; as text if it is none."""
    try:
        return from_json(response.content)
    except json.JSONDecodeError:
        text = response.text.removeprefix(_BOM)
    if _UNREADABLE in text:  # what was put in place of a byte that does not fit the charset is no value
        return text
    try:
        return from_json(text)
    except json.JSONDecodeError:
        return text


class _Parts:
    """The pieces of a body, up to `MAX_BODY`."""

    def __init__(self) -> None:
        """Begin without any."""
        self._parts: list[bytes] = []
        self._left = MAX_BODY
        self._whole = True

    def take(self, part: bytes) -> bool:
        """Keep a piece; False once there is no room for all of it."""
        self._parts.append(part[: self._left])
        self._whole = len(part) <= self._left
        self._left -= len(part)
        return self._whole

    def into(self, response: httpx2.Response) -> bool:
        """Let the answer have what was kept; say whether that is the whole."""
        response._content = b"".join(self._parts)  # noqa: SLF001 - read() would set it, and reads without bound
        return self._whole
