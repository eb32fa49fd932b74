"""What a list of tasks is asked for: the filter, the page, and the cursor that leads to the next one."""

from __future__ import annotations

import base64
import binascii
import contextlib
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from tasker.clock import micros
from tasker.codec.jsonbytes import Json, dumps, loads
from tasker.domain.status import TaskStatus
from tasker.errors import InvalidRequest, near
from tasker.projections.rows import match

if TYPE_CHECKING:
    from collections.abc import Collection

    from tasker.projections.rows import TaskRow

MAX_LIMIT = 200
"""Rows of one page."""

DEFAULT_LIMIT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks; all that is given must hold.

    Attributes:
        status: The task's status.
        name: Of the definition.
        namespace: Of the definition.
        namespaces: Some of which the definition's is one; None for any.
        tag: One of the task's tags.
        annotation: Type of an annotation, a key of its value, and the JSON value under that key.
        dependent_system: A system that one of its steps depends on.
        created_after: An aware datetime, or microseconds since the epoch.
    """

    status: str | None = None
    name: str | None = None
    namespace: str | None = None
    namespaces: Collection[str] | None = None
    tag: str | None = None
    annotation: tuple[str, str, Json] | None = None
    dependent_system: str | None = None
    created_after: datetime | int | None = None


class Page(NamedTuple):
    """One page of tasks, newest first.

    Attributes:
        rows: The tasks.
        as_of: Position up to which the read model shows the log.
        cursor: Leads to the next page; None on the last.
    """

    rows: tuple[TaskRow, ...]
    as_of: int
    cursor: str | None


class Checked(NamedTuple):
    """A filter whose values were checked and brought into the form of the columns; None where nothing was asked.

    `namespaces` are those of which a task's is one: a single one where a single one was asked for.
    """

    status: str | None
    name: str | None
    namespaces: tuple[str, ...] | None
    tag: str | None
    match: bytes | None
    dependent_system: str | None
    created_after: int | None


def check(wanted: TaskFilter) -> Checked:
    """Check the values of a filter.

    Raises:
        InvalidRequest: A value is of a kind that no task can have.
    """
    for key in ("name", "namespace", "tag", "dependent_system"):
        value = getattr(wanted, key)
        if value is not None and not isinstance(value, str):
            raise _refused(key, f"expected for {key} a text, found {value!r}")
    return Checked(
        _status(wanted.status),
        wanted.name,
        _namespaces(wanted),
        wanted.tag,
        _match(wanted.annotation),
        wanted.dependent_system,
        _created_after(wanted.created_after),
    )


def check_limit(limit: int) -> int:
    """Give a legal number of rows back.

    Raises:
        InvalidRequest: It is no whole number from 1 to 200.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise _refused("limit", f"expected for limit a whole number from 1 to {MAX_LIMIT}, found {limit!r}")
    return limit


def write_cursor(key: bytes, after: int) -> str:
    """Write a cursor.

    Args:
        key: What `key_of` gave for the query.
        after: `created` of the last row of the page.
    """
    return base64.urlsafe_b64encode(dumps({"q": key.hex(), "after": after})).decode().rstrip("=")


def read_cursor(key: bytes, cursor: str) -> int:
    """Read a cursor of this very query.

    Raises:
        InvalidRequest: It is broken, or of another log or another query.
    """
    found: Json = None
    # What cannot be read is refused below, in the same words as a text that can be read and is no cursor.
    with contextlib.suppress(TypeError, ValueError, AttributeError, binascii.Error):
        found = loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    after = found.get("after") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(after, int) or isinstance(after, bool):
        raise _refused("cursor", f"expected for cursor what the page before gave, found {str(cursor)[:64]!r}")
    if found.get("q") != key.hex():
        message = "expected for cursor one of this log and this filter, found another one's; begin without a cursor"
        raise _refused("cursor", message)
    return after


def key_of(log_id: bytes, checked: Checked) -> bytes:
    """Give 8 bytes that name a query: the log and what was asked of it."""
    return sha256(log_id + repr(checked).encode()).digest()[:8]


def _status(status: str | None) -> str | None:
    known = [one.value for one in TaskStatus]
    if status is None or status in known:
        return None if status is None else TaskStatus(status).value
    hint = near(status, known) if isinstance(status, str) else ""
    raise _refused("status", f"expected for status one of {', '.join(known)}; found {status!r}.{hint}")


def _namespaces(wanted: TaskFilter) -> tuple[str, ...] | None:
    """Give the namespaces that may be shown, each once, in a fixed order."""
    one, some = wanted.namespace, wanted.namespaces
    if some is None:
        return None if one is None else (one,)
    if isinstance(some, str) or not all(isinstance(name, str) for name in some):
        raise _refused("namespaces", f"expected for namespaces a collection of texts, found {some!r}")
    return tuple(sorted({*some} if one is None else {one} & {*some}))


def _match(annotation: tuple[str, str, Json] | None) -> bytes | None:
    if annotation is None:
        return None
    if not isinstance(annotation, tuple | list) or [type(one) for one in annotation[:2]] != [str, str]:
        raise _refused("annotation", f"expected for annotation (type, key, value), found {annotation!r}")
    try:
        kind, key, value = annotation
        return match(kind, key, value)
    except (TypeError, ValueError):
        message = f"expected for annotation (type, key, value) with a JSON value, found {annotation!r}"
        raise _refused("annotation", message) from None


def _created_after(moment: datetime | int | None) -> int | None:
    if isinstance(moment, datetime):
        return micros(moment)
    if moment is not None and (isinstance(moment, bool) or not isinstance(moment, int)):
        raise _refused("created_after", f"expected for created_after an aware datetime, found {moment!r}")
    return moment


def _refused(key: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, problems={f"$.{key}": message})
