"""When a failed delivery is tried again, and how its failure is told."""

from __future__ import annotations

from math import isnan

from tasker.errors import PermanentError, RetryableError
from tasker.redaction import Redactor

TRIES = 10
FIRST_DELAY = 7_000_000  # microseconds; doubled nine times less one, ten tries take just under an hour
LONGEST_DELAY = 3_600_000_000  # microseconds; where the setting max_server_delay does not say otherwise
SHORTEST_WAIT = 1_000_000  # microseconds; who asks for less time than this has asked for none, and has used up a try
LONGEST_ERROR = 2_000  # characters


def next_try(tries: int, error: BaseException, now: int, longest: int = LONGEST_DELAY) -> tuple[int, int | None]:
    """Tell how many tries are used up, and when to try again; None to park the event.

    Args:
        tries: How often it was tried, this time included.
        error: What the subscriber raised; a `RetryableError` may ask for a delay, a `PermanentError` for none. Whoever
            asks for a delay (a service that is busy, say) has it, and this time does not count as a try.
        now: The present time, in microseconds.
        longest: The longest delay that may be asked for, in microseconds.
    """
    if isinstance(error, PermanentError):
        return tries, None
    asked = _asked(error, longest)
    if asked is not None and asked >= SHORTEST_WAIT:
        return tries - 1, now + asked
    if tries >= TRIES:
        return tries, None
    return tries, now + (FIRST_DELAY << (tries - 1) if asked is None else asked)


def told(error: BaseException, redactor: Redactor) -> str:
    """Write an exception as a line, without the secrets of URLs in it."""
    kind = type(error).__qualname__
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - a subscriber's exception may be broken too; the line says so
        text = f"(its text raised {type(broken).__qualname__})"
    return f"{kind}: {redactor.url(text)}"[:LONGEST_ERROR]


def _asked(error: BaseException, longest: int) -> int | None:
    """Give the delay that an exception asks for, in microseconds; None for no number."""
    seconds = error.retry_after if isinstance(error, RetryableError) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    if isinstance(seconds, float) and isnan(seconds):
        return None
    return int(min(max(seconds, 0), longest / 1_000_000) * 1_000_000)
