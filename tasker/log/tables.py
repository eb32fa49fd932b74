"""The tables of the log for queries through SQLAlchemy; the migrations make them, and a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData()

log_head = Table(
    "log_head",
    metadata,
    Column("log_id", LargeBinary(16), primary_key=True),
    Column("format", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
)
"""The one row that every append locks first."""

event_types = Table(
    "event_types",
    metadata,
    Column("code", Integer, primary_key=True),
    Column("name", Text, nullable=False),
)
"""Names of type codes; below 1000 those of system types, whose variants share a name; a custom name has one code."""

streams = Table(
    "streams",
    metadata,
    Column("stream_id", LargeBinary(16), primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("task_name", Text, nullable=False),
    Column("task_version", Text, nullable=False),
    Column("definition_digest", LargeBinary(32), nullable=False),
    Column("correlation_id", Text),
    Column("identity", LargeBinary(32)),
)
"""What is the same for all events of a stream."""

events = Table(
    "events",
    metadata,
    Column("position", BigInteger, primary_key=True),
    Column("stream_id", LargeBinary(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("event_id", LargeBinary(16), nullable=False),
    Column("type", Integer, nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("step", Integer),
    Column("attempt", Integer),
    Column("due", BigInteger),
    Column("actor", Text),
    Column("causation_id", LargeBinary(16)),
    Column("metadata", LargeBinary),
    Column("payload_hash", LargeBinary(32)),
    Column("hash", LargeBinary(32), nullable=False),
    Column("salt", LargeBinary(16)),
    Column("data", LargeBinary, nullable=False),
    Column("payload", LargeBinary),
    Index("events_fold", "stream_id", "version", "type", "schema_version", "step", "attempt", "time", "due"),
)
"""The log itself; `type` is a code of `event_types`."""

definitions = Table(
    "definitions",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("bytes", LargeBinary, nullable=False),
)
"""Resolved definitions by content."""

_READY = text("kind = 1 AND due IS NULL")
_TIMED = text("due IS NOT NULL")

live_work = Table(
    "live_work",
    metadata,
    Column("stream_id", LargeBinary(16), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("due", BigInteger),
    Column("rank", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker_id", Text),
    Index("live_work_ready", "rank", "stream_id", "step", sqlite_where=_READY, postgresql_where=_READY),
    Index("live_work_timers", "due", sqlite_where=_TIMED, postgresql_where=_TIMED),
)
"""What waits or runs; disposable."""

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)
"""Positions that readers of the log have reached."""

workers = Table(
    "workers",
    metadata,
    Column("worker_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("release", Text, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("beat_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger),
    Column("settled", Boolean, nullable=False),
    Column("handlers", Text, nullable=False),
    Column("lacking", Text, nullable=False),
    Column("skew", Double, nullable=False),
)
"""Who runs handlers, and until when each is known to live."""

limit_holders = Table(
    "limit_holders",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("stream_id", LargeBinary(16), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
)
"""Places under limits; one holds as long as the live work has its attempt running."""

seals = Table(
    "seals",
    metadata,
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("merkle_root", LargeBinary(32), nullable=False),
    Column("previous", LargeBinary(32), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("key_id", LargeBinary(32), nullable=False),
    Column("signature", LargeBinary(64), nullable=False),
)
"""Signed statements about ranges of the log; nothing of the engine needs them."""
