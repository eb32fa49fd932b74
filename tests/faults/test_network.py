"""The network of the harness: a fault in it is one of the network, and never one that a real network cannot have."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from threading import Thread

import pytest

from tests.faults.network import Network

_SECONDS = 5.0
_RESET = b"reset"


class Echo:
    """A server that answers each piece it gets with the same, and resets its side when it is asked to."""

    def __init__(self) -> None:
        """Begin to listen."""
        self.sessions: list[socket.socket] = []
        self.clients: list[socket.socket] = []
        self.listen()

    def listen(self) -> None:
        """Listen on a free port."""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        Thread(target=self._serve, args=(self.listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                session, _ = listener.accept()
            except OSError:
                return
            self.sessions.append(session)
            Thread(target=self._answer, args=(session,), daemon=True).start()

    def _answer(self, session: socket.socket) -> None:
        try:
            while data := session.recv(1000):
                if data == _RESET:
                    reset(session)
                    return
                session.sendall(data)
        except OSError:
            return


@pytest.fixture
def echo() -> Iterator[Echo]:
    """Hold a server."""
    found = Echo()
    yield found
    for one in [found.listener, *found.sessions, *found.clients]:
        one.close()


@pytest.fixture
def network(echo) -> Iterator[Network]:
    """Hold a network in front of it."""
    found = Network(f"postgresql://user@127.0.0.1:{echo.port}/db")
    yield found
    found.close()


def reach(echo: Echo, network: Network) -> socket.socket:
    """Connect through a network."""
    port = int(network.url.rpartition(":")[2].partition("/")[0])
    echo.clients.append(socket.create_connection(("127.0.0.1", port), _SECONDS))
    return echo.clients[-1]


def connect(echo: Echo, network: Network) -> socket.socket:
    """Connect, and see that the server answers."""
    client = reach(echo, network)
    client.sendall(b"hello")
    assert client.recv(1000) == b"hello"
    return client


def reset(one: socket.socket) -> None:
    """Close a connection in the way of a process that is killed with unread data."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def ended(one: socket.socket) -> bool:
    """Wait for the end of a connection."""
    one.settimeout(_SECONDS)
    try:
        return one.recv(1000) == b""
    except ConnectionError:
        return True


def test_a_reset_of_one_side_ends_the_other(echo, network):
    """Whoever is reset, the other side hears of it: nobody waits for an answer that cannot come."""
    client = connect(echo, network)
    client.sendall(_RESET)
    assert ended(client)
    again = connect(echo, network)
    session = echo.sessions[1].dup()
    echo.clients.append(session)
    reset(again)
    assert ended(session)


def test_a_cut_ends_both_sides(echo, network):
    """A cut ends what is connected, and who connects anew is served."""
    client = connect(echo, network)
    assert network.cut() == 1
    assert ended(client)
    connect(echo, network)


def test_a_network_that_is_away_delivers_late(echo, network):
    """While it is away nothing gets through; then everything arrives."""
    client = connect(echo, network)
    network.there.clear()
    client.sendall(b"late")
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1000)
    network.there.set()
    client.settimeout(_SECONDS)
    assert client.recv(1000) == b"late"


def test_a_server_that_was_away_is_reached_again(echo, network):
    """A connection to a server that is down is refused, and the next one reaches it when it is back."""
    echo.listener.shutdown(socket.SHUT_RDWR)
    echo.listener.close()
    assert ended(reach(echo, network))
    echo.listen()
    network._target = ("127.0.0.1", echo.port)
    connect(echo, network)
