"""Seals: signed statements about ranges of the log, added to and never changed."""

from __future__ import annotations

revision = "0003"
down_revision = "0002"

_SEALS = """
CREATE TABLE seals (
    first INTEGER NOT NULL PRIMARY KEY,
    last INTEGER NOT NULL,
    merkle_root BLOB NOT NULL,
    previous BLOB NOT NULL,
    time INTEGER NOT NULL,
    key_id BLOB NOT NULL,
    signature BLOB NOT NULL
)
"""

_INSERT = """
CREATE TRIGGER seals_insert BEFORE INSERT ON seals
WHEN EXISTS (SELECT 1 FROM seals WHERE first = NEW.first)
BEGIN SELECT RAISE(ABORT, 'seals: a seal begins at this position already'); END
"""

_UPDATE = """
CREATE TRIGGER seals_update BEFORE UPDATE ON seals
BEGIN SELECT RAISE(ABORT, 'seals: append only, UPDATE is refused'); END
"""

_DELETE = """
CREATE TRIGGER seals_delete BEFORE DELETE ON seals
BEGIN SELECT RAISE(ABORT, 'seals: append only, DELETE is refused'); END
"""

SQLITE = (_SEALS, _INSERT, _UPDATE, _DELETE)
"""The statements for SQLite, in order."""


def upgrade() -> None:
    """Run the statements through Alembic."""
    from alembic import op  # noqa: PLC0415 - a new SQLite database runs the statements without Alembic

    from tasker.log.migrations.r0003_postgres import POSTGRES  # noqa: PLC0415 - a part of this revision

    for statement in POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)
