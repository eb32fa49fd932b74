"""Small parts of statements that are written by hand, where a batch of rows makes the difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from tasker.projections.rows import Row

_CHUNK = 500
_Value = TypeVar("_Value")


def marks(connection: Connection, count: int) -> str:
    """Give so many marks for bound values, as this database's driver writes them."""
    return ",".join(["?" if connection.dialect.paramstyle == "qmark" else "%s"] * count)


def chunks(values: Sequence[_Value]) -> Iterator[Sequence[_Value]]:
    """Cut into pieces that fit into one statement."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def insert(connection: Connection, table: str, columns: Sequence[str], rows: list[Row], conflict: str = "") -> None:
    """Insert rows, if there are any.

    Args:
        connection: In a writing transaction.
        table: Its name.
        columns: The columns that the rows have, in order.
        rows: The values.
        conflict: What follows ON CONFLICT, empty for an error.
    """
    if rows:
        clause = f" ON CONFLICT {conflict}" if conflict else ""
        values = marks(connection, len(columns))
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values}){clause}"  # noqa: S608 - constants only
        connection.exec_driver_sql(sql, rows)


def update(connection: Connection, table: str, columns: Sequence[str], key: str, rows: list[Row]) -> None:
    """Update rows by one key column, if there are any; each row ends with its key."""
    if rows:
        mark = marks(connection, 1)
        changes = ", ".join(f"{column} = {mark}" for column in columns)
        sql = f"UPDATE {table} SET {changes} WHERE {key} = {mark}"  # noqa: S608 - constants only
        connection.exec_driver_sql(sql, rows)


def delete(connection: Connection, table: str, columns: Sequence[str], rows: list[Row]) -> None:
    """Delete rows by the values of some columns, if there are any."""
    if rows:
        mark = marks(connection, 1)
        where = " AND ".join(f"{column} = {mark}" for column in columns)
        connection.exec_driver_sql(f"DELETE FROM {table} WHERE {where}", rows)  # noqa: S608 - constants only
