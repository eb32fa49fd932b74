"""Long streams are folded from the columns of their events; nobody can tell by the answer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tasker import Position, RetryableError
from tasker.codec.registry import UPCASTERS
from tasker.errors import TaskerError
from tasker.runtime import reading, streams
from tasker.testing import FrozenClock
from tasker.testing import app as memory_app
from tests.integration.runner_kit import chain, plan, step
from tests.properties.fold_kit import by_python

EVENTS = 3


def twice(task, sequence, step):
    """Fail twice before it works."""
    if step.attempt < 3:
        raise RetryableError("not yet")


@pytest.fixture
def clock():
    """Give a clock that stands still."""
    return FrozenClock()


@pytest.fixture(params=["as installed", "python"])
def app(request, clock, monkeypatch):
    """Give an application for which a stream is long early, with the fold that is installed and with Python's."""
    if request.param == "python":
        by_python(monkeypatch)
    retried = plan(step("a", twice), step("b", depends_on_step="a"), name="retried")
    with memory_app(chain(3), retried, clock=clock) as app:
        yield app


def told(app, clock):
    """Let a task have a history."""
    task = app.submit(name="retried", tags=["x"], reason="first")
    app.pause(task.id, reason="later")
    app.update(task.id, reason="second", tags=["y"])
    app.resume(task.id)
    for _ in range(5):
        clock.advance(1000)
        app.run_until_idle()
    app.annotate(task.id, "note", {"n": 1})
    return task.id


def shown(app, task_id, at):
    """Show all that a fold brings, or why there is nothing."""
    try:
        state = app.replay(task_id, at=at)._facts.state if at is not None else app.replay(task_id)._facts.state
    except TaskerError as error:
        return type(error), str(error)
    return state


def test_every_point_of_the_past(app, clock, monkeypatch):
    """State, position and errors are the same as for short streams: by version, position, time, and now."""
    task_id = told(app, clock)
    events = list(app.events(task_id))
    points = [None, 0, -1, True, "x", 1.5, len(events) + 1, *range(1, len(events) + 1)]
    points += [Position(event.position + step) for event in events for step in (-1, 0, 5)]
    points += [event.time + timedelta(microseconds=step) for event in events for step in (-1, 0, 1)]
    plain = [shown(app, task_id, at) for at in points]
    monkeypatch.setattr(reading, "LONG", EVENTS)
    assert [shown(app, task_id, at) for at in points] == plain


def test_the_present_and_any_version(app, clock, monkeypatch):
    """A process that has forgotten a task reads its state, and that of any version, as it was remembered."""
    task_id = told(app, clock)
    states, stream = app._engine.context.streams, app._engine.context.streams
    key = reading.stream_id(task_id)
    known, length = stream.current(key), stream.current(key).task.version
    plain = []
    for version in range(1, length + 1):
        states.forget(key)
        plain.append(states.at_version(key, version))
    monkeypatch.setattr(streams, "LONG", EVENTS)
    for version in range(1, length + 1):
        states.forget(key)
        assert states.at_version(key, version) == plain[version - 1]
    states.forget(key)
    assert states.current(key) == known
    app.annotate(task_id, "note", {"n": 2})
    states.put(key, known)
    assert states.current(key).task.version == known.task.version + 1


def test_many_new_events_of_a_known_task(app, clock, monkeypatch):
    """A state that is behind by many events is brought up to date."""
    task_id = told(app, clock)
    states, key = app._engine.context.streams, reading.stream_id(task_id)
    known = states.current(key)
    states.forget(key)
    states.put(key, known._replace(task=states.at_version(key, 2), position=2))
    monkeypatch.setattr(streams, "LONG", EVENTS)
    assert states.current(key) == known


def test_a_long_stream_with_an_old_event(app, clock, monkeypatch):
    """A stream with an event of an older schema is upcast and folded event by event, however long it is."""
    task_id = told(app, clock)
    plain = app.replay(task_id)._facts.state
    monkeypatch.setattr(reading, "LONG", EVENTS)
    monkeypatch.setitem(UPCASTERS, ("task.updated", 0), lambda data: {**data, "reason": "upcast"})
    key, writer = reading.stream_id(task_id), app._engine.context.store._database.writer()
    writer.execute("DROP TRIGGER events_update")
    writer.execute("UPDATE events SET schema_version = 0 WHERE stream_id = ? AND type = 10", (key,))
    state = app.replay(task_id)._facts.state
    assert state.request.reason == "upcast"
    assert state._replace(request=plain.request) == plain
