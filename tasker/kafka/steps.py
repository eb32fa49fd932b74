"""References to steps that are ready: their messages, and the thread that publishes what a worker could not start."""

from __future__ import annotations

import json
import time
from collections import defaultdict, deque
from threading import Event, Thread
from typing import TYPE_CHECKING

from tasker.codec.decode import id_bytes, text_id
from tasker.errors import TaskerError
from tasker.instrument import count, logger
from tasker.kafka.message import Outgoing
from tasker.runtime.dispatch import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasker.kafka.message import Incoming
    from tasker.kafka.publisher import Publisher

MOST_REFERENCES = 100
"""How many references one message has at most."""
_ID_BYTES = 16
_LARGEST = 2**31 - 1
_SHOWN = 60
_MOST_WAITING = 10_000
_MOST_AT_ONCE = 1_000
_MOST_MESSAGES, _MESSAGES_A_SECOND = 20, 20.0
"""How many offers go out at once and in the long run: who hears of one looks for more itself, and each costs two."""
_log = logger("kafka")


def written(references: Iterable[Reference], topic: str) -> list[Outgoing]:
    """Write messages: the key is the task's id, the value names its steps by their places in the pinned definition."""
    by_task: defaultdict[bytes, list[Reference]] = defaultdict(list)
    for one in dict.fromkeys(references):
        by_task[one.stream_id].append(one)
    return [
        _message(stream_id, steps[first : first + MOST_REFERENCES], topic)
        for stream_id, steps in by_task.items()
        for first in range(0, len(steps), MOST_REFERENCES)
    ]


def read(messages: Iterable[Incoming]) -> Iterator[Reference]:
    """Read the references of messages; what is none is passed over and counted, for the log knows what is ready."""
    for message in messages:
        try:
            fields = json.loads(message.value or b"")
            references = _references(fields["task_id"], fields["steps"])
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            count("tasker.kafka_stray")
            place = f"{message.topic}/{message.partition}/{message.offset}"
            _log.warning("message %s names no steps and is passed over: %s", place, error)
            continue
        yield from references


def _references(task_id: object, steps: list[dict[str, int]]) -> list[Reference]:
    stream_id = id_bytes(str(task_id))
    found = [Reference(stream_id, int(one["number"]), int(one["attempt"])) for one in steps]
    if len(stream_id) != _ID_BYTES or any(not 0 <= number <= _LARGEST for one in found for number in one[1:]):
        msg = f"expected the id of a task and small numbers, found {str(task_id)[:_SHOWN]!r} and {str(steps)[:_SHOWN]}"
        raise ValueError(msg)
    return found


def _message(stream_id: bytes, steps: list[Reference], topic: str) -> Outgoing:
    task_id = text_id(stream_id)
    places = [{"number": one.step, "attempt": one.attempt} for one in steps]
    value = json.dumps({"task_id": task_id, "steps": places}, separators=(",", ":")).encode()
    return Outgoing(topic, task_id.encode(), value)


class Dispatcher:
    """Publishes references on a thread between `start` and `stop`; what finds no room is left to who looks for work."""

    def __init__(self, publisher: Publisher, topic: str) -> None:
        """Take a publisher of its own and the name of the topic."""
        self._publisher = publisher
        self._topic = topic
        self._waiting: deque[Reference] = deque(maxlen=_MOST_WAITING)
        self._woken = Event()
        self._stopping = False
        self._failed = False
        self._credit, self._counted_at = float(_MOST_MESSAGES), time.monotonic()
        self._thread: Thread | None = None

    def offer(self, references: list[Reference]) -> None:
        """Take references to publish; called by the leader, so it only takes note."""
        self._waiting.extend(references)
        if not self._woken.is_set():
            self._woken.set()

    def start(self) -> None:
        """Publish from now on."""
        if self._thread is None:
            self._stopping = False
            self._thread = Thread(target=self._run, name="tasker-dispatch", daemon=True)
            self._thread.start()

    def stop(self, seconds: float) -> bool:
        """End the thread; False if it did not end in time."""
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        self._stopping = True
        self._woken.set()
        thread.join(seconds)
        if thread.is_alive():
            return False
        self._publisher.close()
        return True

    def _run(self) -> None:
        while not self._stopping:
            self._woken.wait()
            self._woken.clear()
            while self._waiting and not self._stopping:
                page = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
                self._publish(page)

    def _publish(self, page: list[Reference]) -> None:
        messages = self._allowed(written(page, self._topic))
        try:
            self._publisher.publish(messages)
        except TaskerError as error:
            if not self._failed:
                _log.warning("steps cannot be offered to other workers, who find them a little later: %s", error)
            self._failed = True
            self._waiting.clear()
            return
        if self._failed:
            _log.info("steps are offered to other workers again")
        self._failed = False

    def _allowed(self, messages: list[Outgoing]) -> list[Outgoing]:
        now = time.monotonic()
        earned = (now - self._counted_at) * _MESSAGES_A_SECOND
        self._credit, self._counted_at = min(self._credit + earned, _MOST_MESSAGES), now
        kept = messages[: int(self._credit)]
        self._credit -= len(kept)
        return kept
