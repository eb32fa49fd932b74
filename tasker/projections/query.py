"""Ask a generation for a page of tasks: newest first, by the key of the last row seen, never by counting rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select, union_all

from tasker.codec.decode import text_id
from tasker.codec.jsonbytes import loads
from tasker.domain.events import Parent
from tasker.projections import generation
from tasker.projections.filters import Page, check, check_limit, key_of, read_cursor, write_cursor
from tasker.projections.rows import CHANGING, FIXED, TaskRow, tags_of
from tasker.projections.tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Column, ColumnElement, Connection, Row, Select, Table

    from tasker.log.port import Store
    from tasker.projections.filters import Checked, TaskFilter
    from tasker.projections.tables import Tables


_COLUMNS = FIXED + CHANGING
_TOGETHER = 100  # namespaces of one statement


class _Side(NamedTuple):
    """A table of pairs that a filter goes through."""

    table: Table
    key: str
    wanted: str | bytes


def find(store: Store, wanted: TaskFilter, limit: int, cursor: str | None) -> Page:
    """Give a page of tasks; see `Projections.query`."""
    checked, size = check(wanted), check_limit(limit)
    key = key_of(store.log.log_id, checked)
    before = None if cursor is None else read_cursor(key, cursor)
    with store.reading() as connection:
        current = generation.current(connection)
        rows = _rows(connection, tables_of(current.number), checked, before, size + 1)
    more = len(rows) > size
    page = tuple(rows[:size])
    return Page(page, current.checkpoint, write_cursor(key, page[-1].created) if more else None)


def get(store: Store, stream_id: bytes) -> TaskRow | None:
    """Give the row of one task, or None."""
    with store.reading() as connection:
        tasks = tables_of(generation.current(connection).number).tasks
        found = connection.execute(_select(tasks).where(tasks.c.stream_id == stream_id)).one_or_none()
    return None if found is None else _task_row(found)


def _rows(connection: Connection, tables: Tables, checked: Checked, before: int | None, count: int) -> list[TaskRow]:
    found: list[Row[tuple[object, ...]]] = []
    spaces = (None,) if checked.namespaces is None else checked.namespaces
    for start in range(0, len(spaces), _TOGETHER):
        pages = [_page(tables, checked, one, before).limit(count) for one in spaces[start : start + _TOGETHER]]
        found += connection.execute(pages[0] if len(pages) == 1 else _united(pages).limit(count))
    if len(spaces) > _TOGETHER:
        found.sort(key=lambda row: -int(row.created))
    return [_task_row(row) for row in found[:count]]


def _page(tables: Tables, checked: Checked, namespace: str | None, before: int | None) -> Select[tuple[object, ...]]:
    """Ask for what a filter finds in one namespace, or in any, newest first."""
    statement, order = _joined(tables, checked)
    statement = statement.where(*_conditions(tables.tasks, checked, namespace))
    return (statement if before is None else statement.where(order < before)).order_by(order.desc())


def _united(pages: list[Select[tuple[object, ...]]]) -> Select[tuple[object, ...]]:
    """Merge the pages of several namespaces: each has the order of its index, which all of them together have not."""
    every = union_all(*(select(page.subquery()) for page in pages)).subquery()
    return select(every).order_by(every.c.created.desc())


def _select(tasks: Table) -> Select[tuple[object, ...]]:
    return select(*(tasks.c[name] for name in _COLUMNS))


def _joined(tables: Tables, checked: Checked) -> tuple[Select[tuple[object, ...]], Column[int]]:
    """Join the tables of pairs that the filter needs; the first of them gives the order, for its index has it."""
    created: Column[int] = tables.tasks.c.created
    statement, order = _select(tables.tasks), created
    for number, side in enumerate(_sides(tables, checked)):
        task = side.table.c.task
        statement = statement.join(side.table, task == created).where(side.table.c[side.key] == side.wanted)
        order = order if number else task
    return statement, order


def _sides(tables: Tables, checked: Checked) -> list[_Side]:
    asked = (
        (tables.matches, "match", checked.match),
        (tables.tags, "tag", checked.tag),
        (tables.systems, "dependent_system", checked.dependent_system),
    )
    return [_Side(table, key, wanted) for table, key, wanted in asked if wanted is not None]


def _conditions(tasks: Table, checked: Checked, namespace: str | None) -> list[ColumnElement[bool]]:
    equal = {"status": checked.status, "name": checked.name, "namespace": namespace}
    conditions: list[ColumnElement[bool]] = [tasks.c[key] == value for key, value in equal.items() if value is not None]
    if checked.created_after is not None:
        conditions.append(tasks.c.created_at > checked.created_after)
    return conditions


def _task_row(row: Iterable[object]) -> TaskRow:
    values: dict[str, object] = dict(zip(_COLUMNS, row, strict=True))
    stream_id, parent = values["stream_id"], values["parent"]
    values["id"] = text_id(stream_id) if isinstance(stream_id, bytes) else ""
    values["tags"] = tags_of(str(values["tags"]))
    values["parent"] = Parent(*_texts(parent)) if isinstance(parent, str) else None
    values["steps"] = loads(str(values["steps"]).encode())
    return TaskRow._make(values[name] for name in TaskRow._fields)


def _texts(text: str) -> list[str]:
    read = loads(text.encode())
    return [str(one) for one in read] if isinstance(read, list) else []
