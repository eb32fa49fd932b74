"""References to ready steps: how they are written, what is passed over, and that publishing them may fail."""

from __future__ import annotations

import json
from threading import Event

from tasker.codec.decode import text_id
from tasker.kafka.errors import BrokerUnavailable
from tasker.kafka.message import Incoming
from tasker.kafka.steps import MOST_REFERENCES, Dispatcher, read, written
from tasker.runtime.dispatch import Reference
from tests.integration.cli_kit import wait_for

ONE, TWO = bytes(range(16)), bytes(range(1, 17))


def incoming(value):
    """A message as it is consumed."""
    return Incoming("steps", 0, 0, 0, b"key", value)


def test_a_message_holds_steps_of_one_task_and_not_too_many():
    """Steps are grouped by task, a hundred to a message at most, keyed by the task's id; repeats are left out."""
    wide = [Reference(ONE, number, 0) for number in range(2 * MOST_REFERENCES + 1)]
    messages = written([wide[0], Reference(TWO, 3, 2), *wide], "steps")
    assert [len(json.loads(one.value)["steps"]) for one in messages] == [100, 100, 1, 1]
    assert [one.key.decode() for one in messages] == [text_id(ONE)] * 3 + [text_id(TWO)]
    assert json.loads(messages[-1].value) == {"task_id": text_id(TWO), "steps": [{"number": 3, "attempt": 2}]}


def test_what_was_written_is_read():
    """Reading gives what was written, in order."""
    references = [Reference(ONE, 1, 0), Reference(ONE, 2, 1), Reference(TWO, 0, 0)]
    assert list(read(incoming(one.value) for one in written(references, "steps"))) == references


def test_what_is_no_reference_is_passed_over():
    """Whatever else lies on the topic costs a line of log and holds nobody up."""
    strays = [
        None, b"", b"\xff", b"[]", b"7", b"{}", b'{"task_id": "x", "steps": []}', b'{"task_id": "00", "steps": []}',
        b'{"task_id": 7, "steps": []}', b'{"task_id": "' + text_id(ONE).encode() + b'", "steps": [{"number": "x"}]}',
        b'{"task_id": "' + text_id(ONE).encode() + b'", "steps": [{"number": 9999999999, "attempt": 0}]}',
        b"[" * 100_000,
    ]  # fmt: skip
    good = written([Reference(ONE, 1, 0)], "steps")[0].value
    assert list(read(map(incoming, [*strays, good]))) == [Reference(ONE, 1, 0)]


class Line:
    """A publisher that fails as long as it is told to."""

    def __init__(self):
        """Publish from the beginning."""
        self.failing, self.failed, self.published, self.closed = False, Event(), [], False

    def publish(self, messages):
        """Publish, or fail."""
        if self.failing:
            self.failed.set()
            raise BrokerUnavailable("gone")
        self.published.extend(messages)

    def close(self):
        """Note it."""
        self.closed = True


def test_a_dispatcher_goes_on_after_a_failure():
    """What cannot be published is left to who looks for work; what is offered later goes out; it ends when told to."""
    line = Line()
    dispatcher = Dispatcher(line, "steps")
    dispatcher.start()
    line.failing = True
    dispatcher.offer([Reference(ONE, 1, 0)])
    assert line.failed.wait(60)
    line.failing = False

    def offered():
        dispatcher.offer([Reference(TWO, 2, 0)])  # what is offered while a failure is dealt with may go with it
        return line.published != []

    wait_for(offered)
    assert set(read(incoming(one.value) for one in line.published)) == {Reference(TWO, 2, 0)}
    assert dispatcher.stop(60)
    assert line.closed
