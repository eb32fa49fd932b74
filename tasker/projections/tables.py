"""The tables of the read models: one set for each generation, its number at the end of their names.

A task is named by the position of its first event, not by its id: it is a small integer, and its order is the order in
which tasks are shown. The version in the names changes with the columns; a release that needs others fills new tables.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    inspect,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

VERSION = 1
"""Of the columns of these tables and of what stands in them."""

CURRENT, BUILDING = 1, 0
"""The two values of `generations.current`."""

generations = Table(
    f"projection_generations_v{VERSION}",
    MetaData(),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("current", Integer, nullable=False),
    Column("checkpoint", BigInteger, nullable=False),
    Column("failed_at", BigInteger),
    Column("error", Text),
)
"""The generations, of which one is current; each has its own checkpoint."""


class Tables(NamedTuple):
    """The tables of one generation."""

    tasks: Table
    steps: Table
    tags: Table
    systems: Table
    annotations: Table
    matches: Table


@lru_cache(maxsize=8)
def tables_of(generation: int) -> Tables:
    """Give the tables of a generation."""
    metadata = MetaData()

    def name(kind: str) -> str:
        return f"{kind}_v{VERSION}_g{generation}"

    return Tables(
        tasks=_tasks(name("tasks"), metadata),
        steps=_steps(name("steps"), metadata),
        tags=_pairs(name("task_tags"), metadata, Column("tag", Text, primary_key=True)),
        systems=_pairs(name("task_systems"), metadata, Column("dependent_system", Text, primary_key=True)),
        annotations=_annotations(name("annotations"), metadata),
        matches=_pairs(name("annotation_matches"), metadata, Column("match", LargeBinary(16), primary_key=True)),
    )


def create(connection: Connection, generation: int) -> None:
    """Create the tables of a generation."""
    tables_of(generation).tasks.metadata.create_all(connection, checkfirst=False)


def drop(connection: Connection, generation: int) -> None:
    """Drop the tables of a generation, as far as they exist."""
    tables_of(generation).tasks.metadata.drop_all(connection, checkfirst=True)


def exist(connection: Connection) -> bool:
    """Say whether there is any generation of this version."""
    return inspect(connection).has_table(generations.name)


def _tasks(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("created", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
        Column("stream_id", LargeBinary(16), nullable=False),
        Column("namespace", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("version", Text, nullable=False),
        Column("digest", LargeBinary(32), nullable=False),
        Column("initiator", Text, nullable=False),
        Column("source_system", Text, nullable=False),
        Column("priority", Integer, nullable=False),
        Column("correlation_id", Text, nullable=False),
        Column("parent", Text),
        Column("created_at", BigInteger, nullable=False),
        Column("status", Text, nullable=False),
        Column("paused", Boolean, nullable=False),
        Column("reason", Text, nullable=False),
        Column("tags", Text, nullable=False),
        Column("started_at", BigInteger),
        Column("completed_at", BigInteger),
        Column("execution_status", Text, nullable=False),
        Column("health_status", Text, nullable=False),
        Column("completion_percentage", Float, nullable=False),
        Column("recommended_action", Text),
        Column("steps", Text, nullable=False),
        Column("stream_version", Integer, nullable=False),
        Column("position", BigInteger, nullable=False),
        Index(f"{name}_stream", "stream_id", unique=True),
        Index(f"{name}_status", "status", "created"),
        Index(f"{name}_name", "name", "created"),
        Index(f"{name}_namespace", "namespace", "created"),
        Index(f"{name}_created_at", "created_at"),
    )


def _steps(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("task", BigInteger, primary_key=True, autoincrement=False),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("name", Text, nullable=False),
        Column("dependent_system", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("retry_limit", Integer, nullable=False),
        Column("worker_id", Text),
        Column("started_at", BigInteger),
        Column("completed_at", BigInteger),
        Column("due", BigInteger),
        Column("error_type", Text),
        sqlite_with_rowid=False,
    )


def _annotations(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("task", BigInteger, primary_key=True, autoincrement=False),
        Column("stream_version", Integer, primary_key=True, autoincrement=False),
        Column("type", Text, nullable=False),
        Column("value", LargeBinary),
        Column("actor", Text),
        Column("time", BigInteger, nullable=False),
        # Not WITHOUT ROWID, as the others are: rows that are only ever added at the end never move to another page, and
        # leave no copy behind that an erasure would not reach.
    )


def _pairs(name: str, metadata: MetaData, key: Column[str] | Column[bytes]) -> Table:
    task = Column("task", BigInteger, primary_key=True, autoincrement=False)
    return Table(name, metadata, key, task, sqlite_with_rowid=False)
