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

# A worker shows the lines of loggers whose names begin with `tasker`.
logger = logging.getLogger("tasker.{name}")


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
_TEST_HEAD = '''\
"""What must be true of {camel}."""

{logging}import pytest
{tasker}
{import_}

{constants}


@pytest.fixture
def subscriber():
    """Give one, as tasker.yaml makes it."""
    return {camel}()


def test_it_names_its_events(subscriber):
    """It is told of these events and of no others."""
    assert tuple(subscriber.subscribe_to) == EVENTS
'''
_TASKER = """\
from tasker import PermanentError, StepTemplate, TaskDefinition, testing
"""
_TEST_METHODS = '''

@pytest.mark.parametrize("name", {named})
def test_an_event_has_its_method(subscriber, name):
    """The dots of an event are underscores in the name of its method."""
    assert callable(getattr(subscriber, "handle_" + name.replace(".", "_")))
'''
_WORK = '''

def work(task, sequence, step):
    """{does}."""
{publish}    if task.context["fails"]:
        raise PermanentError("out of order")


SAMPLE = TaskDefinition(
    name="sample",
    step_templates=[StepTemplate(name="work", handler_class=work)],
)
'''
_PUBLISH = """\
    for name in OWN:
        step.publish(name, {"id": 7}, always=True)
"""
_TEST_DELIVERY = '''

def test_it_is_told_of_what_happens(subscriber, caplog):
    """What a task brings that completes, and one that fails, arrives in order."""
    caplog.set_level(logging.INFO)
    with testing.app(SAMPLE) as app:
        app.subscribe(subscriber)
        app.submit(name="sample", context={"fails": False})
        app.submit(name="sample", context={"fails": True})
        app.run_until_idle()
        wanted = [event.type for event in app.events(types=EVENTS)]
    lines = [one.getMessage() for one in caplog.records if one.name == LOGGER]
    assert [line.partition(" ")[0] for line in lines] == wanted != []
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
    module = f"{FOLDER}.{name.snake}_{SUFFIX}"
    parts = [
        _TEST_HEAD.format(
            camel=_class(name),
            logging="import logging\n\n" if taken.in_sample else "",
            tasker=_TASKER if taken.in_sample else "",
            import_=imported(module, _class(name)),
            constants=_constants(name, taken),
        )
    ]
    if taken.methods:
        parts.append(_TEST_METHODS.format(named="NAMED" if taken.globs else "EVENTS"))
    if taken.in_sample:
        does = "Publish the events of this project, then end as asked" if taken.own else "End as asked"
        parts += [_WORK.format(does=does, publish=_PUBLISH if taken.own else ""), _TEST_DELIVERY]
    return "".join(parts)


def _constants(name: Name, taken: Taken) -> str:
    """Write what the tests compare with."""
    lines = [texts("EVENTS = ", taken.all, brackets="()")]
    if taken.globs and taken.methods:
        named = [name for name in taken.all if name not in taken.globs]
        lines.append(texts("NAMED = ", named, brackets="()"))
    if taken.own:
        lines.append(texts("OWN = ", taken.own, brackets="()"))
    if taken.in_sample:
        lines.append(f'LOGGER = "tasker.{name.snake}"')
    return "\n".join(lines)
