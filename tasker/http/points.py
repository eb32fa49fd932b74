"""Parameters of the path and the query that several routes share."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tasker.catalog.publish.request import anchored
from tasker.clock import from_micros, parse_rfc3339
from tasker.domain.definition import SEMANTIC_VERSION
from tasker.errors import InvalidRequest
from tasker.http.call import HIGHEST
from tasker.runtime.position import Position

if TYPE_CHECKING:
    from tasker.runtime.reading import At

ANNOTATION = r"^[^:\x00]+:[^=\x00]+=[^\x00]*$"
STORABLE_QUERY = r"^[^\x00]*$"
_DIGITS = 18  # so many fit into 64 bits
_AT: list[JsonValue] = [{"pattern": "^@?[0-9]{1,18}$"}, {"format": "date-time"}]

TaskId = Annotated[str, Path(description="The id of the task.", max_length=64)]
StepName = Annotated[str, Path(description="The name of the step.", max_length=128)]
Name = Annotated[str, Path(max_length=128)]
PositionParameter = Annotated[int, Field(ge=0, le=HIGHEST)]
Moment = Annotated[str, Field(max_length=64, json_schema_extra={"format": "date-time"})]
Version = Annotated[str, Field(max_length=128, pattern=anchored(SEMANTIC_VERSION.pattern))]
Glob = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_.*?\[\]!$-]+$")]
Text = Annotated[str, Field(max_length=256, pattern=STORABLE_QUERY)]


class Asked(BaseModel):
    """A query: exactly these parameters."""

    model_config = ConfigDict(extra="forbid")


class Reads(Asked):
    """The query of a read."""

    at_least: PositionParameter | None = Field(None, description="Wait until the log has come to this position.")


class ReadsAt(Reads):
    """The query of a read that can look into the past."""

    at: Annotated[str, Field(max_length=64, json_schema_extra={"anyOf": _AT})] | None = Field(
        None, description="A version of the task (7), a position of the log (@42) or a time with its offset."
    )


ReadsQuery = Annotated[Reads, Query()]
ReadsAtQuery = Annotated[ReadsAt, Query()]


def point(text: str | None) -> At:
    """Read a point of the past.

    Raises:
        InvalidRequest: It is none.
    """
    if text is None:
        return None
    digits = text.removeprefix("@")
    if digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS:
        return Position(int(digits)) if text.startswith("@") else int(digits)
    return moment(text, "at", "a version (7), a position (@42) or a time such as 2026-11-21T14:00:00Z")


def moment(text: str, name: str, expected: str = "a time such as 2026-11-21T14:00:00Z") -> datetime:
    """Read a time with its offset.

    Raises:
        InvalidRequest: It is none.
    """
    try:
        return from_micros(parse_rfc3339(text))
    except InvalidRequest:
        message = f"expected {expected}, found {text!r}"
        raise InvalidRequest(f"{name}: {message}", problems={f"query.{name}": message}) from None


def annotation(text: str | None) -> tuple[str, str, object] | None:
    """Read a filter by an annotation, `type:key=value`; the value is JSON, or else a text.

    Raises:
        InvalidRequest: It is none.
    """
    if text is None:
        return None
    kind, _, rest = text.partition(":")
    key, equals, value = rest.partition("=")
    if not (kind and key and equals):
        message = f"expected type:key=value, such as refund:state=open, found {text!r}"
        raise InvalidRequest(f"annotation: {message}", problems={"query.annotation": message})
    try:
        return kind, key, json.loads(value)
    except (ValueError, RecursionError):  # a text that is not quoted
        return kind, key, value
