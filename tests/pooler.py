"""A transaction pooler for tests: each transaction runs on any of a few connections, as behind pgbouncer."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
from collections.abc import Iterator
from threading import Condition, Thread
from urllib.parse import urlsplit, urlunsplit

_STARTUP = 196_608  # protocol 3.0
_ENCRYPTION = {80_877_103, 80_877_104}
_LIMIT = 30.0


class Session:
    """One connection to the server, with what it said when it began."""

    def __init__(self, target: tuple[str, int], user: str, database: str) -> None:
        """Connect as a user who needs no password."""
        self.socket = socket.create_connection(target)
        words = b"".join(word.encode() + b"\0" for word in ("user", user, "database", database))
        self.socket.sendall(struct.pack(">ii", len(words) + 9, _STARTUP) + words + b"\0")
        self._buffer = b""
        self.greeting = b"".join(message for kind, message in self._until_ready() if kind in b"SR")

    def messages(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give kind and bytes of every whole message."""
        self._buffer += data
        while len(self._buffer) >= 5:
            size = 1 + struct.unpack(">i", self._buffer[1:5])[0]
            if len(self._buffer) < size:
                return
            message, self._buffer = self._buffer[:size], self._buffer[size:]
            yield message[:1], message

    def _until_ready(self) -> Iterator[tuple[bytes, bytes]]:
        while True:
            for kind, message in self.messages(self.socket.recv(65_536)):
                assert kind != b"E", message
                yield kind, message
                if kind == b"Z":
                    return


class Pooler:
    """Listens on a free port of 127.0.0.1; `url` leads through it to the database of another URL."""

    def __init__(self, url: str, *, size: int = 2) -> None:
        """Open the connections to the server, and begin to listen."""
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._login = parts.username or "", parts.path[1:]
        self._listener = socket.create_server(("127.0.0.1", 0))
        netloc = f"{parts.username}@127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=netloc, query="pooler=true"))
        self._changed = Condition()
        self._free = [self._session() for _ in range(size)]
        self._greeting = self._free[0].greeting
        self._clients: list[socket.socket] = []
        self.transactions = 0
        self._closed = False
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:
            client.close()
        with self._changed:
            self._closed = True
            for session in self._free:
                session.socket.close()

    def _session(self) -> Session:
        return Session(self._server, *self._login)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.closing(client):
            while struct.unpack(">ii", client.recv(65_536)[:8])[1] in _ENCRYPTION:
                client.sendall(b"N")
            key = b"K" + struct.pack(">iii", 12, 1, 1)
            client.sendall(self._greeting + key + b"Z" + struct.pack(">i", 5) + b"I")
            while (data := client.recv(65_536)) and data[:1] != b"X":
                self._transact(client, data)

    def _transact(self, client: socket.socket, data: bytes) -> None:
        """Lend a connection for one transaction; one whose client went away in its middle is not used again."""
        with self._changed:
            assert self._changed.wait_for(lambda: bool(self._free), _LIMIT)
            session = self._free.pop(random.randrange(len(self._free)))
            self.transactions += 1
        try:
            _relay(client, session, data)
        except BaseException:
            session.socket.close()
            session = self._session()
            raise
        finally:
            with self._changed:
                self._free.append(session)
                self._changed.notify()
                if self._closed:
                    session.socket.close()


def _relay(client: socket.socket, session: Session, data: bytes) -> None:
    """Forward both ways until the server is outside of a transaction."""
    session.socket.sendall(data)
    while True:
        for one in select.select([client, session.socket], [], [], _LIMIT)[0]:
            data = one.recv(65_536)
            if not data:
                raise ConnectionResetError
            if one is client:
                session.socket.sendall(data)
                continue
            client.sendall(data)
            if any(kind == b"Z" and message[5:] == b"I" for kind, message in session.messages(data)):
                return
