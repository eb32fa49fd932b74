"""Seals: what they cover, who signs them, and what one that is kept elsewhere finds."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import sys
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from tasker.audit import Audit, Seal, keygen
from tasker.audit.keys import key_id_of
from tasker.audit.merkle import inclusion, root_of
from tasker.audit.seals import read_lines
from tasker.audit.standalone.verify_proof import _root_by, leaf
from tasker.errors import ChainBroken, InvalidRequest, LogUnavailable, TaskerError
from tasker.log.open import open_store
from tasker.testing import FrozenClock
from tests.contracts.kit import new_id, start, started
from tests.unit.audit.sealed_kit import grow, sealed


@pytest.fixture
def log(tmp_path):
    """Give a sealed log."""
    found = sealed(tmp_path)
    yield found
    found.store.close()


@pytest.fixture
def memory(tmp_path):
    """Give an empty log in memory."""
    found = open_store("memory://")
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


def test_seals_cover_the_log(log):
    """Each seal begins behind the one before, the last ends at the head, and verification counts them."""
    seals = [Seal._make(one) for line in log.kept for one in read_lines(line, "kept")]
    assert [one.first for one in seals] == [1, *(one.last + 1 for one in seals[:-1])]
    assert seals[-1].last == log.store.log.head()
    assert [one.previous for one in seals[1:]] == [one.digest for one in seals[:-1]]
    assert log.audit.verify(kept=log.kept, keys=[log.key_id, f"{log.key}.pub"]).seals == 5


def test_sealing_again_adds_nothing(log):
    """Where nothing was appended since, the last seal is given again; an empty log has none."""
    assert log.audit.seal(log.key).line == log.kept[-1]
    assert len(log.store.archive.seals()) == 5


def test_an_empty_log_is_not_sealed(memory, tmp_path):
    """There is nothing to say about an empty log."""
    keygen(tmp_path / "key")
    with pytest.raises(InvalidRequest, match="empty log"):
        Audit(memory).seal(tmp_path / "key")


def test_a_seal_has_the_time_of_the_clock(memory, tmp_path):
    """The time of a seal is that of the given clock."""
    keygen(tmp_path / "key")
    grow(memory)
    seal = Audit(memory, FrozenClock(datetime(2026, 11, 21, 14, tzinfo=UTC))).seal(tmp_path / "key")
    assert json.loads(seal.line)["time"] == "2026-11-21T14:00:00.000000Z"


def test_two_at_once(log, monkeypatch):
    """Of two that seal the same positions one is told to repeat it, and the log has one seal over them."""
    grow(log.store)
    archive = log.store.archive
    real = archive.seal
    monkeypatch.setattr(archive, "seal", lambda seal: real(seal._replace(time=1)) and real(seal))
    with pytest.raises(TaskerError, match="Repeat it"):
        log.audit.seal(log.key)
    assert len(archive.seals()) == 6


def test_what_does_not_verify_is_not_sealed(log):
    """A changed log gets no seal."""
    grow(log.store)
    raw(log.store, "UPDATE events SET actor = 'mallory' WHERE position = 9")
    with pytest.raises(ChainBroken, match="position 9"):
        log.audit.seal(log.key)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 32, 33, 48, 100, 16 * 5 + 1])
def test_the_tree_is_that_of_rfc_9162(memory, count):
    """The root over pages of 16 hashes is the one of RFC 9162, and each event has a path to it."""
    memory.log.append([start(new_id()) for _ in range(count)])
    hashes = [one.hash for one in memory.log.tail(0, limit=count)]
    pages = [b"".join(hashes[place : place + 16]) for place in range(0, count, 16)]
    root = root_of(memory.archive, 1, count)
    assert root == by_the_book(pages)
    for position in range(1, count + 1):
        found, place = inclusion(memory.archive, 1, count, position), (position - 1) // 16
        assert found.page == pages[place]
        assert _root_by(leaf(found.page), place, len(pages), found.path) == root
        assert _root_by(leaf(found.page), place, len(pages), [*found.path, b""]) is None
        assert not found.path or _root_by(leaf(found.page), place, len(pages), found.path[:-1]) is None


def by_the_book(pages):
    """Give the root as RFC 9162 defines it, by recursion."""
    if len(pages) == 1:
        return sha256(b"\0" + pages[0]).digest()
    half = 1
    while half * 2 < len(pages):
        half *= 2
    return sha256(b"\1" + by_the_book(pages[:half]) + by_the_book(pages[half:])).digest()


def test_missing_hashes_make_no_root(memory):
    """A tree over events that are not there is refused."""
    started(memory.log)
    with pytest.raises(ChainBroken, match="expected 5 hashes"):
        root_of(memory.archive, 1, 5)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM seals WHERE first = 1", "range"),
        ("DELETE FROM seals WHERE first = (SELECT max(first) FROM seals)", "row in seals"),
        ("UPDATE seals SET last = last - 1 WHERE first = 1", "row in seals"),
        ("UPDATE seals SET time = 'noon' WHERE first = 1", "row in seals"),
        ("UPDATE seals SET key_id = zeroblob(32)", "row in seals"),
    ],
)
def test_changed_seals_are_found(log, statement, said):
    """Seals that were changed or removed are found by those that were kept, most of them by the log alone as well."""
    raw(log.store, statement)
    with pytest.raises(ChainBroken, match=r"row in seals|range") as broken:
        log.audit.verify(kept=log.kept)
    assert broken.value.position is None
    if said == "range" or statement.startswith("UPDATE"):
        with pytest.raises(ChainBroken):
            log.audit.verify()
    else:
        assert log.audit.verify().seals == 4


@pytest.mark.parametrize(
    "columns", ["merkle_root = zeroblob(32)", "signature = zeroblob(64)", "previous = zeroblob(32)", "time = time + 1"]
)
def test_a_forged_seal_is_found_without_kept_ones(log, columns):
    """What a seal says is signed."""
    raw(log.store, f"UPDATE seals SET {columns} WHERE first = (SELECT max(first) FROM seals)")
    with pytest.raises(ChainBroken, match="seal over the positions"):
        log.audit.verify()


def test_another_key_is_found_where_the_keys_are_named(log, tmp_path):
    """A seal by another key counts only where nobody said whose signatures count."""
    keygen(tmp_path / "other")
    grow(log.store)
    log.audit.seal(tmp_path / "other")
    assert log.audit.verify().seals == 6
    with pytest.raises(ChainBroken, match="key: expected"):
        log.audit.verify(keys=[log.key_id])
    assert log.audit.verify(keys=[log.key_id, tmp_path / "other.pub"]).seals == 6


def test_a_seal_of_another_log_is_refused(log, memory, tmp_path):
    """A kept seal belongs to its log."""
    keygen(tmp_path / "other")
    grow(memory)
    foreign = Audit(memory).seal(tmp_path / "other")
    with pytest.raises(ChainBroken, match="log_id"):
        log.audit.verify(kept=[foreign])


def test_an_edited_line_is_found(log):
    """A kept seal whose line was edited does not pass for one."""
    line = json.loads(log.kept[0])
    for change in ({"last": line["last"] + 1}, {"time": "2026-11-21T14:00:00.000000Z"}, {"previous": "11" * 32}):
        with pytest.raises(ChainBroken, match="signature"):
            log.audit.verify(kept=[json.dumps(line | change)])
    for change in ({"format": "tasker-seal/2"}, {"first": 0}, {"key_id": "zz"}, {"time": "noon"}, {"more": 1}):
        with pytest.raises(InvalidRequest, match=r"kept:1: expected a seal"):
            log.audit.verify(kept=[json.dumps(line | change)])
    for text in ("", "\n", "{", "[]"):
        with pytest.raises(InvalidRequest, match="expected"):
            read_lines(text, "kept")


class TestKeys:
    """Keys and their files."""

    def test_a_key_is_never_replaced(self, tmp_path):
        """A file that is there stays as it is, the secret one and the public one."""
        for name in ("key", "key.pub"):
            (tmp_path / name).write_text("mine")
            with pytest.raises(InvalidRequest, match="never replaced"):
                keygen(tmp_path / "key")
            assert (tmp_path / name).read_text() == "mine"
            (tmp_path / name).unlink()
        with pytest.raises(InvalidRequest, match="place for a new file"):
            keygen(tmp_path / "nowhere/key")

    def test_the_secret_half_is_for_its_user_alone(self, tmp_path):
        """The file with the secret half has the mode 0600 whatever the umask says; the id is the public half."""
        before = os.umask(0)
        try:
            key_id = keygen(tmp_path / "key")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
        assert "PRIVATE" not in (tmp_path / "key.pub").read_text()
        assert key_id_of(tmp_path / "key.pub") == key_id_of(key_id) == key_id

    def test_what_is_no_key_is_refused(self, tmp_path, memory):
        """A file that holds something else is named, and nothing of it is shown."""
        keygen(tmp_path / "key")
        (tmp_path / "other").write_text("secret words")
        started(memory.log)
        for name in ("other", "nothing", "key.pub"):
            with pytest.raises(InvalidRequest, match="expected an Ed25519 key") as refused:
                Audit(memory).seal(tmp_path / name)
            assert "secret" not in str(refused.value)
        for name in ("other", "nothing", "key"):
            with pytest.raises(InvalidRequest, match="expected an Ed25519 key"):
                key_id_of(tmp_path / name)

    def test_without_the_extra(self, log, tmp_path, monkeypatch):
        """Without the library each use names the line that installs it; a log without seals needs none."""
        monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
        monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
        for use in (log.audit.verify, lambda: keygen(tmp_path / "more"), lambda: log.audit.seal(log.key)):
            with pytest.raises(TaskerError, match=r"pip install 'tasker-engine\[audit\]'"):
                use()
        store = open_store("memory://")
        assert Audit(store).verify().seals == 0
        store.close()


def test_the_database_refuses_to_change_a_seal(log):
    """Seals are added to and never changed."""
    for statement in (
        "UPDATE seals SET time = 0",
        "DELETE FROM seals",
        "INSERT OR REPLACE INTO seals SELECT * FROM seals",
    ):
        with sqlite3.connect(log.store._database.path) as connection, pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
        connection.close()
    assert log.audit.verify(kept=log.kept).seals == 5


def test_an_unreadable_store_is_no_broken_seal(log):
    """A store that fails is said to have failed."""
    raw(log.store, "ALTER TABLE seals RENAME TO gone")
    with pytest.raises(LogUnavailable):
        log.audit.verify()
