"""When a failed delivery is tried again, and how its failure is told."""

from __future__ import annotations

from tasker.errors import PermanentError, RetryableError
from tasker.redaction import Redactor

TRIES = 10
FIRST_DELAY = 7_000_000  # microseconds; doubled nine times less one, ten tries take just under an hour
LONGEST_DELAY = 3_600_000_000
LONGEST_ERROR = 2_000  # characters


def next_try(tries: int, error: BaseException, now: int) -> int | None:
    """Tell when to try again; None to park the event.

    Args:
        tries: How often it was tried, this time included.
        error: What the subscriber raised; a `RetryableError` may ask for a delay, a `PermanentError` for none.
        now: The present time, in microseconds.
    """
    if tries >= TRIES or isinstance(error, PermanentError):
        return None
    if isinstance(error, RetryableError) and error.retry_after is not None:
        return now + int(min(max(error.retry_after * 1_000_000, 0), LONGEST_DELAY))
    return now + (FIRST_DELAY << (tries - 1))


def told(error: BaseException, redactor: Redactor) -> str:
    """Write an exception as a line, without the secrets of URLs in it."""
    kind = type(error).__qualname__
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - a subscriber's exception may be broken too; the line says so
        text = f"(its text raised {type(broken).__qualname__})"
    return f"{kind}: {redactor.url(text)}"[:LONGEST_ERROR]
