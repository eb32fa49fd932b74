"""HTTP clients of API steps: one per worker and configuration, made at first use, closed with the worker."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


@runtime_checkable
class Closable(Protocol):
    """A client that can be closed from any thread."""

    def close(self) -> None:
        """Give its sockets back."""
        ...


@runtime_checkable
class AsyncClosable(Protocol):
    """A client that can be closed on its event loop."""

    async def aclose(self) -> None:
        """Give its sockets back."""
        ...


_C = TypeVar("_C")


class Connections:
    """A small cache of clients; any thread may use it.

    Attributes:
        transport: Stands in for the network in every client, if given; for tests.
    """

    def __init__(self, transport: object = None) -> None:
        """Begin without a client."""
        self.transport = transport
        self._lock = threading.Lock()
        self._clients: dict[tuple[type, Hashable], object] = {}

    def get(self, kind: type[_C], key: Hashable, make: Callable[[], _C]) -> _C:
        """Give the client of a configuration; one that a handler has closed is replaced.

        Args:
            kind: The class of the client.
            key: The configuration.
            make: Makes the client where there is none yet.
        """
        client = self._clients.get((kind, key))
        if not isinstance(client, kind) or _is_closed(client):
            with self._lock:
                client = self._clients.get((kind, key))
                if not isinstance(client, kind) or _is_closed(client):
                    client = self._clients[kind, key] = make()
        return client

    def close(self) -> None:
        """Close the clients that can be closed from any thread; later use makes new ones."""
        with self._lock:
            closing = {key: one for key, one in self._clients.items() if isinstance(one, Closable)}
            self._clients = {key: one for key, one in self._clients.items() if key not in closing}
        for client in closing.values():
            client.close()

    async def aclose(self) -> None:
        """Close the clients of this event loop; call it there, before `close`."""
        with self._lock:
            closing = {key: one for key, one in self._clients.items() if isinstance(one, AsyncClosable)}
            self._clients = {key: one for key, one in self._clients.items() if key not in closing}
        for client in closing.values():
            await client.aclose()


def _is_closed(client: object) -> bool:
    return getattr(client, "is_closed", False) is True
