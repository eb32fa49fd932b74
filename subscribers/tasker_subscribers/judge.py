"""`Judge`: what the answer of a service, or the lack of one, means for a delivery.

`RetryableError` lets the subscription try again, after the seconds that the service asked for; `PermanentError` parks
the event at once, for people to repair the cause.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from tasker import PermanentError, RetryableError
from tasker_subscribers.secret import Secret, masked
from tasker_subscribers.texts import line

if TYPE_CHECKING:
    from collections.abc import Mapping

TOO_MANY, UNAVAILABLE = 429, 503
_SUCCESSES, _REDIRECTS, _SERVER_ERRORS = range(200, 300), range(300, 400), range(500, 600)
_RETRYABLE = frozenset({408, 425, TOO_MANY})
_CREDENTIALS = frozenset({401, 403})
_SHOWN = 300  # characters of the answer in an error's text
_LONGEST = 86_400.0  # seconds; Tasker's own limit is below


class Answer(NamedTuple):
    """What a service answered.

    Attributes:
        status: The status of HTTP.
        headers: With names in lower case.
        text: The beginning of the body.
    """

    status: int
    headers: Mapping[str, str]
    text: str


def answered(status: int, headers: Mapping[str, str], text: str) -> Answer:
    """Make an `Answer`."""
    return Answer(status, {name.lower(): value for name, value in headers.items()}, text)


class Judge:
    """Turns answers into exceptions, for one service."""

    def __init__(self, service: str, where: str, *, secrets: tuple[Secret, ...], credential: str, pace: float) -> None:
        """Take what its texts say.

        Args:
            service: The name of the service.
            where: Scheme and host of it.
            secrets: What never stands in a text.
            credential: What to look at when the service says no: `the bot token`.
            pace: Seconds that the service wants between two requests, in the long run. When it says that there are too
                many, those that are put off come back so far apart, not all at once.
        """
        self._service = service
        self._where = where
        self._secrets = secrets
        self._credential = credential
        self._pace = pace
        self._put_off = 0

    def check(self, answer: Answer, asked: float | None = None) -> None:
        """Let a success pass.

        Args:
            answer: What came.
            asked: Seconds to wait, where the service says so in a header of its own; else Retry-After counts.

        Raises:
            RetryableError: 408, 425, 429 and 5xx.
            PermanentError: Every other status; its code is `HTTP_<status>`.
        """
        failure = self.failure(answer, asked)
        if failure is not None:
            raise failure
        self.succeeded()

    def failure(self, answer: Answer, asked: float | None = None) -> RetryableError | PermanentError | None:
        """Give what `check` would raise; None for a success."""
        status = answer.status
        if status in _SUCCESSES:
            return None
        text = f"expected 2xx from {self._where}, found {status}: {self._shown(answer.text)}"
        if status in _RETRYABLE or status in _SERVER_ERRORS:
            return self.retryable(text, self._wait(answer, asked))
        return self.permanent(f"{text}. {self._advice(status)}", f"HTTP_{status}")

    def succeeded(self) -> None:
        """Note that the service takes requests again."""
        self._put_off = 0

    def retryable(self, text: str, wait: float | None = None) -> RetryableError:
        """Give the error that lets the subscription try again."""
        return RetryableError(f"{self._service}: {masked(text, self._secrets)}", retry_after=wait)

    def permanent(self, text: str, code: str) -> PermanentError:
        """Give the error that parks the event."""
        return PermanentError(f"{self._service}: {masked(text, self._secrets)}", code=code)

    def unanswered(self, error: BaseException) -> RetryableError:
        """Give the error for a request without an answer: no network, a timeout, a broken connection."""
        reason = line(f"{type(error).__qualname__}: {error}", _SHOWN)
        return self.retryable(f"expected an answer from {self._where}, found none ({reason})")

    def put_off(self, asked: float) -> float:
        """Give when a request comes back that was one too many: what was asked for, and a place in the queue."""
        place = self._put_off
        self._put_off += 1
        return min(asked + place * self._pace, _LONGEST)

    def _wait(self, answer: Answer, asked: float | None) -> float | None:
        if answer.status not in {TOO_MANY, UNAVAILABLE}:
            return None
        wait = retry_after(answer.headers.get("retry-after")) if asked is None else asked
        return wait if wait is None or answer.status == UNAVAILABLE else self.put_off(wait)

    def _advice(self, status: int) -> str:
        if status in _CREDENTIALS:
            return f"Check {self._credential}: it is wrong, revoked, or may not do this"
        if status in _REDIRECTS:
            return "Redirects are not followed; configure the address at which they end"
        return "Trying again does not help; repair the cause, then retry what is parked"

    def _shown(self, text: str) -> str:
        return line(masked(text, self._secrets), _SHOWN) or "(empty)"


def retry_after(text: str | None) -> float | None:
    """Read a Retry-After header: seconds or a date; None for anything else, 1 for a date in the past."""
    text = (text or "").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), _LONGEST)
    try:
        date = parsedate_to_datetime(text)
        moment = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 1.0), _LONGEST) if isfinite(seconds) else None
