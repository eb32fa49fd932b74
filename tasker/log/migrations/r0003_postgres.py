"""The third schema on PostgreSQL; beside the revision, for Alembic takes every file of its folder for one."""

from __future__ import annotations

_SEALS = """
CREATE TABLE seals (
    first bigint NOT NULL PRIMARY KEY,
    last bigint NOT NULL,
    merkle_root bytea NOT NULL,
    previous bytea NOT NULL,
    time bigint NOT NULL,
    key_id bytea NOT NULL,
    signature bytea NOT NULL
)
"""


def _guard(change: str) -> str:
    """Write the trigger that refuses a change of seals for good, by the function of the first revision."""
    return (
        f"CREATE TRIGGER seals_{change.lower()} BEFORE {change} ON seals "
        "FOR EACH STATEMENT EXECUTE FUNCTION tasker_refuse()"
    )


POSTGRES = (_SEALS, *(_guard(change) for change in ("UPDATE", "DELETE", "TRUNCATE")))
"""The statements for PostgreSQL, in order."""
