"""Server-sent events: the log as it grows, resumable by position; a client that does not read is disconnected."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tasker.errors import TaskerError
from tasker.http import views
from tasker.http.feed import KEPT
from tasker.instrument import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.types import Receive, Scope, Send

    from tasker.catalog.patterns import Patterns
    from tasker.codec.recorded import RecordedEvent
    from tasker.http.call import Call

SEND_SECONDS = 10.0
"""For which a client may leave unread what it was sent."""
QUIET_SECONDS = 15.0
"""After which a comment is sent, by which both sides see that the other one is there."""
_AGAIN_MILLISECONDS = 1_000
_PIECE = 65_536  # bytes
_HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))  # fmt: skip # noqa: E501
_log = logger("http")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a client is told of.

    Attributes:
        types: Globs over their names; None for all.
        task_id: Of one task, or `$control`; None for all.
        namespace: Of one namespace; None for all that the caller may look into.
    """

    types: Patterns | None = None
    task_id: str | None = None
    namespace: str | None = None

    def takes(self, event: RecordedEvent, call: Call) -> bool:
        """Say whether a client is told of an event."""
        if self.types is not None and not self.types.matches(event.type):
            return False
        if self.task_id is not None and event.stream_id != self.task_id:
            return False
        if self.namespace is not None and event.namespace != self.namespace:
            return False
        return call.principal.sees(event.namespace)


class EventStream(Response):
    """One client's stream."""

    def __init__(self, call: Call, wanted: Wanted, after: int | None) -> None:
        """Take the caller, what it wants, and the position it has; None for what comes from now on."""
        super().__init__(media_type="text/event-stream")
        self._call = call
        self._wanted = wanted
        self._after = after
        self._live = after is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client goes, falls behind, or this process stops."""
        del scope  # one stream is like another
        feed = self._call.service.feed
        head = await feed.join()
        position = head if self._after is None else self._after
        gone = asyncio.ensure_future(_until_gone(receive))
        told = asyncio.ensure_future(self._tell(position, send))
        try:
            await asyncio.wait({gone, told}, return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                told.result()
        finally:
            feed.leave()
            for one in (gone, told):
                one.cancel()
            await asyncio.gather(gone, told, return_exceptions=True)

    async def _tell(self, position: int, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        feed = self._call.service.feed
        try:
            await _send(send, b"retry: %d\n\n" % _AGAIN_MILLISECONDS)
            while not feed.closed:
                events = await self._next(position)
                if events is None:
                    _log.info("a client of the event stream fell behind by more than %d events", KEPT)
                    break
                if events:
                    position = await self._pass_on(events, send)
                    continue
                self._live = True
                await feed.wait(position, QUIET_SECONDS)
                if not feed.since(position):
                    await _send(send, b": %d\n\n" % position)
        except TimeoutError:
            _log.info("a client of the event stream has not read for %g s and is disconnected", SEND_SECONDS)
            return
        except TaskerError as error:
            _log.warning("an event stream ends, for the log could not be read: %s", error)
        with contextlib.suppress(TimeoutError):  # it is over either way
            await _send(send, b"", more=False)

    async def _next(self, position: int) -> list[RecordedEvent] | None:
        """Give what came after a position; None for a client that was up to date and has fallen behind."""
        events = self._call.service.feed.since(position)
        if events is None and not self._live:
            return await self._call.service.feed.page(position)
        return events

    async def _pass_on(self, events: list[RecordedEvent], send: Send) -> int:
        """Send those of some events that are wanted; gives the position behind them."""
        wanted = [event for event in events if self._wanted.takes(event, self._call)]
        frames = self._frames(wanted) if self._call.mask.whole else await run_in_threadpool(self._frames, wanted)
        for chunk in _chunks(frames):
            await _send(send, chunk)
        await asyncio.sleep(0)
        return events[-1].position

    def _frames(self, events: Iterable[RecordedEvent]) -> list[bytes]:
        mask, context = self._call.mask, self._call.engine.context
        return [_frame(event, views.event(event, mask, context)) for event in events]


def _frame(event: RecordedEvent, shown: views.Json) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.position, event.type.encode(), orjson.dumps(shown))


def _chunks(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Join frames to pieces that a connection takes one after the other, so that none holds more than it has to."""
    piece: list[bytes] = []
    size = 0
    for frame in frames:
        piece.append(frame)
        size += len(frame)
        if size >= _PIECE:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)


async def _send(send: Send, chunk: bytes, *, more: bool = True) -> None:
    """Send, as long as the client reads.

    Raises:
        TimeoutError: It does not.
    """
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": chunk, "more_body": more})


async def _until_gone(receive: Receive) -> None:
    """Wait until the client closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
