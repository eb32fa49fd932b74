"""Rows as arrays: PostgreSQL stores the very values that were given, of every type of column."""

from __future__ import annotations

from contextlib import closing

import pytest
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, LargeBinary, MetaData, Table, Text

from tasker.log.open import open_store
from tasker.projections.sql import among, delete, insert, update
from tasker.projections.tables import tables_of

TABLE = Table(
    "values_of_every_type",
    MetaData(),
    Column("key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("number", Integer),
    Column("large", BigInteger),
    Column("text", Text),
    Column("bytes", LargeBinary),
    Column("flag", Boolean, nullable=False),
    Column("share", Float, nullable=False),
)
NAMES = tuple(column.name for column in TABLE.c)
ROWS = [
    (1, 0, 0, "", b"", True, 0.0),
    (2, -(2**31), -(2**63), "a'\"{},\\ \n é 🙂", bytes(range(256)), False, 100 / 3),
    (3, 2**31 - 1, 2**63 - 1, "NULL", b"\\x00", True, 1e-300),
    (2**62, None, None, None, None, False, 100.0),
]


@pytest.fixture
def connection(postgres_url):
    """Give a connection to a database with the table, in a transaction."""
    with closing(open_store(postgres_url)) as store, store.transaction() as connection:
        TABLE.create(connection)
        yield connection


def stored(connection):
    """Give all rows."""
    return [tuple(row) for row in connection.execute(TABLE.select().order_by(TABLE.c.key))]


def test_values_come_back(connection):
    """What is inserted, then updated, is what is read; NULL in every column that may have it, alone and among more."""
    insert(connection, TABLE, NAMES, ROWS)
    assert stored(connection) == ROWS
    update(
        connection, TABLE, NAMES[1:], "key", [(*row[1:], other[0]) for row, other in zip(ROWS, ROWS[::-1], strict=True)]
    )
    assert [row[1:] for row in stored(connection)] == [row[1:] for row in ROWS[::-1]]
    update(connection, TABLE, NAMES[1:5], "key", [(None, None, None, None, 1)])
    assert stored(connection)[0][1:5] == (None,) * 4


def test_more_rows_than_one_statement_takes(connection):
    """Thousands of rows are written, changed and removed, each once."""
    rows = [(number, number, None, "", b"", True, 0.5) for number in range(1_234)]
    insert(connection, TABLE, NAMES, rows)
    update(connection, TABLE, ("number",), "key", [(-number, number) for number in range(1_234)])
    assert stored(connection) == [(row[0], -row[0], *row[2:]) for row in rows]
    delete(connection, TABLE, ("key", "number"), [(number, -number) for number in range(1_200)])
    assert [row[0] for row in stored(connection)] == list(range(1_200, 1_234))


def test_conflicts(connection):
    """A conflict updates or does nothing, as the clause says; without one it is an error."""
    insert(connection, TABLE, NAMES, ROWS[:2])
    changed = [(*row[:3], "new", *row[4:]) for row in ROWS]
    insert(connection, TABLE, NAMES, changed, "DO NOTHING")
    assert [row[3] for row in stored(connection)] == [ROWS[0][3], ROWS[1][3], "new", "new"]
    insert(connection, TABLE, NAMES, changed, "(key) DO UPDATE SET text = excluded.text")
    assert [row[3] for row in stored(connection)] == ["new"] * 4


def test_only_what_is_named_goes(connection):
    """A row goes if all of the named columns have its values; what is not there is no error, and no rows do nothing."""
    insert(connection, TABLE, NAMES, ROWS)
    delete(connection, TABLE, ("key", "text"), [(1, ""), (2, "other"), (5, "")])
    delete(connection, TABLE, ("key",), [])
    update(connection, TABLE, ("text",), "key", [])
    insert(connection, TABLE, NAMES, [])
    assert stored(connection) == ROWS[1:]


def test_one_of_some_values(connection):
    """Integers and bytes are found among values of their kind."""
    insert(connection, TABLE, NAMES, ROWS)
    for column, values in (("key", [1, 3, 2**62, 4]), ("bytes", [b"", b"\\x00", b"none"])):
        condition, parameters = among(connection, column, values)
        found = connection.exec_driver_sql(f"SELECT {column} FROM {TABLE.name} WHERE {condition}", parameters)
        assert set(found.scalars()) < set(values)


def test_every_column_of_the_read_models_has_a_packing(connection):
    """There is a packing for the type of each column of every table, so that none fails with its first row."""
    for table in tables_of(1):
        connection.exec_driver_sql("SAVEPOINT made")
        table.create(connection)
        names = [column.name for column in table.c]
        plain = {BigInteger: 1, Integer: 1, Text: "x", LargeBinary: b"x", Boolean: True, Float: 0.5}
        insert(connection, table, names, [tuple(plain[type(column.type)] for column in table.c)])
        assert len(connection.execute(table.select()).all()) == 1
        connection.exec_driver_sql("ROLLBACK TO made")
