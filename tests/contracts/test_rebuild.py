"""Contract of folding a whole log: both implementations fill the same rows and verify the same bytes."""

from __future__ import annotations

from random import Random

import pytest

from tasker.audit import Audit
from tasker.codec.decode import text_id
from tasker.codec.registry import UPCASTERS
from tasker.domain import commands as cmd
from tasker.errors import ChainBroken
from tasker.log.port import Append
from tasker.projections.models import Projections
from tests.contracts.lives import Life, control, encoded, populate, states
from tests.contracts.test_projections import contents
from tests.properties.fold_kit import by_python, compiled_only


def rebuilt(store):
    """Fill new read models; give all rows."""
    models = Projections(store, states(store))
    models.rebuild()
    assert models.compare().differences == ()
    return contents(store)


@compiled_only
@pytest.mark.parametrize("number", range(4))
def test_both_implementations_fill_the_same_rows(store, monkeypatch, number):
    """The compiled fold and Python rebuild the same read models, and each finds those of the other right."""
    seed, lives = Random(number), []
    populate(store.log, seed, lives, rounds=200)
    control(store.log)
    swift = rebuilt(store)
    by_python(monkeypatch)
    models = Projections(store, states(store))
    assert models.compare().differences == ()
    assert rebuilt(store) == swift


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("task_tags", "INSERT INTO task_tags_v1_g1 SELECT 'zzz', task FROM task_tags_v1_g1 LIMIT 1"),
        ("task_tags", "DELETE FROM task_tags_v1_g1"),
        ("task_systems", "INSERT INTO task_systems_v1_g1 VALUES ('zzz', 4711)"),
        ("task_systems", "UPDATE task_systems_v1_g1 SET dependent_system = dependent_system || 'z'"),
        ("tasks", "UPDATE tasks_v1_g1 SET position = position + 1"),
        ("annotations", "DELETE FROM annotations_v1_g1"),
    ],
)
def test_compare_names_every_kind_of_row(store, table, change):
    """A row that is missing, that nobody has, or that differs is named with its table, and its task if it has one."""
    seed, lives = Random(3), []
    while not any(life.task.annotations and life.task.request.tags for life in lives):
        populate(store.log, seed, lives, rounds=40)
    models = Projections(store, states(store))
    while models.serve():
        pass
    with store.transaction() as connection:
        connection.exec_driver_sql(change)
    found = models.compare().differences
    assert found
    assert {sentence.split(": ")[1].split("_v1")[0] for sentence in found} == {table}
    ids = {life.task.id for life in lives}
    assert all(sentence.split()[1].rstrip(":") in ids or "4711" in sentence for sentence in found)


def test_an_empty_log(store):
    """An empty log is rebuilt to nothing."""
    models = Projections(store, states(store))
    assert models.rebuild()[:3] == (0, 0, 0)
    assert models.compare()[:2] == (0, 0)


def test_old_schema_versions_are_upcast(store, monkeypatch):
    """A task with an event of an older schema is folded with its upcaster; the rows are those of serving."""
    monkeypatch.setitem(UPCASTERS, ("step.started", 0), lambda data: {**data, "worker_id": "upcast"})
    life = Life(Random(3))
    while not life.definition.step_templates:
        life = Life(Random(len(life.definition.name) + life.stream_id[15]))
    life.run.give(cmd.StartStep(now=life.run.now, step=life.run.ready(0), worker_id="w"))
    append = life.append(50)
    old = [event._replace(schema_version=0) if event.code == 20 else event for event in append.events]
    assert any(event.schema_version == 0 for event in old)
    store.log.append([append._replace(events=old)])
    populate(store.log, Random(4), [], rounds=20)
    models = Projections(store, states(store))
    while models.serve():
        pass
    served = contents(store)
    assert rebuilt(store) == served
    assert "upcast" in {row[7] for row in served["steps"]}


def test_payloads_of_ten_megabytes(store):
    """Large payloads are verified, and never needed for rows."""
    life = Life(Random(1))
    append = life.append(1)
    large = append.events[0]._replace(payload=b'"' + b"x" * 10_000_000 + b'"')
    store.log.append([append._replace(events=[large])])
    assert Audit(store).verify().events == 1
    assert [row[1] for row in rebuilt(store)["tasks"]] == [life.stream_id]


def test_what_has_lost_the_row_of_its_stream_is_named(shared):
    """A stream without its row breaks the fold with `ChainBroken` and a position."""
    store = shared.open()
    populate(store.log, Random(6), [], rounds=30)
    Projections(store, states(store)).serve()
    gone = store.log.tail(4, limit=1)[0].stream_id
    first = store.log.stream(gone, limit=1)[0].position
    shared.raw("DROP TRIGGER streams_delete")
    shared.raw(f"DELETE FROM streams WHERE stream_id = x'{gone.hex()}'")
    with pytest.raises(ChainBroken, match="expected the columns of a history") as broken:
        Projections(shared.open(), states(store)).rebuild()
    assert broken.value.position == first


def test_a_missing_event_is_named(shared):
    """A stream that has lost an event breaks the fold with `ChainBroken` and a position, whoever folds."""
    store = shared.open()
    life = Life(Random(2))
    for _ in range(3):
        life.run.give(cmd.AnnotateTask(now=life.run.now, annotation_type="n", annotation={}))
    store.log.append([life.append(50)])
    position = store.log.head()
    shared.raw("DROP TRIGGER events_delete")
    shared.raw(f"DELETE FROM events WHERE position = {position - 1}")
    with pytest.raises(ChainBroken, match="expected the columns of a history") as broken:
        Projections(shared.open(), states(store)).rebuild()
    assert broken.value.position == position


def test_rows_lack_what_only_running_steps_show(store):
    """A row names the worker of a step while the step runs, and no longer."""
    task, events = None, []
    life = Life(Random(5))
    while len(life.definition.step_templates) < 2:
        life = Life(Random(life.stream_id[15]))
    name = life.run.ready(0)
    life.run.give(cmd.StartStep(now=life.run.now, step=name, worker_id="w1"))
    store.log.append([life.append(50)])
    models = Projections(store, states(store))
    models.serve()
    number = life.task.number(name)
    assert {row[1]: row[7] for row in contents(store)["steps"]}[number] == "w1"
    life.run.give(cmd.ReportStepCompleted(now=life.run.now, step=name, attempt=1, results={}, duration=0.1))
    task, before = life.task, life.appended
    for event in life.run.history[before:]:
        row, task = encoded(task, event)
        events.append(row)
    store.log.append([Append(life.stream_id, before, events)])
    models.serve()
    assert {row[7] for row in contents(store)["steps"]} == {None}
    assert rebuilt(store)["steps"] == contents(store)["steps"]
    assert text_id(life.stream_id) == models.get(life.stream_id).id
