"""A TCP proxy in front of PostgreSQL that does to a connection, at its next COMMIT, what networks do."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from threading import Condition, Thread
from urllib.parse import urlsplit, urlunsplit

_COMMIT = b"COMMIT\0"
_SYNC = b"S\0\0\0\4"
_READY = b"Z\0\0\0\5"
_SECONDS = 20.0


class Link:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        """Take both ends."""
        self.client, self.server = client, server
        self.muted = False
        self._ended = False
        self._answer = b""
        self._answered = Condition()

    def send(self, data: bytes) -> None:
        """Forward to the server."""
        self.server.sendall(data)

    def reply(self, data: bytes) -> None:
        """Forward to the client, or keep what it shall not see."""
        if not self.muted:
            self.client.sendall(data)
            return
        with self._answered:
            self._answer += data
            self._answered.notify_all()

    def end(self) -> None:
        """Note that the server says no more."""
        with self._answered:
            self._ended = True
            self._answered.notify_all()

    def wait_for_answer(self) -> bytes:
        """Wait until the server is done with what it got; give what it said."""
        with self._answered:
            assert self._answered.wait_for(lambda: _READY in self._answer or self._ended, _SECONDS)
            return self._answer

    def cut_client(self) -> None:
        """End the connection of the client."""
        close(self.client)

    def cut(self) -> None:
        """End both."""
        close(self.client)
        close(self.server)


Rule = Callable[[Link, bytes, bytes], None]
"""Gets what came up to the COMMIT, and the COMMIT with what follows it."""


def cut_after(link: Link, before: bytes, commit: bytes) -> None:
    """Let the COMMIT through, and cut before its answer."""
    link.muted = True
    link.send(before + commit)
    link.wait_for_answer()
    link.cut()


def cut_at_once(link: Link, before: bytes, commit: bytes) -> None:
    """Let the COMMIT through, and cut while the server is busy with it."""
    link.muted = True
    link.send(before + commit)
    link.cut()


def cut_before(link: Link, before: bytes, commit: bytes) -> None:
    """Cut between what came before and the COMMIT."""
    link.muted = True
    link.send(before)
    link.cut()


def slow(seconds: float) -> Rule:
    """Let the COMMIT wait while the transaction has its locks."""

    def rule(link: Link, before: bytes, commit: bytes) -> None:
        link.send(before)
        time.sleep(seconds)
        link.send(commit)

    return rule


class Hold:
    """Cut the client, and keep what it sent, as a network may that delivers late."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._link: Link | None = None
        self._held = b""

    def __call__(self, link: Link, before: bytes, commit: bytes) -> None:
        """Keep it."""
        link.muted = True
        self._link, self._held = link, before + commit
        link.cut_client()

    def deliver(self) -> bytes:
        """Deliver it now; give what the server said."""
        assert self._link is not None
        with contextlib.suppress(OSError):
            self._link.send(self._held)
        answer = self._link.wait_for_answer()
        self._link.cut()
        return answer


class Proxy:
    """Listens on a free port of 127.0.0.1 and forwards to the server of a URL.

    Attributes:
        rule: What happens to the next COMMIT, once.
        always: What happens to every COMMIT.
        down: True to refuse new connections.
    """

    def __init__(self, url: str) -> None:
        """Begin to listen."""
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        user = f"{parts.username}@" if parts.username else ""
        self.url = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self._listener.getsockname()[1]}"))
        self.rule: Rule | None = None
        self.always: Rule | None = None
        self.down = False
        self._links: list[Link] = []
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        close(self._listener)
        for link in self._links:
            link.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = None if self.down else self._reached()
                if server is None:
                    client.close()
                    continue
                link = Link(client, server)
                self._links.append(link)
                Thread(target=self._forward, args=(link,), daemon=True).start()
                Thread(target=_answer, args=(link,), daemon=True).start()

    def _reached(self) -> socket.socket | None:
        """Connect to the server; None where it is not there."""
        try:
            return socket.create_connection(self._target)
        except OSError:
            return None

    def _forward(self, link: Link) -> None:
        with contextlib.suppress(OSError):
            while data := link.client.recv(65_536):
                place = data.find(_COMMIT)
                rule = self.rule or self.always
                if place < 0 or rule is None:
                    link.send(data)
                    continue
                self.rule = None
                piped = data[place - 6 : place - 5] == b"P"
                while piped and _SYNC not in data[place:]:
                    more = link.client.recv(65_536)
                    if not more:
                        break
                    data += more
                start = place - 6 if piped else place - 5
                try:
                    rule(link, data[:start], data[start:])
                except BaseException:
                    link.cut()
                    raise
        if not link.muted:
            link.cut()


def _answer(link: Link) -> None:
    with contextlib.suppress(OSError):
        while data := link.server.recv(65_536):
            link.reply(data)
    if not link.muted:
        link.cut()
    link.end()


def close(one: socket.socket) -> None:
    """Close a socket that another thread may be reading from."""
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
