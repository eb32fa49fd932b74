"""Bring a database to the newest revision by Alembic; imported only when there is something to upgrade."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

if TYPE_CHECKING:
    from sqlalchemy import Connection

_HERE = Path(__file__).parent
LOCATIONS = [str(_HERE / "versions")]
"""Where Alembic finds the revisions."""


def upgrade(connection: Connection) -> None:
    """Run what is missing, quietly, in the transaction that the connection is in."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", _plain(str(_HERE)))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", _plain(os.pathsep.join(LOCATIONS)))
    command.upgrade(config, "head")


def _plain(path: str) -> str:
    """Keep Alembic from reading a percent sign in a path as the beginning of a name."""
    return path.replace("%", "%%")
