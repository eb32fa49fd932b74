"""Small parts of statements that are written by hand, where a batch of rows makes the difference.

SQLite takes the rows of one statement after the other, and parses it once. PostgreSQL would parse and plan it for each
of them, and takes whole columns as arrays instead: see `tasker.projections.arrays`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Table

    from tasker.projections.rows import Row

    Values = list[Row] | tuple[object, ...]
    """What a statement is run with: rows, each for itself, or all that it needs at once."""

_CHUNK = 500
_Value = TypeVar("_Value")


def marks(connection: Connection, count: int) -> str:
    """Give so many marks for bound values, as this database's driver writes them."""
    return ",".join(["?" if connection.dialect.paramstyle == "qmark" else "%s"] * count)


def chunks(values: Sequence[_Value]) -> Iterator[Sequence[_Value]]:
    """Cut into pieces that fit into one statement."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


class _Given(NamedTuple):
    """Rows as a statement takes them.

    Attributes:
        source: What it selects them from; empty where it runs once for each row.
        names: What it calls the values of one row.
        values: What it is run with.
    """

    source: str
    names: list[str]
    values: Values

    def clause(self, word: str) -> str:
        """Give the clause that brings the source in, if there is one."""
        return f" {word} {self.source}" if self.source else ""


def insert(connection: Connection, table: Table, columns: Sequence[str], rows: list[Row], conflict: str = "") -> None:
    """Insert rows, if there are any.

    Args:
        connection: In a writing transaction.
        table: Where to.
        columns: The columns that the rows have, in order.
        rows: The values; no two with the same key where a conflict updates.
        conflict: What follows ON CONFLICT, empty for an error.
    """
    for given in _given(connection, table, columns, rows):
        names, after = ", ".join(given.names), f" ON CONFLICT {conflict}" if conflict else ""
        source = f"SELECT {names}{given.clause('FROM')}" if given.source else f"VALUES ({names})"
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({', '.join(columns)}) {source}{after}", given.values)


def update(connection: Connection, table: Table, columns: Sequence[str], key: str, rows: list[Row]) -> None:
    """Update rows by one key column, if there are any; each row ends with its key, no two with the same."""
    for given in _given(connection, table, (*columns, key), rows):
        changes = ", ".join(f"{column} = {value}" for column, value in zip(columns, given.names[:-1], strict=True))
        where = f"WHERE {table.name}.{key} = {given.names[-1]}"
        connection.exec_driver_sql(f"UPDATE {table.name} SET {changes}{given.clause('FROM')} {where}", given.values)  # noqa: S608 - constants only


def delete(connection: Connection, table: Table, columns: Sequence[str], rows: list[Row]) -> None:
    """Delete rows by the values of some columns, if there are any."""
    for given in _given(connection, table, columns, rows):
        pairs = zip(columns, given.names, strict=True)
        where = " AND ".join(f"{table.name}.{column} = {value}" for column, value in pairs)
        connection.exec_driver_sql(f"DELETE FROM {table.name}{given.clause('USING')} WHERE {where}", given.values)  # noqa: S608 - constants only


def among(connection: Connection, column: str, values: Sequence[bytes] | Sequence[int]) -> tuple[str, Values]:
    """Give the condition that a column has one of some values, and what to run it with.

    Args:
        connection: Whose database is asked.
        column: Its name.
        values: One chunk, all of the same kind.
    """
    if not _takes_arrays(connection):
        return f"{column} IN ({marks(connection, len(values))})", tuple(values)
    from tasker.projections import arrays  # noqa: PLC0415 - see `_given`

    return f"{column} = ANY (%s)", (arrays.array(values),)


def _takes_arrays(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _given(connection: Connection, table: Table, columns: Sequence[str], rows: list[Row]) -> Iterator[_Given]:
    """Bring rows, if there are any, into the form that this database takes quickest, one for each statement to run."""
    if not _takes_arrays(connection):
        if rows:
            yield _Given("", [marks(connection, 1)] * len(columns), rows)
        return
    from tasker.projections import arrays  # noqa: PLC0415 - its driver is there where PostgreSQL is used, and only there

    # For thousands of rows at once the planner reads the whole table, which grows, instead of looking each up.
    for chunk in chunks(rows):
        source, values = arrays.given(table, columns, chunk)
        yield _Given(source, [f"given.{column}" for column in columns], values)
