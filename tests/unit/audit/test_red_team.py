"""A red team edits the file of a log once, past every trigger; the audit finds each edit and names a place.

One thing cannot be found without a seal kept elsewhere, and is shown here as well: a tail that was removed together
with the position in `log_head` and whatever only that tail used.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import suppress
from itertools import count
from random import Random

import pytest

from tasker.audit import Audit
from tasker.audit.helpers import Process
from tasker.errors import ChainBroken, LogUnavailable
from tasker.log.open import open_store
from tests.contracts.lives import control, populate
from tests.properties.fold_kit import by_python, compiled_only
from tests.unit.audit.parts_kit import parts

EDITS = 200
COLUMNS = (
    "position", "stream_id", "version", "event_id", "type", "schema_version", "time", "step", "attempt", "due", "actor",
    "causation_id", "metadata", "data", "payload", "salt", "payload_hash", "hash",
)  # fmt: skip
KEYS = {
    "streams": (
        "stream_id",
        "namespace",
        "task_name",
        "task_version",
        "definition_digest",
        "correlation_id",
        "identity",
    ),
    "definitions": ("digest", "bytes"),
    "event_types": ("code", "name"),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Give the file of a log with many tasks, some of them erased, without its triggers."""
    path = tmp_path_factory.mktemp("audit") / "log.db"
    store, seed, lives = open_store(f"sqlite:///{path}"), Random(1), []
    populate(store.log, seed, lives, rounds=40)
    control(store.log)
    while not any(life.task.erased for life in lives):
        populate(store.log, seed, lives, rounds=20)
    populate(store.log, seed, lives, rounds=20)
    assert Audit(store).verify().events == store.log.head()
    store.close()
    with sqlite3.connect(path) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    return path


def other(seed: Random, value: object) -> object:
    """Give a value that differs from another, of its kind or of none."""
    if seed.random() < 0.2:
        return seed.choice([one for one in (None, b"", "", 0, b"\xff", "x", 2**40, 1.5) if differs(one, value)])
    if isinstance(value, bytes) and value:
        place = seed.randrange(len(value))
        return value[:place] + bytes([value[place] ^ (1 << seed.randrange(8))]) + value[place + 1 :]
    if isinstance(value, int):
        return value + seed.choice((-1, 1, 1000))
    return "other" if value is None or isinstance(value, bytes) else f"{value}x"


def differs(one: object, value: object) -> bool:
    """Say whether two values are not the same in SQLite."""
    return type(one) is not type(value) or one != value


def change(connection: sqlite3.Connection, seed: Random) -> str:
    """Change one column of one event."""
    column = seed.choice(COLUMNS)
    (head,) = connection.execute("SELECT max(position) FROM events").fetchone()
    position = seed.randint(1, head)
    (value,) = connection.execute(f"SELECT {column} FROM events WHERE position = ?", (position,)).fetchone()
    new = other(seed, value)
    connection.execute(f"UPDATE events SET {column} = ? WHERE position = ?", (new, position))
    return f"{column} of {position}: {value!r} -> {new!r}"


def remove(connection: sqlite3.Connection, seed: Random) -> str:
    """Remove one event, or the whole tail, without touching the head."""
    (head,) = connection.execute("SELECT max(position) FROM events").fetchone()
    position, sign = seed.randint(1, head), seed.choice(("=", ">="))
    connection.execute(f"DELETE FROM events WHERE position {sign} ?", (position,))
    return f"removed {sign} {position}"


def put_in(connection: sqlite3.Connection, seed: Random) -> str:
    """Put a copy of an event behind the end, as a further event of its stream or of a stream of its own."""
    (head,) = connection.execute("SELECT max(position) FROM events").fetchone()
    position, rest = seed.randint(1, head), ", ".join(COLUMNS[3:])
    stream = seed.choice(("stream_id", "x'00112233445566778899aabbccddeeff'"))
    connection.execute(
        f"INSERT INTO events (position, stream_id, version, {rest}) SELECT {head + 1}, {stream}, "
        f"(SELECT max(version) + 1 FROM events e WHERE e.stream_id = events.stream_id), {rest} FROM events "
        f"WHERE position = {position}"
    )
    if seed.random() < 0.5:
        connection.execute("UPDATE log_head SET position = position + 1")
    return f"put in a copy of {position} as {stream}"


def swap(connection: sqlite3.Connection, seed: Random) -> str:
    """Swap two events in all that is not their place."""
    (head,) = connection.execute("SELECT max(position) FROM events").fetchone()
    one, two = sorted(seed.sample(range(1, head + 1), 2))
    columns = COLUMNS[1:] if seed.random() < 0.5 else ("payload", "salt", "payload_hash", "data", "hash")
    names, read = ", ".join(columns), f"SELECT {', '.join(columns)} FROM events WHERE position = ?"
    rows = {place: connection.execute(read, (place,)).fetchone() for place in (one, two)}
    for place, row in ((one, rows[two]), (two, rows[one])):
        marks = ",".join("?" * len(columns))
        connection.execute(f"UPDATE events SET ({names}) = ({marks}) WHERE position = ?", (*row, place))
    return f"swapped {one} and {two}"


def beside(connection: sqlite3.Connection, seed: Random) -> str:
    """Change, remove or add a row of what stands beside the events."""
    table = seed.choice(tuple(KEYS))
    columns = KEYS[table]
    row = seed.choice(connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall())
    kind = seed.randrange(4)
    if kind == 0:
        connection.execute(f"DELETE FROM {table} WHERE {columns[0]} = ?", row[:1])
    elif kind == 1:
        key = 4711 if table == "event_types" else bytes(range(len(row[0])))
        new = {"identity": None, "name": "order.unheard"}
        values = [key, *(new.get(name, value) for name, value in zip(columns[1:], row[1:], strict=True))]
        connection.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(values))})", values)
    else:
        column = seed.randrange(len(columns))
        value = f"{row[column]}x" if isinstance(row[column], str) else other(Random(3), row[column])
        connection.execute(f"UPDATE {table} SET {columns[column]} = ? WHERE {columns[0]} = ?", (value, row[0]))
    return f"{table} {kind}: {row!r}"


def head(connection: sqlite3.Connection, seed: Random) -> str:
    """Change the head."""
    what = seed.choice(("position = position + 1", "position = position - 1", "position = 0", "log_id = zeroblob(16)"))
    connection.execute(f"UPDATE log_head SET {what}")
    return what


@pytest.mark.parametrize("tens", range(EDITS // 10))
def test_every_edit_is_found(original, tmp_path, tens, monkeypatch):
    """Each single edit raises `ChainBroken`, and in parts or by Python the same is said of it."""
    missed = []
    for number in range(tens * 10, tens * 10 + 10):
        path = tmp_path / f"{number}.db"
        shutil.copy(original, path)
        said = edit(path, number)
        found, cut = verdict(path), verdict(path, parts(2 + number % 40))
        with monkeypatch.context() as patch:
            by_python(patch)
            slowly = verdict(path)
        if not isinstance(found, ChainBroken) or not facts(found) == facts(slowly) == facts(cut):
            missed.append(f"{number}: {said}: {found!r}, by Python {slowly!r}, in parts {cut!r}")
    assert missed == []


@compiled_only
@pytest.mark.parametrize("number", range(3, EDITS, 23))
def test_processes_find_what_one_finds(original, tmp_path, number):
    """With other processes the same is said of an edit."""
    path = tmp_path / "log.db"
    shutil.copy(original, path)
    edit(path, number)
    assert facts(verdict(path, parts(3, Process))) == facts(verdict(path))


def verdict(path, cut=None):
    """Verify a file, in parts or at once; give what was found or raised."""
    store = open_store(f"sqlite:///{path}")
    try:
        return Audit(store)._verify(None, cut) if cut else Audit(store).verify()
    except (ChainBroken, LogUnavailable) as error:
        return error
    finally:
        store.close()


def facts(error):
    """Give all that an error says."""
    return (str(error), getattr(error, "position", 0), getattr(error, "expected", ""), getattr(error, "found", ""))


def edit(path, number):
    """Edit the file once, trying until the database took it and holds something else; give what was done."""
    kinds = (change, change, change, change, remove, put_in, swap, beside, beside, head)
    for attempt in count():
        seed, connection = Random(f"{number}.{attempt}"), sqlite3.connect(path)
        before = "\n".join(connection.iterdump())
        with suppress(sqlite3.IntegrityError):
            done = kinds[number % len(kinds)](connection, seed)
            connection.commit()
            if "\n".join(connection.iterdump()) != before:
                connection.close()
                return done
        connection.close()
    return None


def test_a_tail_removed_with_its_head_is_not_found(original, tmp_path):
    """What was removed from the end together with the head leaves a shorter log that verifies: only a seal finds it."""
    path = tmp_path / "short.db"
    shutil.copy(original, path)
    with sqlite3.connect(path) as connection:
        (last,) = connection.execute("SELECT max(position) FROM events").fetchone()
        connection.execute("DELETE FROM events WHERE position = ?", (last,))
        connection.execute("UPDATE log_head SET position = position - 1")
        connection.execute("DELETE FROM event_types WHERE code NOT IN (SELECT type FROM events)")
        connection.execute("DELETE FROM streams WHERE stream_id NOT IN (SELECT stream_id FROM events)")
        connection.execute("DELETE FROM definitions WHERE digest NOT IN (SELECT definition_digest FROM streams)")
    connection.close()
    store = open_store(f"sqlite:///{path}")
    assert Audit(store).verify().events == last - 1
    store.close()
