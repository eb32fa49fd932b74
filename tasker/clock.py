"""Time and identity as ports: where the present time, new ids and chance come from.

Inside Tasker a time is an integer: microseconds since 1970-01-01T00:00:00Z. Integers compare, add and hash alike in
Python, SQL and Rust, and no float rounds them. Datetimes and text exist only at the edges; the conversions are exact.
"""

from __future__ import annotations

import random
import re
import uuid
from datetime import UTC, datetime, timedelta
from time import time_ns
from typing import TYPE_CHECKING, Protocol

import uuid_utils

from tasker.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_NAIVE = datetime(1970, 1, 1)  # noqa: DTZ001 - isoformat without an offset saves cutting one off each time
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999, all that a datetime can hold
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Clock(Protocol):
    """Tell the present time."""

    def now(self) -> datetime:
        """Return the present time as an aware datetime in UTC."""
        ...


class IdSource(Protocol):
    """Make new ids and random numbers."""

    def uuid(self) -> uuid.UUID:
        """Return a new UUIDv7, greater than every earlier one of this source."""
        ...

    def jitter(self) -> float:
        """Return a random number from 0 to 1, by which delays are spread."""
        ...


class SystemClock:
    """The clock of the operating system."""

    def now(self) -> datetime:
        """Return the present time as an aware datetime in UTC."""
        return datetime.now(UTC)


class SystemIds:
    """Ids from the system's time and random source, strictly increasing within this process over all threads."""

    def uuid(self) -> uuid.UUID:
        """Return a new UUIDv7."""
        return uuid.UUID(bytes=uuid_utils.uuid7().bytes)

    def uuid_bytes(self) -> bytes:
        """Return the 16 bytes of a new UUIDv7, without building a `uuid.UUID` (five times as fast)."""
        return uuid_utils.uuid7().bytes

    def jitter(self) -> float:
        """Return a random number from 0 (included) to 1 (excluded)."""
        return random.random()  # noqa: S311 - it spreads delays and guards nothing


def id_maker(ids: IdSource) -> Callable[[], bytes]:
    """Give what makes the 16 bytes of a new UUIDv7 from any source, by the short way where it has one."""
    return ids.uuid_bytes if isinstance(ids, SystemIds) else lambda: ids.uuid().bytes


def micros_maker(clock: Clock) -> Callable[[], int]:
    """Give what tells the present time of any clock in microseconds, by the short way where it has one."""
    return _system_micros if isinstance(clock, SystemClock) else lambda: micros(clock.now())


def _system_micros() -> int:
    return time_ns() // 1000


def micros(moment: datetime) -> int:
    """Turn an aware datetime of any zone into microseconds since the epoch.

    Raises:
        InvalidRequest: The datetime is naive, so nobody can know which moment it means, or in UTC it lies outside the
            years 1 to 9999.
    """
    try:
        delta = moment - _EPOCH
    except TypeError:
        msg = f"expected an aware datetime, found the naive {moment.isoformat()}; give it a zone, such as tzinfo=UTC"
        raise InvalidRequest(msg) from None
    value = (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    if not _FIRST <= value <= _LAST:
        raise _outside(value)
    return value


def from_micros(value: int) -> datetime:
    """Turn microseconds since the epoch into an aware datetime in UTC.

    Raises:
        InvalidRequest: The moment lies outside the years 1 to 9999.
    """
    try:
        return _EPOCH + timedelta(microseconds=value)
    except OverflowError:
        raise _outside(value) from None


def rfc3339(value: int) -> str:
    """Write microseconds since the epoch as text, always of 27 characters: `2026-11-21T14:00:00.000000Z`.

    Raises:
        InvalidRequest: The moment lies outside the years 1 to 9999.
    """
    try:
        return (_EPOCH_NAIVE + timedelta(microseconds=value)).isoformat(timespec="microseconds") + "Z"
    except OverflowError:
        raise _outside(value) from None


def parse_rfc3339(text: str) -> int:
    """Read an RFC 3339 date and time with its offset as microseconds since the epoch.

    Digits beyond the microsecond are cut off.

    Raises:
        InvalidRequest: The text is no such time, lacks the offset, or in UTC lies outside the years 1 to 9999.
    """
    msg = f"expected an RFC 3339 time with an offset, such as 2026-11-21T14:00:00Z, found {text[:64]!r}"
    if not _RFC3339.fullmatch(text):
        raise InvalidRequest(msg)
    try:
        return micros(datetime.fromisoformat(text.upper()))
    except ValueError:  # a 30th of February has the form, but is no day
        raise InvalidRequest(msg) from None


def _outside(value: int) -> InvalidRequest:
    return InvalidRequest(f"expected microseconds of a moment in the years 1 to 9999, found {value}")
