"""Reading: time travel, events, lists, replay, erasure and `why`, through the face."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tasker import Manual, PermanentError, Position, Wait
from tasker.errors import InvalidRequest, NotAllowed, ProjectionBehind, UnknownStep, UnknownTask
from tasker.runtime import reading
from tasker.testing import FrozenClock
from tasker.testing import app as memory_app
from tests.integration.runner_kit import Gate, chain, eventually, faulty, plan, step, types

NOBODY = "00000000-0000-7000-8000-000000000000"


def failing(task, sequence, step):
    """Fail for good, with something to erase."""
    raise PermanentError("secret message", context={"card": 7})


@pytest.fixture
def clock():
    """Give a clock that stands still."""
    return FrozenClock()


@pytest.fixture
def app(clock):
    """Give an application with some definitions."""
    fails = plan(step("a", failing, dependent_system="shop"), name="fails", namespace="shop")
    with memory_app(chain(3), fails, plan(step("m", Manual), name="manual"), clock=clock) as app:
        yield app


def done(app, name="plan", **keys):
    """Submit a task and run it."""
    task = app.submit(name=name, **keys)
    app.run_until_idle()
    return app.task(task.id)


def test_at_a_version(app):
    """`at=` an int is a version of the stream, from the first to the last."""
    task = done(app)
    assert app.task(task.id, at=1).status == "pending"
    assert app.task(task.id, at=task.stream_version).status == "complete"
    assert [app.task(task.id, at=n).stream_version for n in range(1, task.stream_version + 1)] == list(
        range(1, task.stream_version + 1)
    )


@pytest.mark.parametrize("at", [0, -1, Position(0)])
def test_before_its_creation_a_task_is_unknown(app, at):
    """A point before the task's creation: UnknownTask."""
    task = done(app)
    with pytest.raises(UnknownTask):
        app.task(task.id, at=at)


@pytest.mark.parametrize("at", [True, "1", 1.5, datetime.fromisoformat("2026-01-01"), 1000])
def test_a_wrong_point_is_refused(app, at):
    """A naive datetime, another type, or a version that was never reached: InvalidRequest."""
    task = done(app)
    with pytest.raises(InvalidRequest):
        app.task(task.id, at=at)


def test_at_a_position_of_the_log(app):
    """A Position is a place in the whole log; one between two events of the task shows the state of the first."""
    first = app.submit(name="plan")
    second = app.submit(name="plan")
    app.run_until_idle()
    assert app.task(first.id, at=Position(second.position)).stream_version == first.stream_version
    assert app.task(first.id, at=Position(10**6)).status == "complete"
    with pytest.raises(UnknownTask):
        app.task(second.id, at=Position(first.position))


def test_at_a_time(app, clock):
    """An aware datetime means the last event at or before it."""
    created = clock.now()
    task = app.submit(name="plan")
    clock.advance(10)
    app.run_until_idle()
    assert app.task(task.id, at=created).status == "pending"
    assert app.task(task.id, at=created + timedelta(seconds=9)).status == "pending"
    assert app.task(task.id, at=clock.now()).status == "complete"
    with pytest.raises(UnknownTask):
        app.task(task.id, at=created - timedelta(microseconds=1))


@pytest.mark.parametrize("task_id", ["nonsense", NOBODY, "$control", ""])
def test_an_unknown_task(app, task_id):
    """What is no task of this log: UnknownTask, from every way to look."""
    for look in (app.task, app.why, app.replay, app.cancel):
        with pytest.raises((UnknownTask, InvalidRequest)):
            look(task_id)


def test_events_of_a_task_and_of_the_log(app):
    """Events come in order, of one task or of all, after a position, by globs, at most `limit`."""
    first, second = done(app), done(app)
    everything = list(app.events())
    assert [event.position for event in everything] == list(range(1, len(everything) + 1))
    assert list(app.events(first.id)) + list(app.events(second.id)) == everything
    middle = everything[4].position
    assert [event.position for event in app.events(after=middle)] == list(range(middle + 1, len(everything) + 1))
    assert [event.type for event in app.events(first.id, types=["task.*"], after=1)] == [
        "task.started",
        "task.completed",
    ]
    assert len(list(app.events(limit=3))) == 3
    assert list(app.events(limit=0)) == []


def test_events_are_read_as_they_are_asked_for(app, monkeypatch):
    """Nothing behind the last event asked for is read."""
    monkeypatch.setattr(reading, "_PAGE", 2)
    done(app)
    log = faulty(app)
    pages = []
    tail = log._log.tail
    log.tail = lambda after, **keys: pages.append(after) or tail(after, **keys)
    assert len(list(app.events(types="task.created", limit=1))) == 1
    assert pages == [0]
    next(app.events())
    assert len(pages) == 2


def test_events_of_a_task_are_read_behind_the_position(app, monkeypatch):
    """Of the events of one task, those up to `after` are not read; all behind it are, page by page."""
    monkeypatch.setattr(reading, "_PAGE", 2)
    done(app)
    task = done(app)
    everything = list(app.events(task.id))
    log, read = faulty(app), []
    tail, stream = log._log.tail, log._log.stream
    log.tail = lambda after, **keys: noted(read, tail(after, **keys))
    log.stream = lambda stream_id, **keys: noted(read, stream(stream_id, **keys))
    for known in range(len(everything) + 1):
        after = everything[known - 1].position if known else 0
        assert list(app.events(task.id, after=after)) == everything[known:]
        assert read == [event.position for event in everything[known:]]
        read.clear()


def noted(read, rows):
    """Note the positions of rows that were read."""
    read.extend(row.position for row in rows)
    return rows


@pytest.mark.parametrize("keys", [{"types": []}, {"types": "a b"}, {"after": -1}, {"limit": "x"}, {"after": None}])
def test_wrong_filters_of_events_are_refused_by_the_call(app, keys):
    """InvalidRequest comes from the call, not from the first event."""
    with pytest.raises(InvalidRequest):
        app.events(**keys)


def test_tasks_by_filter(app, clock):
    """Each filter of tasks() selects what it says, newest first."""
    ok = done(app, tags=["vip"])
    clock.advance(60)
    bad = done(app, "fails", namespace="shop")
    app.annotate(ok.id, "note", {"colour": "red"})

    def ids(**keys):
        return [task.id for task in app.tasks(**keys).items]

    assert ids() == [bad.id, ok.id]
    assert ids(status="complete") == ids(name="plan") == ids(tag="vip") == [ok.id]
    assert ids(namespace="shop") == ids(dependent_system="shop") == ids(status="error") == [bad.id]
    assert ids(annotation=("note", "colour", "red")) == [ok.id]
    assert ids(annotation=("note", "colour", "blue")) == []
    assert ids(created_after=clock.now() - timedelta(seconds=1)) == [bad.id]


def test_tasks_in_pages(app):
    """The cursor leads through all tasks, each once; the last page has none; as_of is a position of the log."""
    wanted = {task.id for task in app.submit_many([{"name": "plan"}] * 7)}
    found, cursor = [], None
    while True:
        page = app.tasks(limit=3, cursor=cursor)
        found.extend(task.id for task in page.items)
        cursor = page.cursor
        if cursor is None:
            break
    assert (len(found), set(found)) == (7, wanted)
    assert page.as_of == 7


@pytest.mark.parametrize(
    "keys",
    [
        {"limit": 0},
        {"limit": 201},
        {"cursor": "rubbish"},
        {"status": "odd"},
        {"created_after": datetime.fromisoformat("2026-01-01")},
    ],
)
def test_wrong_filters_of_tasks(app, keys):
    """A wrong limit, cursor, status or naive time: InvalidRequest."""
    with pytest.raises(InvalidRequest):
        app.tasks(**keys)


def test_at_least(app, monkeypatch):
    """A position the read model has reached is served; one that does not come is ProjectionBehind."""
    monkeypatch.setattr(reading, "_CATCH_UP_SECONDS", 0.05)
    task = app.submit(name="plan")
    assert app.tasks(at_least=task.position).items[0].id == task.id
    with pytest.raises(ProjectionBehind):
        app.tasks(at_least=task.position + 100)


def test_a_listed_task_says_what_the_task_says(app):
    """Summaries of a list's item come from the read model, steps and payloads from its version of the stream."""
    done(app, "fails", namespace="shop", reason="why", tags=["a"], priority=3, context={"x": 1}, initiator="ann")
    listed = app.tasks().items[0]
    task = app.task(listed.id)
    names = [
        "id",
        "name",
        "namespace",
        "version",
        "full_name",
        "status",
        "paused",
        "context",
        "initiator",
        "source_system",
        "reason",
        "tags",
        "priority",
        "correlation_id",
        "parent",
        "created_at",
        "started_at",
        "completed_at",
        "execution_status",
        "health_status",
        "recommended_action",
        "completion_percentage",
        "stream_version",
        "position",
    ]
    assert {name: getattr(listed, name) for name in names} == {name: getattr(task, name) for name in names}
    assert listed.step("a").error == task.step("a").error
    assert listed.graph.roots == task.graph.roots
    assert [one.name for one in listed.sequence] == ["a"]


def test_a_listed_task_stays_at_its_version(app):
    """What happens after the list was made does not show in its items' steps."""
    task = app.submit(name="plan")
    listed = app.tasks().items[0]
    app.run_until_idle()
    assert listed.step("s0").status == "pending"
    assert app.task(task.id).step("s0").status == "complete"


def test_replay(app):
    """A task folded anew equals the live one; the whole log agrees with the read model, and progress is told."""
    ids = [done(app).id, done(app, "fails", namespace="shop").id]
    app.pause(scope="all")
    for task_id in ids:
        assert app.replay(task_id).status == app.task(task_id).status
    assert app.replay(ids[0], at=1).status == "pending"
    told = []
    report = app.replay(progress=lambda done, total: told.append((done, total)))
    assert (report.tasks, report.differences) == (2, [])
    assert report.events == sum(1 for _ in app.events())
    assert told[-1][0] == told[-1][1]


def test_erase_hides_everything(app):
    """After erase context, results, errors and annotations read as None; the chain still verifies."""
    task = done(app, "fails", namespace="shop", context={"name": "Ann"})
    app.annotate(task.id, "note", {"name": "Ann"})
    app.erase(task.id, reason="asked to", actor="dpo")
    found = app.task(task.id)
    assert found.context is None
    assert found.step("a").error is None
    assert found.step("a").history[0].error is None
    assert [note.value for note in found.annotations] == [None]
    assert "Ann" not in repr([event.body for event in app.events()])
    assert "secret" not in repr([event.body for event in app.events()])
    app.audit.verify()
    assert app.replay().differences == []
    assert app.annotate(task.id, "after", {"x": 1}).annotations[-1].value == {"x": 1}


def test_erase_before_the_end_is_refused(app):
    """Only a task in error or final can be erased."""
    task = app.submit(name="plan")
    with pytest.raises(NotAllowed):
        app.erase(task.id, reason="too early")


def codes(app, task_id, name=None):
    """Give the codes of why."""
    return [reason.code for reason in app.why(task_id, name)]


def test_why_parents_and_outside(app):
    """A step behind another names its parents; a waiting one says that somebody outside must end it."""
    task = app.submit(name="plan")
    assert codes(app, task.id, "s1") == ["parents"]
    assert "s0" in app.why(task.id, "s1")[0].text
    manual = done(app, "manual")
    assert codes(app, manual.id, "m") == ["outside"]


@pytest.mark.parametrize("url", ["memory://", "sqlite"])
def test_why_tells_the_reason_of_a_wait(clock, tmp_path, url):
    """The reason is that of the latest wait of the step, in its handler's words, whoever asks."""

    def ask_the_bank(task, sequence, step):
        return Wait(60, f"the bank decides, attempt {step.attempt}")

    url = url if url == "memory://" else f"sqlite:///{tmp_path}/waits.db"
    with memory_app(plan(step("a", ask_the_bank)), url=url, clock=clock) as app:
        task = done(app)
        assert "(reason: the bank decides, attempt 1)" in app.why(task.id, "a")[0].text
        clock.advance(60)
        app.run_until_idle()
        clock.advance(60)
        app.run_until_idle()
        assert app.why(task.id)[0].details["reason"] == "the bank decides, attempt 2"


def test_why_running_and_finished(clock):
    """A running attempt names its worker; a finished step tells what happened, attempt by attempt."""
    gate = Gate()
    with memory_app(plan(step("a", gate.process)), clock=clock) as app:
        app.start()
        task = app.submit(name="plan")
        eventually(lambda: gate.inside)
        reason = app.why(task.id, "a")[0]
        assert (reason.code, app._engine.runner.worker_id in repr(reason)) == ("running", True)
        gate.opened.set()
        app.run_until_complete(task.id, timeout=10)
        assert codes(app, task.id, "a") == ["finished"]


def test_why_a_paused_task(app):
    """A pause of the task, or of a scope, names who and when."""
    task = app.submit(name="plan")
    app.pause(task.id, actor="ann", reason="lunch")
    reason = app.why(task.id, "s0")[0]
    assert (reason.code, "ann" in reason.text) == ("paused", True)
    with pytest.raises(UnknownStep, match="s0"):
        app.why(task.id, "s00")


def test_why_an_unsupported_event(app):
    """A task that a newer release wrote to is left alone, and looking at it says so."""
    from tasker.errors import UnsupportedEvent

    task = app.submit(name="plan")
    log = faulty(app)
    rows = log._log.stream
    log.stream = lambda stream_id, **keys: [row._replace(schema_version=99) for row in rows(stream_id, **keys)]
    app._engine.context.streams.forget(rows.__self__.tail(0, limit=1)[0].stream_id)
    with pytest.raises(UnsupportedEvent, match="upgrade"):
        app.task(task.id)
    assert codes(app, task.id) == ["unsupported_event"]


def test_a_wait_tells_its_end(clock):
    """`why` of a wait with an end names the time."""
    with memory_app(plan(step("a", lambda task, sequence, step: Wait(60, "approval"))), clock=clock) as app:
        task = app.submit(name="plan")
        app.run_until_idle()
        assert "2026-01-01T00:01:00" in repr(app.why(task.id, "a")[0])


def test_control_events(app):
    """The stream `$control` is read by that name; pause of what is paused gives the earlier event."""
    first = app.pause(scope="all", actor="ann")
    assert app.pause(scope="all") == first
    assert app.resume(scope="all").type == "control.resumed"
    assert types(app, "$control") == ["control.paused", "control.resumed"]
    assert {event.stream_id for event in app.events("$control")} == {"$control"}
