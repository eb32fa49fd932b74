"""The first schema: log, definitions, live work, checkpoints."""

from __future__ import annotations

revision = "0001"
down_revision = None

_EVENTS = """
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    stream_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    type INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    time INTEGER NOT NULL,
    step INTEGER,
    attempt INTEGER,
    due INTEGER,
    actor TEXT,
    causation_id BLOB,
    metadata BLOB,
    payload_hash BLOB,
    hash BLOB NOT NULL,
    salt BLOB,
    data BLOB NOT NULL,
    payload BLOB
)
"""

# The covering index serves folds and, with the trigger below, uniqueness: one index less to write for every event.
_EVENTS_FOLD = """
CREATE INDEX events_fold ON events (stream_id, version, type, schema_version, step, attempt, time, due)
"""

# BEFORE INSERT also stops INSERT OR REPLACE of a connection that does not set recursive_triggers.
_EVENTS_INSERT = """
CREATE TRIGGER events_insert BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE position = NEW.position)
  OR EXISTS (SELECT 1 FROM events WHERE stream_id = NEW.stream_id AND version = NEW.version)
BEGIN SELECT RAISE(ABORT, 'events: this position or version of the stream exists already'); END
"""

_EVENTS_UPDATE = """
CREATE TRIGGER events_update BEFORE UPDATE ON events
WHEN NOT (
    NEW.payload IS NULL AND NEW.salt IS NULL AND NEW.position IS OLD.position AND NEW.stream_id IS OLD.stream_id
    AND NEW.version IS OLD.version AND NEW.event_id IS OLD.event_id AND NEW.type IS OLD.type
    AND NEW.schema_version IS OLD.schema_version AND NEW.time IS OLD.time AND NEW.step IS OLD.step
    AND NEW.attempt IS OLD.attempt AND NEW.due IS OLD.due AND NEW.actor IS OLD.actor
    AND NEW.causation_id IS OLD.causation_id AND NEW.metadata IS OLD.metadata AND NEW.data IS OLD.data
    AND NEW.payload_hash IS OLD.payload_hash AND NEW.hash IS OLD.hash)
BEGIN SELECT RAISE(ABORT, 'events: append only; only payload and salt may be erased, both at once'); END
"""

_STREAMS = """
CREATE TABLE streams (
    stream_id BLOB NOT NULL PRIMARY KEY,
    namespace TEXT NOT NULL,
    task_name TEXT NOT NULL,
    task_version TEXT NOT NULL,
    definition_digest BLOB NOT NULL,
    correlation_id TEXT,
    identity BLOB
) WITHOUT ROWID
"""

_STREAMS_IDENTITY = """
CREATE UNIQUE INDEX streams_identity ON streams (identity) WHERE identity IS NOT NULL
"""

_STREAMS_INSERT = """
CREATE TRIGGER streams_insert BEFORE INSERT ON streams
WHEN EXISTS (SELECT 1 FROM streams WHERE stream_id = NEW.stream_id)
  OR EXISTS (SELECT 1 FROM streams WHERE identity = NEW.identity)
BEGIN SELECT RAISE(ABORT, 'streams: this stream or identity exists already'); END
"""

_DEFINITIONS = """
CREATE TABLE definitions (digest BLOB NOT NULL PRIMARY KEY, bytes BLOB NOT NULL)
"""

_DEFINITIONS_INSERT = """
CREATE TRIGGER definitions_insert BEFORE INSERT ON definitions
WHEN EXISTS (SELECT 1 FROM definitions WHERE digest = NEW.digest)
BEGIN SELECT RAISE(ABORT, 'definitions: this digest exists already'); END
"""

_EVENT_TYPES = """
CREATE TABLE event_types (code INTEGER PRIMARY KEY, name TEXT NOT NULL)
"""

_EVENT_TYPES_INSERT = """
CREATE TRIGGER event_types_insert BEFORE INSERT ON event_types
WHEN EXISTS (SELECT 1 FROM event_types
    WHERE code = NEW.code OR (name = NEW.name AND (code >= 1000 OR NEW.code >= 1000)))
BEGIN SELECT RAISE(ABORT, 'event_types: this code or name exists already'); END
"""

_LOG_HEAD = """
CREATE TABLE log_head (log_id BLOB NOT NULL PRIMARY KEY, format INTEGER NOT NULL, position INTEGER NOT NULL)
"""

_LOG_HEAD_INSERT = """
CREATE TRIGGER log_head_insert BEFORE INSERT ON log_head WHEN EXISTS (SELECT 1 FROM log_head)
BEGIN SELECT RAISE(ABORT, 'log_head: a log has one head'); END
"""

_LOG_HEAD_UPDATE = """
CREATE TRIGGER log_head_update BEFORE UPDATE ON log_head
WHEN NEW.log_id IS NOT OLD.log_id OR NEW.position < OLD.position OR NEW.format < OLD.format
BEGIN SELECT RAISE(ABORT, 'log_head: a log keeps its id and never goes back'); END
"""

_LIVE_WORK = """
CREATE TABLE live_work (
    stream_id BLOB NOT NULL,
    step INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    due INTEGER,
    rank INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    worker_id TEXT,
    PRIMARY KEY (stream_id, step)
) WITHOUT ROWID
"""

_CHECKPOINTS = """
CREATE TABLE checkpoints (name TEXT NOT NULL PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID
"""


def _refuse(table: str, change: str) -> str:
    """Write the trigger that refuses a change of a table for good."""
    return (
        f"CREATE TRIGGER {table}_{change.lower()} BEFORE {change} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table}: append only, {change} is refused'); END"
    )


SQLITE = (
    _LOG_HEAD,
    _LOG_HEAD_INSERT,
    _LOG_HEAD_UPDATE,
    _refuse("log_head", "DELETE"),
    _EVENTS,
    _EVENTS_FOLD,
    _EVENTS_INSERT,
    _EVENTS_UPDATE,
    _refuse("events", "DELETE"),
    _STREAMS,
    _STREAMS_IDENTITY,
    _STREAMS_INSERT,
    _refuse("streams", "UPDATE"),
    _refuse("streams", "DELETE"),
    _DEFINITIONS,
    _DEFINITIONS_INSERT,
    _refuse("definitions", "UPDATE"),
    _refuse("definitions", "DELETE"),
    _EVENT_TYPES,
    _EVENT_TYPES_INSERT,
    _refuse("event_types", "UPDATE"),
    _refuse("event_types", "DELETE"),
    _LIVE_WORK,
    _CHECKPOINTS,
)
"""The statements for SQLite, in order."""


def upgrade() -> None:
    """Run the statements through Alembic."""
    from alembic import op  # noqa: PLC0415 - a new SQLite database runs the statements without Alembic

    from tasker.log.migrations.r0001_postgres import POSTGRES  # noqa: PLC0415 - a part of this revision

    for statement in POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)
