"""The network between a process and PostgreSQL: it cuts, delays, delivers late, or swallows everything for a while."""

from __future__ import annotations

import contextlib
import socket
import time
from threading import Event, Thread

from tests import proxy
from tests.proxy import Link, Proxy, Rule

_REACH_SECONDS = 5.0
_LONGEST_SECONDS = 30.0


class Wire(Link):
    """One connection, on which nothing moves while its network is away."""

    def __init__(self, client: socket.socket, server: socket.socket, there: Event) -> None:
        """Take both ends, and what says that the network is there."""
        super().__init__(client, server)
        self._there = there

    def send(self, data: bytes) -> None:
        """Forward to the server."""
        self._there.wait(_LONGEST_SECONDS)
        super().send(data)

    def reply(self, data: bytes) -> None:
        """Forward to the client."""
        self._there.wait(_LONGEST_SECONDS)
        super().reply(data)


class Network(Proxy):
    """The way of one process to the server; the server may be away, and come back on the same port.

    Attributes:
        there: Cleared while nothing gets through, in either direction.
    """

    def __init__(self, url: str) -> None:
        """Begin to listen in front of the server of a URL."""
        self.there = Event()
        self.there.set()
        super().__init__(url)

    def cut(self) -> int:
        """Cut every connection at once; give how many there may have been."""
        links, self._links = self._links, []
        for link in links:
            link.cut()
        return len(links)

    def describe(self) -> list[str]:
        """Say what has become of each connection."""
        return [f"{link.client} {link.server} muted {link.muted} ended {link._ended}" for link in self._links]

    def close(self) -> None:
        """End everything."""
        self.there.set()
        super().close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        """Connect a client; a server that is down refuses it, and the next one may have more luck."""
        try:
            server = socket.create_connection(self._target, _REACH_SECONDS)
        except OSError:
            proxy.close(client)
            return
        server.settimeout(None)
        link = Wire(client, server, self.there)
        self._links.append(link)
        Thread(target=self._forward, args=(link,), daemon=True).start()
        proxy._answer(link)
        self._pass_on(link)

    def _forward(self, link: Link) -> None:
        super()._forward(link)
        self._pass_on(link)

    def _pass_on(self, link: Link) -> None:
        """Let one side know that the other is gone, also where it was reset instead of closed."""
        if not link.muted:
            link.cut()


class Counted:
    """A rule that counts how often it was applied."""

    def __init__(self, rule: Rule) -> None:
        """Take the rule."""
        self._rule = rule
        self.count = 0

    def __call__(self, link: Link, before: bytes, commit: bytes) -> None:
        """Apply it."""
        self.count += 1
        self._rule(link, before, commit)


def answer_late(seconds: float) -> Rule:
    """Let the server commit at once, and its client hear of it later."""

    def rule(link: Link, before: bytes, commit: bytes) -> None:
        link._answer = b""
        link.muted = True
        link.send(before + commit)
        answer = link.wait_for_answer()
        time.sleep(seconds)
        link.muted = False
        link.client.sendall(answer)
        if link._ended:
            link.cut()

    return rule
