"""`Channel`: posts to one address over HTTP, with bounds on time and size, and keeps the address out of log lines."""

from __future__ import annotations

import weakref
from time import monotonic
from typing import TYPE_CHECKING

import httpx2

from tasker_subscribers.judge import Answer, Judge, answered
from tasker_subscribers.options import TIMEOUT, endpoint
from tasker_subscribers.secret import MASK, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MOST_READ = 65_536  # bytes of an answer; more is of no use, and who sends it has no good in mind
AGENT = "tasker-subscribers"


class Channel:
    """One address and the connections to it; thread-safe."""

    def __init__(self, url: Secret, judge: Judge, *, timeout: float = TIMEOUT) -> None:
        """Connect to nothing yet.

        Args:
            url: The address, all of which but the host counts as secret.
            judge: Says what an answer means.
            timeout: Seconds for each phase of a request.
        """
        self._url = url
        self._judge = judge
        self._timeout = timeout
        self._client = httpx2.Client(
            timeout=timeout,
            follow_redirects=False,  # what is signed for one host is not for another
            headers={"User-Agent": AGENT, "Accept-Encoding": "identity"},
        )
        weakref.finalize(self, self._client.close)  # nobody tells a subscriber that its application is closed

    def post(
        self, content: bytes, headers: Mapping[str, str], asked: Callable[[Answer], float | None] | None = None
    ) -> None:
        """Send a body; returns when it was taken.

        Args:
            content: The body.
            headers: Beside those that every request has.
            asked: Reads from an answer for how many seconds to wait, where that is not said by Retry-After.

        Raises:
            RetryableError: No answer came, or one that lets hope.
            PermanentError: The answer says no.
        """
        answer = self._answer(content, headers)
        self._judge.check(answer, None if asked is None else asked(answer))

    def close(self) -> None:
        """Close the connections; safe to repeat."""
        self._client.close()

    def _answer(self, content: bytes, headers: Mapping[str, str]) -> Answer:
        request = self._client.build_request("POST", self._url.reveal(), content=content, headers=headers)
        request.url = _Unshown(request.url)
        try:
            response = self._client.send(request, stream=True)
        except (httpx2.RequestError, OSError) as error:
            raise self._judge.unanswered(error) from None
        try:
            return answered(response.status_code, response.headers, self._beginning(response))
        finally:
            response.close()

    def _beginning(self, response: httpx2.Response) -> str:
        """Read the beginning of an answer. The status has decided already, so nothing that happens here matters."""
        deadline, found = monotonic() + self._timeout, b""
        try:
            for part in response.iter_raw():
                found += part
                if len(found) >= _MOST_READ or monotonic() >= deadline:
                    break
        except httpx2.RequestError as error:
            found += f" (broken off: {type(error).__qualname__})".encode()
        return found[:_MOST_READ].decode(errors="replace")


class _Unshown(httpx2.URL):
    """A URL that shows its host alone: the client writes the URL of each request to the log."""

    def __str__(self) -> str:
        return f"{endpoint(super().__str__())}/{MASK}"

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"
