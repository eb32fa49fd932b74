"""`Audit.verify`: what it counts, which place it names, and that it bears a log that grows meanwhile."""

from __future__ import annotations

import sqlite3
from random import Random

import pytest

from tasker.audit import Audit, Verified
from tasker.codec.decode import decode
from tasker.codec.definition import digest
from tasker.errors import ChainBroken, UnsupportedEvent
from tasker.log.open import open_store
from tasker.log.port import Append
from tests.contracts.kit import event, header, new_id
from tests.contracts.lives import control, populate


@pytest.fixture
def store(tmp_path):
    """Give a store on a new file."""
    found = open_store(f"sqlite:///{tmp_path / 'log.db'}")
    yield found
    found.close()


def raw(store, *statements):
    """Run statements past every rule of the log."""
    with sqlite3.connect(store._database.path) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_an_empty_log(store):
    """An empty log verifies."""
    assert Audit(store).verify() == Verified(0, 0, 0, 0)


def test_counts_and_progress(store):
    """It counts events, streams and definitions, and tells how far it is."""
    lives, told = [], []
    populate(store.log, Random(1), lives, rounds=50)
    control(store.log)
    appended = [life for life in lives if life.appended]
    done = Audit(store).verify(lambda at, all_: told.append((at, all_)))
    head = store.log.head()
    assert done == Verified(head, len(appended) + 1, len({life.digest for life in appended}), 0)
    assert told[-1] == (head, head)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET data = x'7b7d' WHERE position = 17",
        "UPDATE events SET hash = zeroblob(32) WHERE position = 17",
        "UPDATE events SET payload = x'00', salt = x'00' WHERE position = 17",
        "UPDATE events SET actor = CAST(x'ff' AS TEXT) WHERE position = 17",
        "UPDATE events SET type = 999 WHERE position = 17",
        "UPDATE events SET time = 1.5 WHERE position = 17",
        "UPDATE events SET data = 'text' WHERE position = 17",
        "UPDATE events SET version = version + 1 WHERE position = 17",
        "DELETE FROM events WHERE position = 17",
        "DELETE FROM events WHERE position >= 17",
    ],
)
def test_names_the_first_changed_position(store, statement):
    """The error names the first position that is not what was appended, what was expected and what was found."""
    populate(store.log, Random(2), [], rounds=60)
    raw(store, statement, "UPDATE events SET data = x'00' WHERE position = 30")
    with pytest.raises(ChainBroken) as broken:
        Audit(store).verify()
    assert broken.value.position == 17
    assert broken.value.expected
    assert broken.value.found
    assert "position 17" in str(broken.value)


def test_what_stands_before_an_unreadable_row_comes_first(store):
    """A row that cannot be read hides no earlier one that is wrong, on the same page or not."""
    populate(store.log, Random(2), [], rounds=60)
    raw(store, "UPDATE events SET actor = CAST(x'ff' AS TEXT) WHERE position = 20")
    raw(store, "UPDATE events SET data = x'00' WHERE position = 18")
    with pytest.raises(ChainBroken) as broken:
        Audit(store).verify()
    assert broken.value.position == 18


def test_a_payload_that_is_gone(store):
    """A payload that is NULL without `task.erased` behind it is named, also where a later row is broken too."""
    populate(store.log, Random(3), [], rounds=60)
    store.close()
    with_payload = "SELECT min(position) FROM events WHERE payload IS NOT NULL AND position > 5"
    gone = sqlite3.connect(store._database.path).execute(with_payload).fetchone()[0]
    for later in ("SELECT 1", "UPDATE events SET hash = zeroblob(32) WHERE position = 40"):
        raw(store, f"UPDATE events SET payload = NULL, salt = NULL WHERE position = {gone}", later)
        again = open_store(f"sqlite:///{store._database.path}")
        with pytest.raises(ChainBroken, match=r"task\.erased later") as broken:
            Audit(again).verify()
        assert broken.value.position == gone
        again.close()


def test_an_erased_task_verifies(store):
    """Erasure keeps the chain; a payload put back, or only half erased, breaks it."""
    seed, lives = Random(4), []
    while not any(life.task.erased for life in lives):
        populate(store.log, seed, lives, rounds=20)
    Audit(store).verify()
    erased = next(life for life in lives if life.task.erased)
    first = store.log.stream(erased.stream_id, limit=1)[0].position
    raw(store, f"UPDATE events SET salt = zeroblob(16) WHERE position = {first}")
    with pytest.raises(ChainBroken) as broken:
        Audit(store).verify()
    assert broken.value.position == first


def test_a_log_that_grows_meanwhile(store):
    """Appends that come while it reads, new streams, types and definitions too, break nothing and are not counted."""
    seed, lives = Random(5), []
    populate(store.log, seed, lives, rounds=30)
    before, plan = store.log.head(), b"late"

    def grow(_at, _all):
        row = header()._replace(definition_digest=digest(plan))
        store.log.append([Append(new_id(), 0, [event((0, "order.unheard"))], row, (digest(plan), plan))])

    assert Audit(store).verify(grow).events == before
    assert Audit(store).verify().events == before + 1


def test_unknown_types_verify(store):
    """An event of a newer release verifies like any other: the chain reads bytes, not meanings."""
    plan = b"{}"
    row = header()._replace(definition_digest=digest(plan))
    store.log.append([Append(new_id(), 0, [event((77, "task.migrated"))], row, (digest(plan), plan))])
    assert Audit(store).verify().events == 1
    with pytest.raises(UnsupportedEvent):
        decode(store.log.tail(0, limit=1)[0])
