"""What `tasker new subscriber` writes: a class with one method for each event, and its tests."""

from __future__ import annotations

from pathlib import Path

from tasker.cli.new.events import Taken
from tasker.cli.new.files import File
from tasker.cli.new.names import SUFFIX, Name
from tasker.cli.new.rendering import imported, method, texts

FOLDER, TESTS = Path("subscribers"), Path("tests/subscribers")
EVENTS = ("task.completed", "task.failed")
PACKAGE = '"""Who is told of events in this project; tasker.yaml lists the classes."""\n'

_MODULE = '''\
"""{camel}: what it is told of, and what it does then."""

import logging

from tasker import BaseSubscriber

logger = logging.getLogger(__name__)


class {camel}(BaseSubscriber):
    """Is told of events durably: each at least once, in order for each task.

    An exception means that a delivery failed; it is tried again later. A repeated
    delivery has the same `event.event_id`: hand it to the other side as a key.
    """

    name = "{name}"
{events}
'''
_METHOD = '''
{first}
        """Take {names}."""
        self.tell(event, self.safe_get(event, "{key}"))
'''
_REST = '''
    def handle(self, event):
        """Take the events that have no method of their own."""
        self.tell(event, self.safe_get(event, "{key}"))
'''
_TELL = '''
    def tell(self, event, detail):
        """Say what happened; the place for a call of your service."""
        logger.info("%s of task %s: %s", event.type, event.stream_id, detail)
'''
_TEST = '''\
"""What must be true of {camel}."""

import logging

import pytest
from tasker import testing

{import_}

{constants}
LOGGER = {camel}.__module__


@pytest.fixture
def subscriber():
    """Give one, as tasker.yaml makes it."""
    return {camel}()


def test_it_names_its_events(subscriber):
    """It is told of these events and of no others."""
    assert tuple(subscriber.subscribe_to) == EVENTS


@pytest.mark.parametrize("name", {samples})
def test_it_takes_an_event(subscriber, caplog, name):
    """What happened is said, with the task."""
    caplog.set_level(logging.INFO)
    event = testing.event(name)
    assert subscriber.deliver(event)
    lines = [one.getMessage() for one in caplog.records if one.name == LOGGER]
    assert [line.partition(": ")[0] for line in lines] == [
        f"{{event.type}} of task {{event.stream_id}}"
    ]
'''
_KEYS = {"task": "status", "step": "step_name", "control": "scope"}
_FAILED = frozenset({"task.failed", "step.failed"})


def subscriber_files(name: Name, taken: Taken, root: Path = Path()) -> list[File]:
    """Give the files of a subscriber.

    Args:
        name: Its name, without the word `subscriber`.
        taken: Its events.
        root: The folder of the project.
    """
    module = f"{name.snake}_{SUFFIX}"
    return [
        File(root / FOLDER / "__init__.py", PACKAGE, shared=True),
        File(root / FOLDER / f"{module}.py", _subscriber(name, taken)),
        File(root / TESTS / f"test_{module}.py", _tests(name, taken)),
    ]


def reference(name: Name) -> str:
    """Give the class as `tasker.yaml` names it."""
    return f"{FOLDER}.{name.snake}_{SUFFIX}:{_class(name)}"


def _class(name: Name) -> str:
    return f"{name.camel}{SUFFIX.capitalize()}"


def _subscriber(name: Name, taken: Taken) -> str:
    events = texts("    subscribe_to = ", taken.all, brackets="()")
    parts = [_MODULE.format(camel=_class(name), name=name.snake, events=events)]
    for handler, names in taken.methods.items():
        listed = " and ".join(names)
        parts.append(_METHOD.format(first=method(handler), names=listed, key=_key(names[0])))
    if taken.globs:
        parts.append(_REST.format(key=_key(taken.globs[0])))
    return "".join([*parts, _TELL])


def _key(event: str) -> str:
    """Name the key of the body that is worth a word."""
    return "error_message" if event in _FAILED else _KEYS.get(event.partition(".")[0], "id")


def _tests(name: Name, taken: Taken) -> str:
    samples = taken.samples
    constants = [texts("EVENTS = ", taken.all, brackets="()")]
    if samples != taken.all:
        constants.append(texts("SAMPLES = ", samples, brackets="()"))
    return _TEST.format(
        camel=_class(name),
        import_=imported(f"{FOLDER}.{name.snake}_{SUFFIX}", _class(name)),
        constants="\n".join(constants),
        samples="EVENTS" if samples == taken.all else "SAMPLES",
    )
