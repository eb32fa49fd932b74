"""Errors of PostgreSQL as errors of Tasker: what was expected, what was found, what to do."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from tasker.errors import LogUnavailable, TaskerError

LOCK_SECONDS = 5
"""How long an append waits for another one that has the head of the log."""

STATEMENT_SECONDS = 10
"""How long one statement of an append may take."""

_UPGRADE = "Run `tasker db upgrade`"
_ADVICE = {
    "25006": "it is read-only, as a replica is. Name the primary",
    "28000": "the server does not let this user in. Check user, database and pg_hba.conf",
    "28P01": "wrong user or password. Check the URL",
    "3D000": "there is no such database. Make it (`createdb`), then run `tasker db upgrade`, or check the URL",
    "3F000": f"there is no such schema. Make it, then {_UPGRADE[0].lower()}{_UPGRADE[1:]}",
    "40001": "another transaction was in the way. Repeat",
    "40P01": "another transaction was in the way. Repeat",
    "42501": "this user lacks a right. Grant it on the tables and functions of the log, or use their owner",
    "42703": f"a column of the log is missing. {_UPGRADE}, or restore a backup",
    "42883": f"a function of the log is missing. {_UPGRADE}, or restore a backup",
    "42P01": f"a table of the log is missing. {_UPGRADE} for a new log, or restore a backup",
    "53100": "the server's disk is full. Free some space, then repeat",
    "53200": "the server is out of memory. Repeat later",
    "53300": "the server has no connection left. Raise max_connections, or put a pooler in front",
    "55P03": f"another process kept it locked for {LOCK_SECONDS} s. Repeat",
    "57014": f"a statement took longer than it may ({STATEMENT_SECONDS} s for an append). Repeat later",
    "57P01": "the server is stopping. Repeat when it runs again",
    "57P02": "the server has crashed and restarts. Repeat",
    "57P03": "the server is starting. Repeat",
}
OURS = frozenset({"25006", "42501", "42703", "42883", "42P01"})
"""Errors that SQLAlchemy counts among mistakes of the caller, although the store is what is wrong."""

_AWAY = "the server cannot be reached, or closed the connection. Check that it runs, host and port; then repeat"
_VALUES = "22"  # data exceptions: the value is the caller's, and repeating it does not help
_DOUBT = " The append may be durable: repeat it with the same key."


def lost(connection: psycopg.Connection[TupleRow]) -> bool:
    """Tell whether a connection is of no more use, so that what it was doing is in doubt."""
    return connection.closed or connection.broken


def unavailable(error: psycopg.Error, where: str, *, outcome_unknown: bool = False) -> TaskerError:
    """Turn an error of the driver into one that says what to do.

    Args:
        error: What the driver raised.
        where: The database, for people.
        outcome_unknown: True if what was written may be durable nevertheless.

    Returns:
        `LogUnavailable`; for a value that no log can store, a `TaskerError`.
    """
    state, said = error.sqlstate or "", " ".join(str(error).split())
    if state.startswith(_VALUES) or (not state and isinstance(error, psycopg.DataError)):
        return TaskerError(f"{where}: a value cannot be stored, nothing was: a NUL in a text, or a number ({said}).")
    advice = _ADVICE.get(state) or (
        _refused(error) if state else _ADVICE[_state_of(said)] if _state_of(said) else _AWAY
    )
    doubt = _DOUBT if outcome_unknown else ""
    return LogUnavailable(f"{where}: {advice} ({said}).{doubt}", outcome_unknown=outcome_unknown)


def _refused(error: psycopg.Error) -> str:
    return f"PostgreSQL refused, error {error.sqlstate}"


def _state_of(said: str) -> str:
    """Guess the state of an error while connecting, for which the driver gives the words alone."""
    marks = {
        "password authentication failed": "28P01",
        "no password supplied": "28P01",
        "no pg_hba.conf entry": "28000",
        "does not exist": "3D000" if "database" in said else "28000",
        "starting up": "57P03",
        "shutting down": "57P01",
        "too many": "53300",
        "remaining connection slots": "53300",
        "permission denied for database": "28000",
    }
    return next((state for mark, state in marks.items() if mark in said), "")
