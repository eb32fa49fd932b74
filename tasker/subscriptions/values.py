"""The values that subscriptions give and take."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tasker.codec.recorded import RecordedEvent


class SubscriptionInfo(NamedTuple):
    """One durable subscription as people see it.

    Attributes:
        name: Its identity.
        state: active, paused, failed or retired.
        checkpoint: The position it has reached; it moves over events that do not match.
        lag: Positions from there to the head of the log; 0 once it is retired.
        failures: Deliveries that failed since the last one that went through.
        parked: Events that were given up and wait for a person.
        retrying: Events that failed and will be tried again.
        error: Why it failed or was paused, or the last failure; None if there is none.
        patterns: The globs over event names.
        owner: The process that serves it, or None.
    """

    name: str
    state: str
    checkpoint: int
    lag: int
    failures: int
    parked: int
    retrying: int
    error: str | None
    patterns: tuple[str, ...]
    owner: str | None


class Parked(NamedTuple):
    """One event that was given up; later events of its task wait behind it."""

    position: int
    stream_id: str
    tries: int
    error: str | None


class Redelivered(NamedTuple):
    """What `redeliver` sent, or would send.

    Attributes:
        events: The events that match and pass the filter, in log order.
        failures: For each that raised, its position and the error; these are not tried again.
    """

    events: tuple[RecordedEvent, ...]
    failures: tuple[tuple[int, str], ...] = ()


class Row(NamedTuple):
    """One row of `subscriptions`, without its patterns' meaning.

    Attributes:
        name: Its identity.
        state: active, paused, failed or retired.
        checkpoint: The position it has reached.
        owner: The process that serves it, or served it last; None if it was given up.
        epoch: How many owners it has had.
        patterns: The globs, as a JSON list.
        failures: Deliveries that failed since the last that went through.
        streak: The tasks that were parked since then, as a JSON list.
        error: The last failure, or why it does not go on.
        lease_left: Microseconds until the lease of its owner ends, as of the read; 0 and less where it has ended.
        next_due: When its earliest retry is due (microseconds, the application's clock), or None.
    """

    name: str
    state: str
    checkpoint: int
    owner: str | None
    epoch: int
    patterns: str
    failures: int
    streak: str
    error: str | None
    lease_left: int
    next_due: int | None


class Held(NamedTuple):
    """One row of `subscription_events`."""

    position: int
    stream_id: bytes
    state: str
    tries: int
    due: int | None
    error: str | None
    actor: str | None = None


class Outcome(NamedTuple):
    """What one batch of a subscription brought, to be stored in one transaction.

    Attributes:
        checkpoint: Where it has come to.
        failures: Deliveries that failed in a row, as of now.
        streak: The tasks that were parked in a row, as of now.
        error: The last failure, or None.
        closed: Positions of rows that are done with.
        written: Rows, new or changed.
        stop: The state to go to instead of `active`, and why; None to go on.
    """

    checkpoint: int
    failures: int
    streak: tuple[str, ...]
    error: str | None
    closed: tuple[int, ...] = ()
    written: tuple[Held, ...] = ()
    stop: tuple[str, str] | None = None


class Entry(NamedTuple):
    """The row that a batch began from, with the checkpoint that is stored, and what it brought."""

    row: Row
    outcome: Outcome
