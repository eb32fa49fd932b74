"""A server on loopback: it answers as it is told, else with success, and keeps what it was sent."""

from __future__ import annotations

import json
import socket
import sys
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, NamedTuple, Self

_LONGEST_HOLD = 20.0  # seconds


class Seen(NamedTuple):
    """A request as it came; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Reply(NamedTuple):
    """An answer; `hold` keeps the caller waiting until the endpoint is closed, `missing` bytes are promised in vain."""

    status: int = 200
    body: str = "ok"
    headers: tuple[tuple[str, str], ...] = ()
    hold: bool = False
    missing: int = 0


class Endpoint:
    """Listens on a free port of 127.0.0.1 while the context lasts."""

    def __init__(self) -> None:
        """Listen, answer nothing yet."""
        self.seen: list[Seen] = []
        self.replies: deque[Reply] = deque()
        self.usual = Reply()
        self._released = Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        """Answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let go who waits, and end."""
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """The root, without a slash at the end."""
        return f"http://{self.host}"

    def answer(self, *replies: Reply) -> None:
        """Answer the next requests like this."""
        self.replies.extend(replies)

    def take(self, seen: Seen) -> Reply:
        """Keep a request and give the answer to it."""
        self.seen.append(seen)
        reply = self.replies.popleft() if self.replies else self.usual
        if reply.hold:
            self._released.wait(_LONGEST_HOLD)
        return reply

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5  # a kept connection of a client that was not closed does not keep the test

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = endpoint.take(Seen(self.path, headers, body))
                content = reply.body.encode()
                try:
                    self.send_response(reply.status)
                    for name, value in (*reply.headers, ("Content-Length", str(len(content) + reply.missing))):
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                    self.close_connection = self.close_connection or reply.missing > 0
                except OSError:  # the caller has gone
                    self.close_connection = True

            def log_message(self, format: str, *_: object) -> None:
                """Write nothing."""

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of callers that have gone; that is what some tests are about."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def nobody() -> str:
    """Give the URL of a port on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{found.getsockname()[1]}"
