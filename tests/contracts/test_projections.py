"""Contract of the read models: served in any pieces they equal the log folded anew, on every adapter."""

from __future__ import annotations

from random import Random
from threading import Thread

import pytest
from sqlalchemy import select

from tasker.domain import events as ev
from tasker.errors import LogUnavailable, ProjectionBehind, TaskerError, UnsupportedEvent
from tasker.projections.filters import TaskFilter
from tasker.projections.generation import current
from tasker.projections.models import Projections
from tasker.projections.tables import tables_of
from tests.contracts.lives import control, populate, states


def contents(store, *, but=()):
    """Give every row of the current generation, by kind of table."""
    with store.reading() as connection:
        tables = tables_of(current(connection).number)
        return {
            kind: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for kind, table in tables._asdict().items()
            if kind not in but
        }


def served(store, **states_of):
    """Give read models that were served to the head."""
    models = Projections(store, states(store))
    while models.serve():
        pass
    return models


@pytest.mark.parametrize("number", range(6))
def test_serving_equals_rebuilding(store, number):
    """Rows served at random cuts of a growing log equal those of a rebuild, and those of a fold of the whole log."""
    seed, lives = Random(number), []
    models = Projections(store, states(store))
    for _ in range(40):
        populate(store.log, seed, lives, rounds=seed.randrange(8))
        if seed.random() < 0.05:
            control(store.log)
        models.serve(limit=seed.choice((1, 2, 7, 30, 5000)))
    while models.serve(limit=seed.choice((1, 7, 30))):
        pass
    before = contents(store)
    assert len(before["tasks"]) == sum(1 for life in lives if life.appended)
    assert models.compare().differences == ()
    done = models.rebuild()
    assert contents(store) == before
    assert (done.position, models.checkpoint()) == (store.log.head(), store.log.head())
    assert models.compare()[:2] == (len(before["tasks"]), store.log.head())


def test_rows_show_their_task(store):
    """A row has what a list shows: statuses, summaries, counts of steps, the place in the log."""
    seed, lives = Random(3), []
    populate(store.log, seed, lives, rounds=60)
    models = served(store)
    for life in (one for one in lives if one.appended):
        row, task = models.get(life.stream_id), life.task
        assert (row.id, row.name, row.namespace) == (task.id, life.definition.name, life.definition.namespace)
        assert (row.status, row.paused, row.tags) == (task.status, task.pause is not None, task.request.tags)
        assert sum(row.steps.values()) == len(task.steps)
        assert (row.stream_version, row.completed_at) == (task.version, task.ended_at)
        assert row.position == store.log.stream(life.stream_id)[-1].position
    assert models.get(bytes(16)) is None


def test_compare_finds_a_changed_row(store):
    """A read model that does not follow from the log is named, table and task; a rebuild heals it."""
    seed, lives = Random(5), []
    populate(store.log, seed, lives, rounds=30)
    models = served(store)
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE steps_v1_g1 SET attempts = 99 WHERE number = 0")
    assert "steps_v1_g1 differs" in models.compare().differences[0]
    models.rebuild()
    assert models.compare().differences == ()


def test_erasure_reaches_the_rows(store):
    """After `task.erased` the values of annotations are gone from the rows, and nothing is found by them."""
    seed, lives = Random(11), []
    models = Projections(store, states(store))
    erased = None
    while erased is None:
        populate(store.log, seed, lives, rounds=20)
        models.serve()
        erased = next((life for life in lives if life.task.erased and life.task.annotations), None)
    while models.serve():
        pass
    at = next(event.version for event in store.log.stream(erased.stream_id) if event.type == ev.TaskErased.type)
    created = models.get(erased.stream_id).created
    rows = [row for row in contents(store)["annotations"] if row[0] == created]
    assert [row[3] for row in rows if row[1] < at] == [None] * sum(row[1] < at for row in rows)
    assert models.compare().differences == ()


def test_a_failing_event_stops_at_its_position(store):
    """What lies before a failing event is served; state, position and error are visible to every process."""
    seed, lives = Random(7), []
    populate(store.log, seed, lives, rounds=40)
    broken = store.log.tail(0, limit=1000)[25]

    def states_at(wanted):
        if wanted.get(broken.stream_id, 0) >= broken.version:
            message = "needs a newer release"
            raise UnsupportedEvent(message, position=broken.position, type="task.migrated")
        return states(store)(wanted)

    models = Projections(store, states_at)
    while models.serve():
        pass
    status = Projections(store, states(store)).status()
    assert (status.state, status.checkpoint, status.failed_at) == ("failed", broken.position - 1, broken.position)
    assert "needs a newer release" in status.error
    assert status.lag == store.log.head() - broken.position + 1
    assert not models.serve()
    with pytest.raises(ProjectionBehind, match="needs a newer release"):
        models.wait_for(broken.position, timeout=0)
    healed = served(store)
    assert healed.status()[:3] == ("active", store.log.head(), store.log.head())


def test_an_error_without_a_position_stops_there_too(store):
    """An error that names no position stops the read models at the first event whose state cannot be had."""
    seed, lives = Random(7), []
    populate(store.log, seed, lives, rounds=40)
    broken = store.log.tail(0, limit=1000)[30]

    def states_at(wanted):
        if wanted.get(broken.stream_id, 0) >= broken.version:
            raise ZeroDivisionError
        return states(store)(wanted)

    models = Projections(store, states_at)
    while models.serve():
        pass
    assert models.status()[:2] == ("failed", broken.position - 1)
    assert models.status().failed_at == broken.position


def test_a_store_that_fails_stops_nothing(store):
    """`LogUnavailable` is told to the caller, and the next call goes on."""
    populate(store.log, Random(1), [])
    fails = [True]

    def states_at(wanted):
        if fails.pop():
            fails.append(False)
            message = "away"
            raise LogUnavailable(message)
        fails.append(False)
        return states(store)(wanted)

    models = Projections(store, states_at)
    with pytest.raises(LogUnavailable):
        models.serve()
    assert models.checkpoint() == 0
    assert models.serve()
    assert models.status().state == "active"


def test_a_stretch_asks_once(store):
    """The states of all tasks of a stretch are asked for together, as of their last events in it, and no others."""
    seed, lives, asked = Random(14), [], []
    populate(store.log, seed, lives, rounds=60)
    control(store.log)

    def states_at(wanted):
        asked.append(dict(wanted))
        return states(store)(wanted)

    models = Projections(store, states_at)
    half = store.log.head() // 2
    while models.serve(limit=half):
        pass
    events = [event for event in store.log.tail(0, limit=10_000) if event.header.namespace != "$control"]
    parts = [[event for event in events if low < event.position <= low + half] for low in range(0, 2 * half + 1, half)]
    assert [one for one in asked if one] == [
        {event.stream_id: event.version for event in part} for part in parts if part
    ]


def test_waiting_for_a_position(store):
    """`wait_for` returns as soon as another thread has served the position, and else names both positions."""
    populate(store.log, Random(2), [], rounds=30)
    models, head = Projections(store, states(store)), store.log.head()
    with pytest.raises(ProjectionBehind, match=rf"position {head} .* found it at 0"):
        models.wait_for(head, timeout=0.01)
    thread = Thread(target=models.serve)
    thread.start()
    models.wait_for(head, timeout=30)
    thread.join()
    assert models.checkpoint() == head


def test_two_servers_take_turns(store):
    """Two servers of one store write each row once: whoever finds the checkpoint moved drops its batch."""
    populate(store.log, Random(4), [], rounds=150)
    ours, theirs = Projections(store, states(store)), Projections(store, states(store))
    errors = []

    def go(models):
        try:
            while models.serve(limit=3):
                pass
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [Thread(target=go, args=(models,)) for models in (ours, theirs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert ours.status().state == "active"
    assert ours.compare().differences == ()


def test_a_rebuild_refuses_nobody(store):
    """While a new generation is filled, the old one is asked and served; afterwards nothing that was shown is lost."""
    seed, lives = Random(8), []
    populate(store.log, seed, lives, rounds=60)
    models = served(store)
    pages = []

    def meanwhile(_done, _all):
        populate(store.log, seed, lives, rounds=2)
        models.serve()
        pages.append(models.query().as_of)

    models.rebuild(meanwhile)
    assert pages == sorted(pages)
    assert models.checkpoint() >= pages[-1]
    while models.serve():
        pass
    assert models.compare().differences == ()
    assert models.status().generation == 2


def test_an_interrupted_rebuild_leaves_the_old_rows(store):
    """A rebuild that is interrupted changes nothing that is shown, and the next one works."""
    populate(store.log, Random(9), [], rounds=60)
    models = served(store)
    before = contents(store)

    def interrupt(_done, _all):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models.rebuild(interrupt)
    assert contents(store) == before
    models.rebuild()
    assert contents(store) == before
    with store.reading() as connection:
        numbers = connection.exec_driver_sql("SELECT generation FROM projection_generations_v1").scalars().all()
    assert numbers == [models.status().generation]


def test_a_rebuild_writes_in_pieces(store, monkeypatch):
    """A rebuild keeps only some tasks in memory at a time, and tells how far it is."""
    from tasker.projections import rebuild

    monkeypatch.setattr(rebuild, "_TASKS_AT_ONCE", 3)
    populate(store.log, Random(12), [], rounds=60)
    models, told = served(store), []
    before = contents(store)
    models.rebuild(lambda at, all_: told.append((at, all_)))
    assert contents(store) == before
    assert told == sorted(told)
    assert told[-1] == (store.log.head(), store.log.head())


def test_the_later_of_two_rebuilds_wins(store):
    """A rebuild that was overtaken by a later one stops, says so, and leaves the later one's rows."""
    populate(store.log, Random(13), [], rounds=60)
    models, later = served(store), []
    before = contents(store)

    def overtake(_at, _all):
        if not later:
            later.append(models.rebuild())

    with pytest.raises(TaskerError, match="later rebuild"):
        models.rebuild(overtake)
    assert contents(store) == before
    assert models.status()[3:] == (3, None, None)


def test_a_log_that_lost_its_tail_stops_the_read_models(store):
    """A checkpoint behind the end of the log is `LogRewound`, and says what to do."""
    populate(store.log, Random(10), [])
    models = served(store)
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE projection_generations_v1 SET checkpoint = checkpoint + 5")
    assert not models.serve()
    assert models.status().state == "failed"
    assert "LogRewound" in models.status().error
    models.rebuild()


def test_an_empty_log_has_an_empty_page(store):
    """Asking before anything was served gives no rows as of 0."""
    models = Projections(store, states(store))
    assert models.query(TaskFilter()) == ((), 0, None)
    assert not models.serve()
