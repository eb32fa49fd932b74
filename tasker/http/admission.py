"""What is answered at all: so many requests at a time, with heads of so many bytes; the rest is refused at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tasker.errors import Overloaded
from tasker.http import problems
from tasker.http.problems import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from tasker.errors import TaskerError

MOST_REQUESTS = 256
"""Requests that are answered at the same time."""
MOST_HEAD = 65_536
"""Bytes of the headers and the query of a request."""
MOST_STREAMS = 4_000
"""Event streams that are open at the same time."""
_STREAMS = frozenset({"/v1/events/stream", "/live"})
_ALWAYS = frozenset({"/health/live", "/health/ready"})


class Admission:
    """Refuses what is too much with 503 and Retry-After, and too long a head with 431; health is always told."""

    def __init__(self, app: ASGIApp) -> None:
        """Take what answers."""
        self._app = app
        self._inside: Counter[bool] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
        streams = path in _STREAMS
        error = self._wrong(scope, path, streams=streams)
        if error is not None:
            await problems.answer(*problems.document(error))(scope, receive, send)
            return
        self._inside[streams] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside[streams] -= 1

    def _wrong(self, scope: Scope, path: str, *, streams: bool) -> TaskerError | None:
        """Say why a request is refused, or None."""
        # A server refuses a long head only while it has come in part; what has come at once it takes whole.
        if sum(len(name) + len(value) for name, value in scope["headers"]) + len(scope["query_string"]) > MOST_HEAD:
            message = f"expected a head of at most {MOST_HEAD} bytes, found a longer one; send less in it"
            return Refused(message, status=431, title="Head too large", headers={"Connection": "close"})
        most = MOST_STREAMS if streams else MOST_REQUESTS
        if path in _ALWAYS or self._inside[streams] < most:
            return None
        what = "event streams" if streams else "requests"
        return Overloaded(f"expected at most {most} {what} at the same time, found more; try again a little later")
