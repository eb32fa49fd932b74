"""A client for the measures of HTTP: requests at a fixed rate over connections that are kept, and event streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

PATIENCE = 60.0
_LINES = b"\r\n\r\n"


class Answer(NamedTuple):
    """What came back, and when.

    Attributes:
        status: The HTTP status.
        body: The body.
        seconds: From the moment at which the request was due; waiting for a connection counts.
    """

    status: int
    body: bytes
    seconds: float


class Pool:
    """Connections to one server; a request takes one that is free."""

    def __init__(self, url: str, size: int) -> None:
        """Take the address, and how many connections there are at most."""
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._size = size

    async def open(self) -> None:
        """Connect."""
        for _ in range(self._size):
            self._free.put_nowait(await asyncio.open_connection(self.host, self.port))

    async def ask(self, head: str, body: bytes = b"", due: float | None = None) -> Answer:
        """Send a request; `head` is its method and path."""
        due = time.perf_counter() if due is None else due
        reader, writer = await self._free.get()
        lines = [f"{head} HTTP/1.1", f"Host: {self.host}:{self.port}", f"Content-Length: {len(body)}"]
        lines += ["Content-Type: application/json"] if body else []
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        found = await reader.readuntil(_LINES)
        length = int(found.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        told = await reader.readexactly(length)
        self._free.put_nowait((reader, writer))
        return Answer(int(found.split(maxsplit=2)[1]), told, time.perf_counter() - due)

    def close(self) -> None:
        """Close every connection."""
        while not self._free.empty():
            self._free.get_nowait()[1].close()


async def at_rate(pool: Pool, rate: float, seconds: float, make: Callable[[int], tuple[str, bytes]]) -> list[Answer]:
    """Ask so many times a second, however long answers take.

    Args:
        pool: The connections.
        rate: Requests a second.
        seconds: For how long.
        make: Gives head and body of a request by its number.
    """
    began = time.perf_counter()
    asked: list[asyncio.Task[Answer]] = []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        asked.append(asyncio.create_task(pool.ask(*make(number), due)))
    return await asyncio.gather(*asked)


class Listener(asyncio.Protocol):
    """One client of the event stream; it notes when it heard of each position."""

    def __init__(self, request: bytes) -> None:
        """Take what it asks."""
        self._request = request
        self._rest = b""
        self.answered = asyncio.get_running_loop().create_future()
        self.heard: dict[int, float] = {}
        self._more = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Note what came."""
        now = time.perf_counter()
        if not self.answered.done():
            self.answered.set_result(None)
        whole = self._rest + data
        for position in _positions(whole):
            self.heard.setdefault(position, now)
        self._rest = whole[whole.rfind(b"\n\n") + 1 :]
        self._more.set()

    async def hears(self, position: int) -> None:
        """Wait until it has heard of a position.

        Raises:
            TimeoutError: It did not for a long time.
        """
        async with asyncio.timeout(PATIENCE):
            while position not in self.heard:
                self._more.clear()
                await self._more.wait()


def _positions(data: bytes) -> Iterator[int]:
    """Give the positions of the frames of a piece of a stream."""
    for line in data.split(b"\n"):
        if line.startswith(b"id: "):
            yield int(line[4:])


async def listen(pool: Pool, count: int) -> tuple[list[Listener], list[asyncio.Transport]]:
    """Connect so many clients to the event stream."""
    loop = asyncio.get_running_loop()
    request = f"GET /v1/events/stream HTTP/1.1\r\nHost: {pool.host}:{pool.port}\r\n\r\n".encode()
    listeners: list[Listener] = []
    transports: list[asyncio.Transport] = []
    for _ in range(count):
        transport, one = await loop.create_connection(lambda: Listener(request), pool.host, pool.port)
        transports.append(transport)
        listeners.append(one)
        await asyncio.wait_for(one.answered, PATIENCE)
    return listeners, transports
