"""Contract of asking the read models: filters combine, pages never skip or repeat, wrong questions are refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from tasker.domain import commands as cmd
from tasker.errors import InvalidRequest
from tasker.projections.filters import TaskFilter
from tasker.projections.models import Projections
from tests.contracts.lives import SYSTEMS, Life, populate, states

NOTES = ({"n": 1, "deep": {"x": [1, 2.0]}}, {"n": True}, {"n": None}, {"text": "ä", "n": "1"})


@pytest.fixture
def world(store):
    """Give served read models and the lives behind them, newest first."""
    seed, lives = Random(42), []
    populate(store.log, seed, lives, rounds=60)
    for number, life in enumerate(lives):
        note = {"annotation_type": "summary", "annotation": NOTES[number % 4]}
        life.run.give(cmd.AnnotateTask(now=life.run.now, **note))
        life.run.give(cmd.UpdateTask(now=life.run.now, tags=(f"t{number % 5}", "all")))
        while (append := life.append(500)) is not None:
            store.log.append([append])
    models = Projections(store, states(store))
    while models.serve():
        pass
    lives.sort(key=lambda life: store.log.stream(life.stream_id, limit=1)[0].position, reverse=True)
    return models, [life for life in lives if life.appended]


def ids(models, limit=200, **wanted):
    """Give the ids that a filter finds, over all pages."""
    found, cursor = [], None
    while True:
        page = models.query(TaskFilter(**wanted), limit=limit, cursor=cursor)
        assert len(page.rows) <= limit
        assert page.as_of == models.checkpoint()
        found += [row.id for row in page.rows]
        cursor = page.cursor
        if cursor is None:
            return found


def expected(lives, rule):
    """Give the ids of the lives that a rule holds for."""
    return [life.task.id for life in lives if rule(life)]


def test_every_filter(world):
    """Each filter alone finds exactly the tasks it names, newest first."""
    models, lives = world
    assert ids(models) == [life.task.id for life in lives]
    for status in ("pending", "in_progress", "complete", "error", "cancelled", "resolved_manually"):
        assert ids(models, status=status) == expected(lives, lambda life, s=status: life.task.status == s)
    assert ids(models, name="plan1") == expected(lives, lambda life: life.definition.name == "plan1")
    assert ids(models, namespace="ns1") == expected(lives, lambda life: life.definition.namespace == "ns1")
    assert ids(models, tag="t2") == expected(lives, lambda life: "t2" in life.task.request.tags)
    for system in SYSTEMS:
        uses = expected(lives, lambda life, s=system: s in [t.dependent_system for t in life.definition.step_templates])
        assert ids(models, dependent_system=system) == uses
    assert ids(models, namespace="elsewhere") == []


@pytest.mark.parametrize(
    ("value", "key", "fits"),
    [
        (1, "n", 0),
        (1.0, "n", 0),
        (True, "n", 1),
        (None, "n", 2),
        ("1", "n", 3),
        ({"x": [1.0, 2]}, "deep", 0),
        ("ä", "text", 3),
    ],
)
def test_annotations_compare_as_json(world, value, key, fits):
    """An annotation is found by the JSON value under a key: 1 is 1.0, but neither true nor "1"."""
    models, lives = world
    fitting = expected(lives, lambda life: NOTES[fits] in notes(life))
    assert ids(models, annotation=("summary", key, value)) == fitting
    assert ids(models, annotation=("summary", key, [value])) == []
    assert ids(models, annotation=("other", key, value)) == []


def notes(life: Life):
    """Give the values of the annotations of the type `summary`; each was made after any erasure."""
    return [event.annotation for event in life.run.history if getattr(event, "annotation_type", "") == "summary"]


def test_filters_combine(world):
    """All filters that are given must hold, in any page size."""
    models, lives = world
    for limit in (1, 3, 200):
        both = expected(lives, lambda life: life.definition.name == "plan2" and "t1" in life.task.request.tags)
        assert ids(models, limit, name="plan2", tag="t1") == both
        wanted = {"tag": "all", "dependent_system": "shop", "annotation": ("summary", "n", 1), "namespace": "ns1"}
        some = ids(models, limit, **wanted)
        singles = [set(ids(models, **{key: value})) for key, value in wanted.items()]
        assert set(some) == set.intersection(*singles)


def test_several_namespaces_are_one_list(world, monkeypatch):
    """Tasks of several namespaces come merged, newest first, in any page size, in one statement or in several."""
    from tasker.projections import query

    models, lives = world
    one, two = sorted({life.definition.namespace for life in lives})
    mine = expected(lives, lambda life: life.definition.namespace == one)
    tagged = expected(lives, lambda life: {"t1", "t2"} & {*life.task.request.tags})
    for together in (100, 1):
        monkeypatch.setattr(query, "_TOGETHER", together)
        for limit in (1, 3, 200):
            assert ids(models, limit, namespaces=[two, one]) == ids(models)
            assert ids(models, limit, namespaces={one, "elsewhere"}) == mine
        found = [task for tag in ("t1", "t2") for task in ids(models, 2, namespaces=(one, two), tag=tag)]
        assert sorted(found) == sorted(tagged)
        assert ids(models, namespaces=[one, two], namespace=one) == mine
        assert ids(models, namespaces=[one], namespace=two) == ids(models, namespaces=()) == []


def test_created_after(world):
    """`created_after` takes an aware datetime or microseconds, and leaves out the very instant."""
    models, lives = world
    first = lives[0].task.created_at
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=first)
    assert ids(models, created_after=moment) == []
    assert ids(models, created_after=first - 1) == ids(models)
    assert ids(models, created_after=moment - timedelta(microseconds=1)) == ids(models)


def test_pages_hold_while_tasks_arrive(store, world):
    """A walk through the pages sees each task that was there when it began once, whatever is added meanwhile."""
    models, lives = world
    before, seen, cursor = [life.task.id for life in lives], [], None
    while True:
        page = models.query(limit=4, cursor=cursor)
        seen += [row.id for row in page.rows]
        cursor = page.cursor
        populate(store.log, Random(len(seen)), [], rounds=3)
        models.serve()
        if cursor is None:
            break
    assert seen == before


@pytest.mark.parametrize("limit", [0, 201, -1, True, 1.5, "5", None])
def test_wrong_limits(world, limit):
    """A page has 1 to 200 rows; anything else is refused and named."""
    with pytest.raises(InvalidRequest, match="from 1 to 200") as refused:
        world[0].query(limit=limit)
    assert list(refused.value.problems) == ["$.limit"]


@pytest.mark.parametrize("cursor", ["", "x", "!!", "bnVsbA", "e30", "ä", 5, "eyJhZnRlciI6dHJ1ZX0", "A" * 1000])
def test_broken_cursors(world, cursor):
    """What is no cursor is refused, never a first page and never another error."""
    with pytest.raises(InvalidRequest, match="cursor"):
        world[0].query(cursor=cursor)


def test_foreign_cursors(world, tmp_path):
    """A cursor of another filter or of another log is refused."""
    from tasker.log.open import open_store

    models = world[0]
    cursor = models.query(TaskFilter(tag="all"), limit=1).cursor
    assert models.query(TaskFilter(tag="all"), limit=2, cursor=cursor).rows
    with pytest.raises(InvalidRequest, match="another"):
        models.query(TaskFilter(tag="t1"), limit=1, cursor=cursor)
    other = open_store("memory://")
    with pytest.raises(InvalidRequest, match="another"):
        Projections(other, states(other)).query(TaskFilter(tag="all"), cursor=cursor)
    other.close()


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"status": "completed"}, "Did you mean 'complete'"),
        ({"status": 5}, "one of pending"),
        ({"name": 5}, "a text"),
        ({"tag": ["a"]}, "a text"),
        ({"namespaces": "default"}, "a collection"),
        ({"namespaces": ["default", None]}, "a collection"),
        ({"annotation": ("a", "b")}, "type, key, value"),
        ({"annotation": "abc"}, "type, key, value"),
        ({"annotation": ("a", 1, 2)}, "type, key, value"),
        ({"annotation": ("a", "b", {1})}, "JSON value"),
        ({"created_after": "2026"}, "aware datetime"),
        ({"created_after": datetime(2026, 1, 1)}, "aware datetime"),  # noqa: DTZ001 - the point
    ],
)
def test_wrong_filters(world, wanted, text):
    """A value that no task can have is refused with what was expected."""
    with pytest.raises(InvalidRequest, match=text):
        world[0].query(TaskFilter(**wanted))


def plan_of(connection, compiled):
    """Give the plan of a statement, as it is where tables are large."""
    if connection.dialect.name == "sqlite":
        values = tuple(compiled.params[name] for name in compiled.positiontup)
        return " | ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values))
    for dear in ("seqscan", "bitmapscan", "sort", "hashjoin", "mergejoin"):
        connection.exec_driver_sql(f"SET LOCAL enable_{dear} = off")
    return " | ".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {compiled}", compiled.params))


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "PRIMARY KEY|_pkey"),
        ({"status": "complete"}, "_status"),
        ({"name": "plan1"}, r"_name\b"),
        ({"namespace": "ns1"}, r"_namespace\b"),
        ({"tag": "t1"}, "PRIMARY KEY|_pkey"),
        ({"annotation": ("summary", "n", 1)}, "PRIMARY KEY|_pkey"),
        ({"dependent_system": "shop"}, "PRIMARY KEY|_pkey"),
    ],
)
def test_no_filter_sorts(store, world, wanted, index):
    """Every filter walks an index that already has the order of the page."""
    from tasker.projections import filters, query
    from tasker.projections.tables import tables_of

    tables, checked = tables_of(1), filters.check(TaskFilter(**wanted))
    (space,) = checked.namespaces or (None,)
    statement = query._page(tables, checked, space, 10**6)
    with store.reading() as connection:
        plan = plan_of(connection, statement.limit(5).compile(connection))
    assert not re.search(r"TEMP B-TREE|\bSCAN\b|Seq Scan|Sort", plan), plan
    assert re.search(index, plan), plan
