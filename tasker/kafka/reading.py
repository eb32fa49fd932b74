"""From the bytes of a message to a request, or the reason why it is none."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from tasker.clock import from_micros, parse_rfc3339
from tasker.errors import Conflict, InvalidRequest, PayloadTooLarge, TaskerError, UnknownDefinition
from tasker.kafka.message import CORRELATION
from tasker.runtime.request import TaskRequest, request_of

if TYPE_CHECKING:
    from datetime import datetime

    from tasker.kafka.message import Incoming

MOMENTS = ("not_before", "requested_at")
_SHOWN = 60  # characters of a bad value in an error text
_LONGEST_TEXT = 2_000  # characters of an error text


class Reason(StrEnum):
    """Why a message became a dead letter."""

    TOMBSTONE = "tombstone"
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    INVALID_REQUEST = "invalid_request"
    UNKNOWN_DEFINITION = "unknown_definition"
    CONFLICT = "conflict"
    REFUSED = "refused"


class Refusal(NamedTuple):
    """Why a message is no task, and never will be as it stands."""

    reason: Reason
    text: str


_REASONS: tuple[tuple[type[TaskerError], Reason], ...] = (
    (PayloadTooLarge, Reason.TOO_LARGE),
    (InvalidRequest, Reason.INVALID_REQUEST),
    (UnknownDefinition, Reason.UNKNOWN_DEFINITION),
    (Conflict, Reason.CONFLICT),
)


def refusal(error: Exception) -> Refusal:
    """Give the reason behind an error."""
    reason = next((reason for kind, reason in _REASONS if isinstance(error, kind)), Reason.REFUSED)
    text = str(error) if isinstance(error, TaskerError) else f"{type(error).__name__}: {error}"
    return Refusal(reason, text[:_LONGEST_TEXT])


def read(message: Incoming, *, largest: int) -> TaskRequest | Refusal:
    """Read a request.

    Args:
        message: The message; its header `X-Correlation-ID` counts where the request names none.
        largest: How many bytes a value may have that is looked into.
    """
    value = message.value
    if value is None:
        return Refusal(Reason.TOMBSTONE, "expected a request, found a message without a value (a tombstone)")
    if len(value) > largest:
        text = f"expected at most {largest} bytes, found {len(value)}; keep large data elsewhere and pass a reference"
        return Refusal(Reason.TOO_LARGE, text)
    try:
        fields: object = json.loads(value.decode())
    except UnicodeDecodeError as error:
        return Refusal(Reason.NOT_UTF8, f"expected JSON in UTF-8, found other bytes at {error.start}")
    except (ValueError, RecursionError) as error:
        text = f"expected JSON, found {value[:_SHOWN].decode(errors='replace')!r} ({error})"
        return Refusal(Reason.NOT_JSON, text)
    try:
        return from_json(fields, correlation_id=message.header(CORRELATION))
    except TaskerError as error:
        return refusal(error)


def from_json(fields: object, *, correlation_id: str | None = None) -> TaskRequest:
    """Build a request from the JSON of the schema of task requests.

    Args:
        fields: The JSON value.
        correlation_id: What counts if the request itself has none.

    Raises:
        InvalidRequest: It does not fit the schema; names JSON paths.
    """
    if not isinstance(fields, dict):
        problem = f"expected a JSON object with the fields of a request, found {str(fields)[:_SHOWN]!r}"
        raise InvalidRequest(f"$: {problem}", problems={"$": problem})
    found: dict[str, object] = dict(fields)
    for name in MOMENTS:
        if found.get(name) is not None:
            found[name] = _moment(f"$.{name}", found[name])
    if correlation_id is not None and found.get("correlation_id") is None:
        found["correlation_id"] = correlation_id
    return request_of(found, {})


def _moment(path: str, value: object) -> datetime:
    try:
        return from_micros(parse_rfc3339(value if isinstance(value, str) else repr(value)))
    except InvalidRequest as error:
        raise InvalidRequest(f"{path}: {error}", problems={path: str(error)}) from None
