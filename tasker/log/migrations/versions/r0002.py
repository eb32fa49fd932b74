"""Workers, places under limits, and indexes by which runners find what is ready or due."""

from __future__ import annotations

revision = "0002"
down_revision = "0001"

_WORKERS = """
CREATE TABLE workers (
    worker_id TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    release TEXT NOT NULL,
    slots INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    beat_at INTEGER NOT NULL,
    lease_until INTEGER,
    settled INTEGER NOT NULL,
    handlers TEXT NOT NULL,
    lacking TEXT NOT NULL,
    skew REAL NOT NULL
) WITHOUT ROWID
"""

_LIMIT_HOLDERS = """
CREATE TABLE limit_holders (
    scope TEXT NOT NULL,
    stream_id BLOB NOT NULL,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (scope, stream_id, step)
) WITHOUT ROWID
"""

READY = "CREATE INDEX live_work_ready ON live_work (rank, stream_id, step) WHERE kind = 1 AND due IS NULL"
TIMERS = "CREATE INDEX live_work_timers ON live_work (due) WHERE due IS NOT NULL"

SQLITE = (_WORKERS, _LIMIT_HOLDERS, READY, TIMERS)
"""The statements for SQLite, in order."""


def upgrade() -> None:
    """Run the statements through Alembic."""
    from alembic import op  # noqa: PLC0415 - a new SQLite database runs the statements without Alembic

    from tasker.log.migrations.r0002_postgres import POSTGRES  # noqa: PLC0415 - a part of this revision

    for statement in (*POSTGRES, READY, TIMERS) if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)
