"""Rules of time, ids and their conversions."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.clock import (
    Clock,
    IdSource,
    SystemClock,
    SystemIds,
    from_micros,
    id_maker,
    micros,
    parse_rfc3339,
    rfc3339,
)
from tasker.errors import InvalidRequest

FIRST = micros(datetime.min.replace(tzinfo=UTC))
LAST = micros(datetime.max.replace(tzinfo=UTC))
REPEATS, THREADS = 2_000, 4
MOMENTS = st.integers(min_value=FIRST, max_value=LAST)


@given(MOMENTS)
def test_a_moment_survives_every_conversion(value: int) -> None:
    """Integers, datetimes and text name the same microsecond, over all years, without rounding."""
    assert micros(from_micros(value)) == value
    assert parse_rfc3339(rfc3339(value)) == value


@given(MOMENTS, MOMENTS)
def test_text_sorts_like_time(a: int, b: int) -> None:
    """Written times have one length and compare as text in the order of time."""
    assert len(rfc3339(a)) == len(rfc3339(b)) == len("2026-11-21T14:00:00.000000Z")
    assert (rfc3339(a) < rfc3339(b)) == (a < b)


@given(st.datetimes(timezones=st.timezones()))
def test_any_zone_is_turned_into_utc(moment: datetime) -> None:
    """An aware datetime of any zone gives the moment it means."""
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:
        return
    assert from_micros(micros(moment)) == expected


def test_the_written_form() -> None:
    """Times are written in UTC with six digits and a Z."""
    assert rfc3339(0) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999999Z"
    moment = datetime(2026, 11, 21, 16, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(micros(moment)) == "2026-11-21T14:00:00.000000Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T14:00:00Z",
        "2026-11-21t14:00:00.0z",
        "2026-11-21 16:00:00.000000999+02:00",
        "2026-11-21T08:30:00-05:30",
    ],
)
def test_other_spellings_of_a_moment_are_read(text: str) -> None:
    """Any RFC 3339 spelling is read; digits beyond the microsecond are cut off."""
    assert rfc3339(parse_rfc3339(text)) == "2026-11-21T14:00:00.000000Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-21",
        "2026-11-21T14:00:00",
        "20261121T140000Z",
        "2026-02-30T00:00:00Z",
        "2026-11-21T14:00:00+0200",
        "٢٠٢٦-11-21T14:00:00Z",
        "2026-11-21T14:00:00Z\n",
    ],
)
def test_text_that_is_no_moment_is_refused(text: str) -> None:
    """Text without an offset, of another form, or of no real date is refused with an example."""
    with pytest.raises(InvalidRequest, match="expected an RFC 3339 time with an offset"):
        parse_rfc3339(text)


def test_naive_datetimes_and_far_moments_are_refused() -> None:
    """A naive datetime, or a moment that no datetime can hold in UTC, is an InvalidRequest and nothing else."""
    with pytest.raises(InvalidRequest, match="aware datetime"):
        micros(datetime(2026, 11, 21))  # noqa: DTZ001 - the very thing that is refused
    for convert in (from_micros, rfc3339):
        for value in (FIRST - 1, LAST + 1, 10**30):
            with pytest.raises(InvalidRequest, match="years 1 to 9999"):
                convert(value)
    with pytest.raises(InvalidRequest, match="years 1 to 9999"):
        parse_rfc3339("0001-01-01T00:00:00+23:00")


def test_the_system_clock_is_aware_and_present() -> None:
    """The system clock answers in UTC, between two readings of the system's time."""
    clock: Clock = SystemClock()
    before = datetime.now(UTC)
    now = clock.now()
    assert now.tzinfo is UTC
    assert before <= now <= datetime.now(UTC)


def test_ids_are_uuid7_and_increase_over_both_ways() -> None:
    """Ids are of version 7 and strictly increase, also where `uuid` and `uuid_bytes` alternate."""
    ids = SystemIds()
    made = [part for _ in range(REPEATS) for part in (ids.uuid().bytes, ids.uuid_bytes())]
    assert all(a < b for a, b in pairwise(made))
    assert {uuid.UUID(bytes=value).version for value in made} == {7}
    assert {uuid.UUID(bytes=value).variant for value in made} == {uuid.RFC_4122}


def test_ids_increase_within_each_thread_and_never_repeat() -> None:
    """Threads share one source: each sees its ids increase and no id is made twice."""
    ids = SystemIds()
    made: list[list[bytes]] = [[] for _ in range(THREADS)]

    def fill(own: list[bytes]) -> None:
        own.extend(ids.uuid_bytes() for _ in range(REPEATS))

    threads = [threading.Thread(target=fill, args=[own]) for own in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all(own == sorted(own) for own in made)
    assert len({value for own in made for value in own}) == REPEATS * THREADS


def test_jitter_lies_between_0_and_1() -> None:
    """Jitter is a share: never below 0, never above 1, not always the same."""
    seen = {SystemIds().jitter() for _ in range(200)}
    assert all(0 <= value <= 1 for value in seen)
    assert len(seen) > 1


class FixedIds:
    """A source as a user writes one: `uuid` and `jitter`, nothing more."""

    def uuid(self) -> uuid.UUID:
        """Return always the same id."""
        return uuid.UUID(int=7)

    def jitter(self) -> float:
        """Return the middle."""
        return 0.5


def test_bytes_come_from_any_source() -> None:
    """`id_maker` takes the short way of the system's ids and makes do with `uuid` of any other source."""
    ids: IdSource = FixedIds()
    assert id_maker(ids)() == uuid.UUID(int=7).bytes
    make = id_maker(SystemIds())
    assert make() < make()
