"""Contract of what seals need: they are stored once, never changed, and hashes are read as they are stored."""

from __future__ import annotations

import pytest

from tasker.audit import Audit, keygen
from tasker.codec.rows import StoredSeal
from tests.contracts.kit import new_id, start
from tests.contracts.test_protection import refused
from tests.unit.audit.sealed_kit import sealed

SEAL = StoredSeal(1, 2, b"r" * 32, b"p" * 32, 7, b"k" * 32, b"s" * 64)


def test_hashes(store):
    """Hashes come in the order of positions, as many as asked for, as one value."""
    store.log.append([start(new_id()) for _ in range(5)])
    stored = [one.hash for one in store.log.tail(0, limit=5)]
    assert store.archive.hashes(0, limit=9) == b"".join(stored)
    assert store.archive.hashes(1, limit=3) == b"".join(stored[1:4])
    assert store.archive.hashes(5, limit=3) == b""


def test_seals(store):
    """Seals come in the order of positions; a second one that begins at the same is not stored."""
    later = SEAL._replace(first=3, last=9)
    assert store.archive.seals() == []
    assert [store.archive.seal(one) for one in (later, SEAL, SEAL._replace(last=5))] == [True, True, False]
    assert store.archive.seals() == [SEAL, later]


@pytest.mark.parametrize("statement", ["UPDATE seals SET last = 9", "DELETE FROM seals"])
def test_seals_are_never_changed(place, store, statement):
    """The database refuses to change or to remove a seal."""
    assert store.archive.seal(SEAL)
    refused(place, store, statement)
    assert store.archive.seals() == [SEAL]


def test_sealed_proved_and_verified(shared, tmp_path):
    """A log is sealed and verified, and its tasks are proved, on every adapter alike."""
    found = sealed(tmp_path, shared.url)
    assert found.audit.verify(kept=found.kept, keys=[found.key_id]).seals == 5
    assert found.audit.prove(found.erased)
    keygen(tmp_path / "other")
    assert Audit(found.store).seal(tmp_path / "other").line == found.kept[-1]
    found.store.close()
