"""One connection to the server: who sends or reads too slowly is let go, so that nobody holds one for ever."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11
import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

from tasker.http.problems import MEDIA_TYPE, problem

HEAD_SECONDS = 30.0
"""Within which the head of a request has to come, and the rest of a body that nobody asked for."""
LOOK_SECONDS = 10.0
"""How often a connection is looked at; who has read nothing meanwhile of what was sent is let go."""
_ANSWERS = (b"HTTP/1.1 2", b"HTTP/1.1 3", b"HTTP/1.1 4", b"HTTP/1.1 5")  # not 1: who waits for it sends nothing before


class Joined(asyncio.Transport):
    """A transport that sends the head of an answer together with what follows it: one call of the system for both."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Take what sends."""
        super().__init__()
        self._transport = transport
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, or keep the head of an answer for what is written next: a body, or else its end, which is empty."""
        head, self._head = self._head, b""
        whole = head + bytes(data)
        if not head and whole.startswith(_ANSWERS):
            self._head = whole
        elif whole:
            self._transport.write(whole)

    def close(self) -> None:
        """Send what was kept, and close."""
        self.write(b"")
        self._transport.close()

    def abort(self) -> None:
        """Close, whatever is left to send."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Say whether it is closed, or about to be."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Take nothing from the client for a while."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take again what the client sends."""
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Give how many bytes the client has not taken yet."""
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: object = None) -> Any:  # noqa: ANN401 - what it is depends on the name
        """Give something about the connection, such as the address of the client."""
        return self._transport.get_extra_info(name, default)


class Connection(H11Protocol):
    """A connection that ends if its client goes on with nothing.

    The server ends one that is idle between two requests, and the routes one whose body does not come. What is left are
    heads that never end, bodies that nobody reads, and answers that the client does not take.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to look."""
        super().connection_made(Joined(cast("asyncio.Transport", transport)))
        self._since: float | None = self.loop.time()
        self._behind: object = None
        self._unsent = 0
        self._taken = False
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        self._timer.cancel()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """Note that the client has read something."""
        self._taken = True
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or has too long a head, as everything else is answered."""
        detail = f"expected a request in HTTP/1.1 with a head of at most 64 KiB, found another one: {msg}"
        body = orjson.dumps(problem(400, "Malformed request", detail, {}))
        headers = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), ("connection", "close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _look(self) -> None:
        """Let the client go if it goes on with nothing; else look again."""
        unsent = self.transport.get_write_buffer_size()
        stuck = unsent > 0 and unsent >= self._unsent > 0 and not self._taken
        if stuck or self._is_late():
            self.transport.abort()
            return
        self._unsent, self._taken = unsent, False
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)

    def _is_late(self) -> bool:
        """Say whether the next request has begun long ago and is still not there."""
        now, answering = self.loop.time(), self.cycle is not None and not self.cycle.response_complete
        if answering or self.timeout_keep_alive_task is not None:
            self._since = None
        elif self._since is None or self._behind is not self.cycle:
            self._since, self._behind = now, self.cycle
        return self._since is not None and now - self._since >= HEAD_SECONDS
