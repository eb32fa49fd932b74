"""The history of the log's schema, one module of plain DDL per revision.

A new database runs the revisions in order, without Alembic; one that holds an older revision is upgraded by Alembic.
Revisions import nothing of Tasker but earlier ones, so that an old one means the same for ever.
"""

from __future__ import annotations

REVISIONS = ("0001", "0002", "0003")
"""Every revision, oldest first; the last one is what this release needs."""
