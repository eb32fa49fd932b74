"""Request bodies: read within a size and a time, decoded strictly, checked against what a command takes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from tasker.errors import InvalidRequest, PayloadTooLarge
from tasker.http.problems import Refused

if TYPE_CHECKING:
    from starlette.requests import Request

_SECONDS = 30.0
_Model = TypeVar("_Model", bound=BaseModel)


async def read(request: Request, most: int) -> bytes:
    """Read a body that says it is JSON.

    Args:
        request: The request.
        most: Bytes of a body at most.

    Raises:
        PayloadTooLarge: It is longer.
        Refused: It is of another media type, or comes too slowly.
    """
    raw = await received(request, most)
    if raw:
        _check_type(request)
    return raw


async def received(request: Request, most: int) -> bytes:
    """Read a body, whatever it is.

    Args:
        request: The request.
        most: Bytes of a body at most.

    Raises:
        PayloadTooLarge: It is longer.
        Refused: It comes too slowly.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(most)
    try:
        async with asyncio.timeout(_SECONDS):
            return await _collected(request, most)
    except TimeoutError:
        message = f"expected the whole body within {_SECONDS:g} s, found it unfinished; send it again"
        raise Refused(message, status=408, title="Request timeout") from None


async def _collected(request: Request, most: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"expected a body of at most {most} bytes, found a longer one; pass a reference to large data"
    )


def _check_type(request: Request) -> None:
    """Refuse what is not sent as JSON; so a form of another site cannot send it without its browser asking first."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    coding = request.headers.get("content-encoding", "identity").lower()
    if (kind == "application/json" or kind.endswith("+json")) and coding == "identity":
        return
    message = f"expected a body of Content-Type: application/json, not encoded, found {kind or 'none'} ({coding})"
    raise Refused(message, status=415, title="Unsupported media type")


def decode(raw: bytes) -> dict[str, object]:
    """Read a JSON object; an empty body is an empty one.

    Raises:
        Refused: It is no JSON.
        InvalidRequest: It is JSON, but no object.
    """
    if not raw:
        return {}
    try:
        value = json.loads(raw.decode(), parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        told = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        message = f"expected a body of JSON in UTF-8, found what is none: {told}"
        raise Refused(message, status=400, title="Malformed body", fields={"problems": {"$": told}}) from None
    if not isinstance(value, dict):
        message = f"expected a JSON object, found {type(value).__name__}"
        raise InvalidRequest(message, problems={"$": message})
    return value


def _constant(name: str) -> NoReturn:
    message = f"{name} is no JSON"
    raise ValueError(message)


def checked(model: type[_Model], raw: bytes) -> _Model:
    """Decode a body and check it.

    Raises:
        Refused: It is no JSON.
        InvalidRequest: A field is unknown, missing or wrong; names JSON paths.
    """
    try:
        return model.model_validate(decode(raw), strict=True)
    except ValidationError as error:
        problems = {_path(one["loc"]): one["msg"] for one in error.errors(include_input=False, include_url=False)}
    told = "; ".join(f"{path}: {text}" for path, text in problems.items())
    raise InvalidRequest(told, problems=problems)


def _path(loc: tuple[str | int, ...]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
