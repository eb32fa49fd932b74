"""A red team that knows how the log works: it makes the chain fit its edits, and removes or replaces the seals.

What finds which edit stands in docs/guides/audit.md; this is where it is shown.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import suppress
from itertools import count
from random import Random

import pytest

from tasker.audit import Audit, keygen
from tasker.codec.chain import event_hash, header_bytes, payload_hash, stream_root
from tasker.errors import ChainBroken
from tasker.log.open import open_store
from tests.unit.audit.sealed_kit import sealed
from tests.unit.audit.test_red_team import beside, change, put_in, remove, swap

EDITS = 200
CHAIN, SEALS, KEPT = "the chain", "the seals in the database", "a seal kept elsewhere"
_ROWS = """
SELECT position, stream_id, version, event_id, type, name, schema_version, time, step, attempt, due, actor,
    causation_id, metadata, data, payload_hash FROM events JOIN event_types ON code = type ORDER BY position
"""
_HEADERS = """
SELECT stream_id, namespace, task_name, task_version, definition_digest, correlation_id, identity FROM streams
"""
_TIDY = (
    "DELETE FROM event_types WHERE code NOT IN (SELECT type FROM events)",
    "DELETE FROM streams WHERE stream_id NOT IN (SELECT stream_id FROM events)",
    "DELETE FROM definitions WHERE digest NOT IN (SELECT definition_digest FROM streams)",
    "UPDATE log_head SET position = (SELECT max(position) FROM events)",
    """
    UPDATE events SET payload_hash = NULL
    WHERE payload IS NULL AND stream_id NOT IN (SELECT stream_id FROM events WHERE type = 12)
    """,
)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Give the file of a sealed log without its triggers, the seals that were kept, and a key of the red team."""
    folder = tmp_path_factory.mktemp("sealed")
    found = sealed(folder)
    found.store.close()
    keygen(folder / "theirs")
    with sqlite3.connect(folder / "log.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    return folder / "log.db", found.kept, found.key_id, folder / "theirs"


def rechain(connection):
    """Give every event the hash that follows from what stands now."""
    (log_id,) = connection.execute("SELECT log_id FROM log_head").fetchone()
    ends = {row[0]: stream_root(log_id, row[0], header_bytes(*row[1:])) for row in connection.execute(_HEADERS)}
    for position, stream_id, version, *columns, hidden in connection.execute(_ROWS).fetchall():
        ends[stream_id] = event_hash(ends[stream_id], position, stream_id, version, tuple(columns), hidden)
        connection.execute("UPDATE events SET hash = ? WHERE position = ?", (ends[stream_id], position))


def forge(connection, seed):
    """Change what an event says, and each hash behind it."""
    rows = connection.execute("SELECT position, payload, salt FROM events WHERE payload IS NOT NULL").fetchall()
    position, payload, salt = seed.choice(rows)
    if seed.random() < 0.5:
        connection.execute("UPDATE events SET actor = 'mallory' WHERE position = ?", (position,))
    else:
        hidden = payload_hash(salt, payload + b" ")
        columns = (payload + b" ", hidden, position)
        connection.execute("UPDATE events SET payload = ?, payload_hash = ? WHERE position = ?", columns)
    rechain(connection)
    return f"forged {position}"


def cut(connection, seed):
    """Remove the tail, and whatever only it needed."""
    (head,) = connection.execute("SELECT max(position) FROM events").fetchone()
    position = seed.randint(2, head)
    connection.execute("DELETE FROM events WHERE position >= ?", (position,))
    tidy(connection)
    return f"cut from {position}"


def tidy(connection):
    """Remove whatever no event needs, set the head, let the chain fit and no payload be missed."""
    for statement in _TIDY:
        connection.execute(statement)
    rechain(connection)


def drop_stream(connection, seed):
    """Remove a whole stream, and close the gaps."""
    (stream_id,) = seed.choice(connection.execute("SELECT DISTINCT stream_id FROM events").fetchall())
    connection.execute("DELETE FROM events WHERE stream_id = ?", (stream_id,))
    rows = connection.execute("SELECT position FROM events ORDER BY position").fetchall()
    for place, (position,) in enumerate(rows, 1):
        connection.execute("UPDATE events SET position = ? WHERE position = ?", (place, position))
    tidy(connection)
    return f"removed the stream {stream_id.hex()}"


def swap_streams(connection, seed):
    """Let two streams exchange what happened in them."""
    streams = connection.execute("SELECT stream_id FROM streams WHERE namespace LIKE 'ns%'").fetchall()
    (one,), (two,) = seed.sample(streams, 2)
    for old, new in ((one, b"x" * 16), (two, one), (b"x" * 16, two)):
        connection.execute("UPDATE events SET stream_id = ? WHERE stream_id = ?", (new, old))
    rechain(connection)
    return f"swapped {one.hex()} and {two.hex()}"


SMART = (forge, cut, drop_stream, swap_streams)
KINDS = (change, remove, put_in, swap, beside, *SMART, forge)


def edit(path, number):
    """Edit the file once; give what was done, and whether the chain was made to fit."""
    kind = KINDS[number % len(KINDS)]
    for attempt in count():
        seed, connection = Random(f"{number}.{attempt}"), sqlite3.connect(path)
        before = "\n".join(connection.iterdump())
        with suppress(sqlite3.IntegrityError):
            done = kind(connection, seed)
            connection.commit()
            if "\n".join(connection.iterdump()) != before:
                connection.close()
                return done, kind in SMART
        connection.close()
    return None


def lost_seals(path, how, theirs):
    """Remove the seals, all or from the first that does not fit on; or sign the log as it is with another key."""
    with sqlite3.connect(path) as connection:
        head = "0" if how == "all" else "(SELECT position FROM log_head)"
        connection.execute(f"DELETE FROM seals WHERE last > {head}")
    connection.close()
    if how == "signed anew":
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM seals")
        connection.close()
        store = open_store(f"sqlite:///{path}")
        Audit(store).seal(theirs)
        store.close()


def verdict(path, **expected):
    """Verify a file; give what was raised, or None."""
    store = open_store(f"sqlite:///{path}")
    try:
        Audit(store).verify(**expected)
    except ChainBroken as error:
        return error
    else:
        return None
    finally:
        store.close()


def finder(error):
    """Say what has found an edit."""
    return SEALS if "seal" in str(error) else CHAIN


@pytest.mark.parametrize("tens", range(EDITS // 10))
def test_every_edit_is_found(original, tmp_path, tens):
    """The chain finds what was edited alone; where it was made to fit, seals do; where those are lost, kept ones do."""
    file, kept, key_id, theirs = original
    missed = []
    for number in range(tens * 10, tens * 10 + 10):
        path = tmp_path / f"{number}.db"
        shutil.copy(file, path)
        done, smart = edit(path, number)
        error = verdict(path)
        if finder(error) != (SEALS if smart else CHAIN):
            missed.append(f"{number}: {done}: {error!r}")
        if smart:
            lost_seals(path, ("all", "beyond", "signed anew")[number % 3], theirs)
            if verdict(path, kept=kept) is None or (number % 3 == 2 and verdict(path, keys=[key_id]) is None):
                missed.append(f"{number}: {done}: not found by kept seals")
            if number % 3 != 1 and verdict(path) is not None:
                missed.append(f"{number}: {done}: expected that nothing in the database shows it")
    assert not missed, "\n".join(missed)


def test_the_newest_events_are_nobodys_yet(original, tmp_path):
    """What was appended after the last seal can be rewritten by who owns the database, and nothing finds it."""
    file, kept, key_id, _ = original
    path = tmp_path / "log.db"
    shutil.copy(file, path)
    with sqlite3.connect(path) as connection:
        (last,) = connection.execute("SELECT max(last) FROM seals").fetchone()
        connection.execute("DELETE FROM seals WHERE last = ?", (last,))
        connection.execute("UPDATE events SET actor = 'mallory' WHERE position = ?", (last,))
        rechain(connection)
    connection.close()
    assert verdict(path, kept=kept[:-1], keys=[key_id]) is None
    assert verdict(path, kept=kept) is not None
