"""Compare rows of the read models with what a fold of the log gives, some tasks at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.decode import text_id
from tasker.projections import rows
from tasker.projections.sql import chunks, marks
from tasker.projections.tables import Tables, tables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from tasker.log.port import Store
    from tasker.projections.batch import Batch
    from tasker.projections.rows import Column, Row


class _Kind(NamedTuple):
    """One kind of rows: its table, its columns, the place of the task among them, and what a batch has of it."""

    table: str
    columns: tuple[str, ...]
    task: int
    expected: Sequence[Row]


class Comparison:
    """Compares a generation with folded tasks.

    Attributes:
        differences: What differs, a sentence for each task and kind of rows.
    """

    def __init__(self, store: Store, number: int) -> None:
        """Take the store and the number of the generation."""
        self.differences: list[str] = []
        self._store = store
        self._tables = tables_of(number)
        self._counts: dict[tuple[str, tuple[str, ...]], int] = {}

    def look(self, batch: Batch) -> None:
        """Compare the rows of some tasks."""
        names = {row[0]: text_id(row[1]) for row in batch.tasks if isinstance(row[1], bytes)}
        with self._store.reading() as connection:
            for kind in _by_task(self._tables, batch):
                found = _of_tasks(connection, kind, list(names))
                self._add(names, kind, set(kind.expected), set(found))
            for kind in _pairs(self._tables, batch):
                wanted = set(kind.expected)
                self._counts[kind[:2]] = self._counts.get(kind[:2], 0) + len(wanted)
                self._add(names, kind, wanted, set(_of_pairs(connection, kind, list(wanted))))

    def count(self, again: Callable[[], Iterable[Batch]]) -> None:
        """Look for pairs that no task has; those that tasks have were looked for by themselves.

        Args:
            again: Folds the log once more; called only where there are such pairs.
        """
        for (table, columns), expected in self._counts.items():
            with self._store.reading() as connection:
                (stored,) = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").one()  # noqa: S608 - constants only
                sql = f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 - the same
                found = connection.exec_driver_sql(sql).all() if stored > expected else ()
            if found:
                self._superfluous(table, map(tuple, found), again())

    def _superfluous(self, table: str, found: Iterable[Row], batches: Iterable[Batch]) -> None:
        """Name the pairs of a table that no task has."""
        names: dict[Column, str] = {}
        left: set[Row] = set()
        for batch in batches:
            names |= {row[0]: text_id(row[1]) for row in batch.tasks if isinstance(row[1], bytes)}
            for kind in _pairs(self._tables, batch):
                if kind.table == table:
                    left |= set(kind.expected)
        for row in found:
            if row not in left:
                owner = names.get(row[1], f"created at position {row[1]!r}, which the log does not have,")
                self.differences.append(f"task {owner}: {table} differs from the log in {row!r}")

    def _add(self, names: dict[Column, str], kind: _Kind, wanted: set[Row], found: set[Row]) -> None:
        """Note one difference for each task that has any."""
        wrong: dict[Column, Row] = {}
        for row in sorted(wanted - found, key=repr) + sorted(found - wanted, key=repr):
            wrong.setdefault(row[kind.task], row)
        for task, row in wrong.items():
            self.differences.append(f"task {names[task]}: {kind.table} differs from the log in {row!r}")


def _by_task(tables: Tables, batch: Batch) -> tuple[_Kind, ...]:
    """Give the kinds of rows whose key begins with the task."""
    return (
        _Kind(tables.tasks.name, rows.FIXED + rows.CHANGING, 0, batch.tasks),
        _Kind(tables.steps.name, rows.STEP, 0, batch.steps),
        _Kind(tables.annotations.name, rows.ANNOTATION, 0, batch.annotations),
    )


def _pairs(tables: Tables, batch: Batch) -> tuple[_Kind, ...]:
    """Give the kinds of rows that say which tasks have something, and are found by that."""
    return (
        _Kind(tables.tags.name, ("tag", "task"), 1, batch.tags),
        _Kind(tables.systems.name, ("dependent_system", "task"), 1, batch.systems),
    )


def _of_tasks(connection: Connection, kind: _Kind, tasks: list[Column]) -> Iterator[Row]:
    """Read the rows of some tasks."""
    for chunk in chunks(tasks):
        where = f"WHERE {kind.columns[kind.task]} IN ({marks(connection, len(chunk))})"
        sql = f"SELECT {', '.join(kind.columns)} FROM {kind.table} {where}"  # noqa: S608 - constants only
        yield from map(tuple, connection.exec_driver_sql(sql, tuple(chunk)))


def _of_pairs(connection: Connection, kind: _Kind, pairs: list[Row]) -> Iterator[Row]:
    """Read those of some rows that are there, each by its key: what is wanted leads the join."""
    key, task = kind.columns
    for chunk in chunks(pairs):
        values = ", ".join([f"({marks(connection, 2)})"] * len(chunk))
        sql = (
            f"WITH wanted (value, task) AS (VALUES {values}) SELECT found.{key}, found.{task} FROM wanted "  # noqa: S608 - constants only
            f"CROSS JOIN {kind.table} AS found WHERE found.{key} = wanted.value AND found.{task} = wanted.task"
        )
        yield from map(tuple, connection.exec_driver_sql(sql, tuple(value for pair in chunk for value in pair)))
