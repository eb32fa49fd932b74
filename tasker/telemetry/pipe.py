"""A bounded queue with a thread of its own: whoever hands something in never waits for what becomes of it."""

from __future__ import annotations

import time
from collections import deque
from threading import Condition, Thread, current_thread
from typing import TYPE_CHECKING, Generic, TypeVar

from tasker.instrument import logger

if TYPE_CHECKING:
    from collections.abc import Callable

_Item = TypeVar("_Item")
MOST = 50_000
"""What may wait; beyond, the newest is dropped."""
_PAUSE_SECONDS = 0.05
_AT_ONCE = 16


class Pipe(Generic[_Item]):
    """Takes items in order on a thread, which starts with the first one and rests between two batches.

    Resting is what keeps it from competing with the engine: a batch a few times a second costs less than to be woken by
    each append, and after every few items the thread offers the interpreter to whoever waits for it.
    """

    def __init__(self, take: Callable[[_Item], None], rest: Callable[[], None] = lambda: None) -> None:
        """Take what is called with each item, and what after each batch; what they raise is logged once."""
        self._take = take
        self._rest = rest
        self._items: deque[_Item] = deque()
        self._changed = Condition()
        self._thread: Thread | None = None
        self._idle = False
        self._hurried = False
        self._closed = False
        self._given = 0
        self._taken = 0
        self._given_up = -1
        self._reported = False
        self.dropped = 0

    def put(self, item: _Item) -> None:
        """Hand an item in; one caller at a time."""
        if len(self._items) >= MOST or self._closed:
            self.dropped += 1
            return
        self._items.append(item)
        self._given += 1
        if self._thread is None:
            self._thread = Thread(target=self._run, name="tasker-telemetry", daemon=True)
            self._thread.start()
        elif self._idle:
            with self._changed:
                self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until everything handed in so far was taken; False if that took longer.

        After a failure it is not waited for again before there was progress: what hangs shall not be paid for twice.

        Args:
            seconds: How long to wait at most, in real time.
        """
        wanted = self._given
        if self._taken >= wanted or self._thread is None or current_thread() is self._thread:
            return True
        if self._given_up == self._taken:
            return False
        with self._changed:
            self._hurried = True
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: self._taken >= wanted, seconds)
        self._given_up = -1 if done else self._taken
        return done

    def close(self, seconds: float) -> bool:
        """Take what is left and end the thread, or leave it behind after so many seconds; safe to repeat."""
        clean = self.flush(seconds)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if clean and self._thread is not None and self._thread is not current_thread():
            self._thread.join(seconds)
        return clean

    def _run(self) -> None:
        while True:
            with self._changed:
                self._idle = True
                self._changed.wait_for(lambda: self._closed or bool(self._items))
                self._idle = False
            if self._closed and not self._items:
                return
            self._batch()
            with self._changed:
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or self._hurried, _PAUSE_SECONDS)
                self._hurried = False

    def _batch(self) -> None:
        taken = len(self._items)
        for number in range(1, taken + 1):
            item = self._items.popleft()
            self._guarded(self._take, item)
            if number % _AT_ONCE == 0:
                time.sleep(0)
        self._guarded(self._rest)
        self._taken += taken

    def _guarded(self, call: Callable[..., None], *items: _Item) -> None:
        try:
            call(*items)
        except Exception as error:  # noqa: BLE001 - reported; a broken exporter must not end telemetry
            self._report(error)

    def _report(self, error: Exception) -> None:
        if not self._reported:
            self._reported = True
            text = "telemetry raised %s; tasks go on, further failures of this kind are not logged"
            logger("telemetry").warning(text, type(error).__qualname__)
