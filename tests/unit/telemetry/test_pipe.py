"""Rules of the queue between the engine and whoever tells of it."""

from __future__ import annotations

import logging
import threading

from tasker.telemetry import pipe
from tasker.telemetry.pipe import Pipe
from tests.integration.runner_kit import PATIENCE


def test_items_come_in_order():
    """What is handed in is taken in order, and all of it by the end of a flush."""
    seen: list[int] = []
    queue = Pipe(seen.append)
    for number in range(500):
        queue.put(number)
    assert queue.flush(PATIENCE)
    assert seen == list(range(500))
    assert queue.close(PATIENCE)


def test_nothing_starts_before_the_first_item():
    """Without an item there is no thread, and flushing and closing return at once."""
    queue = Pipe(lambda item: None)
    assert queue.flush(0)
    assert queue.close(0)
    assert queue._thread is None


def test_what_raises_is_logged_once_and_ends_nothing(caplog):
    """An exception costs its item alone; the log names its type, not its text."""
    seen: list[int] = []

    def take(item: int) -> None:
        if item % 2:
            raise OSError("password=hunter2")
        seen.append(item)

    queue = Pipe(take)
    with caplog.at_level(logging.WARNING):
        for number in range(10):
            queue.put(number)
        assert queue.flush(PATIENCE)
    assert seen == [0, 2, 4, 6, 8]
    assert caplog.text.count("OSError") == 1
    assert "hunter2" not in caplog.text
    assert queue.close(PATIENCE)


def test_what_hangs_is_waited_for_once():
    """A flush that ran out of time is not repeated before there was progress; putting never waits."""
    entered, released = threading.Event(), threading.Event()

    def take(item: int) -> None:
        entered.set()
        assert released.wait(PATIENCE)

    queue = Pipe(take)
    queue.put(1)
    assert entered.wait(PATIENCE)
    queue.put(2)
    assert not queue.flush(0.01)
    assert not queue.flush(PATIENCE * 100)  # else this test would not end
    released.set()
    queue._changed.acquire()
    try:
        assert queue._changed.wait_for(lambda: queue._taken == 2, PATIENCE)
    finally:
        queue._changed.release()
    assert queue.flush(PATIENCE)
    assert queue.close(PATIENCE)


def test_the_queue_is_bounded(monkeypatch):
    """Beyond its bound the newest is dropped and counted: memory never grows behind what hangs."""
    monkeypatch.setattr(pipe, "MOST", 3)
    released, seen = threading.Event(), list[int]()

    def take(item: int) -> None:
        assert released.wait(PATIENCE)
        seen.append(item)

    queue = Pipe(take)
    for number in range(10):
        queue.put(number)
    assert queue.dropped >= 6
    released.set()
    assert queue.close(PATIENCE)
    assert len(seen) + queue.dropped == 10
    assert seen == sorted(seen)
