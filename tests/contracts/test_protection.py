"""Contract of the stored bytes: the chain finds every change, triggers stop accidents, erasure is the one exception."""

from __future__ import annotations

import pytest

from tests.contracts.kit import broken, event, more, new_id, start, started

COLUMNS = (
    "stream_id, version, event_id, type, schema_version, time, step, attempt, due, actor, causation_id, metadata, "
    "payload_hash, hash, salt, data, payload"
)


def _history(log):
    """Append a small history with payloads; give its stream."""
    stream_id = started(log, event(payload=b"one"), event(payload=b""), event((0, "order.paid"), due=5))
    log.append([start(new_id(), identity=b"i" * 32)._replace(definition=(b"d" * 32, b"plan"))])
    return stream_id


class TestChain:
    """The hash chain over stored bytes."""

    def test_verifies(self, store):
        """The hash of every event follows from the stored columns alone."""
        _history(store.log)
        assert broken(store.log) == []

    @pytest.mark.parametrize(
        "change",
        [
            "version = version + 9", "event_id = x'00'", "type = 11", "schema_version = 2", "time = time + 1",
            "step = NULL", "step = 1", "attempt = NULL", "due = 0", "due = NULL", "actor = NULL",
            "actor = ''", "causation_id = x''",
            "metadata = x''", "data = x'7b7d'", "payload_hash = zeroblob(32)", "payload = x'00'", "salt = zeroblob(16)",
            "hash = zeroblob(32)",
        ],
    )  # fmt: skip
    def test_finds_changes(self, place, store, change):
        """A changed column of an event is found at its position; NULL differs from zero and from nothing."""
        stream_id = started(store.log, event(payload=b"one", step=0, due=7), event((11, "step.completed")))
        assert broken(store.log) == []
        place.raw("DROP TRIGGER events_update")
        place.raw(f"UPDATE events SET {change} WHERE position = 1")
        assert len(store.log.stream(stream_id)) == 2
        assert broken(store.log)[0] == 1

    @pytest.mark.parametrize(
        ("table", "column", "changed", "kept"),
        [("streams", "task_name", "other", "order"), ("event_types", "name", "task.made", "task.created")],
    )
    def test_finds_changed_names(self, place, store, table, column, changed, kept):
        """A changed stream row or name of a type is found by a reader that forgot what it remembered."""
        started(store.log)
        assert broken(store.log) == []
        place.raw(f"DROP TRIGGER {table}_update")
        for value, wrong in ((changed, [1]), (kept, [])):
            place.raw(f"UPDATE {table} SET {column} = '{value}'")
            store.archive.forget()
            assert broken(store.log) == wrong


def refused(place, store, statement):
    """Check that the database refuses a statement and has changed nothing."""
    _history(store.log)
    before = store.log.tail(0, limit=50)
    with pytest.raises(place.adapter.refusal):
        place.raw(statement)
    assert store.log.tail(0, limit=50) == before


class TestTriggers:
    """What the database itself refuses, whoever asks."""

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE events SET data = x'00'",
            "UPDATE events SET payload = NULL",
            "UPDATE events SET salt = NULL",
            "UPDATE events SET payload = NULL, salt = NULL, actor = 'me'",
            "UPDATE events SET payload = x'00', salt = x'00'",
            "DELETE FROM events",
            "UPDATE streams SET namespace = 'x'",
            "DELETE FROM streams",
            "UPDATE definitions SET bytes = x'00'",
            "DELETE FROM definitions",
            "UPDATE event_types SET name = 'x'",
            "DELETE FROM event_types",
            "UPDATE log_head SET position = 0",
            "UPDATE log_head SET log_id = x'00'",
            "UPDATE log_head SET format = 0",
            "DELETE FROM log_head",
        ],
    )
    def test_refused(self, place, store, statement):
        """Events, streams, definitions, types and the head refuse every change."""
        refused(place, store, statement)

    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT OR REPLACE INTO events SELECT * FROM events WHERE position = 1",
            "INSERT OR IGNORE INTO events SELECT * FROM events WHERE position = 1",
            f"INSERT OR REPLACE INTO events SELECT 99, {COLUMNS} FROM events WHERE position = 1",
            "INSERT OR REPLACE INTO streams SELECT * FROM streams",
            "INSERT OR REPLACE INTO streams SELECT x'01', 'n', 't', '1', x'', NULL, identity FROM streams",
            "INSERT OR REPLACE INTO definitions SELECT digest, x'00' FROM definitions",
            "INSERT OR REPLACE INTO event_types SELECT code, 'x' FROM event_types",
            "INSERT OR REPLACE INTO event_types SELECT code + 5000, name FROM event_types",
            "INSERT OR REPLACE INTO log_head SELECT * FROM log_head",
        ],
    )
    def test_no_silent_replacing(self, loose, statement):
        """Nor do they let SQLite replace a row, which deletes another one silently."""
        refused(loose, loose.open(), statement)


class TestErasure:
    """The one UPDATE that is allowed."""

    def test_erases(self, place, store):
        """Erasing removes payload and salt of the earlier events of that stream alone; the chain stays whole."""
        stream_id = _history(store.log)
        other = started(store.log, event(payload=b"kept"))
        last = event((8, "task.erased"), b"why")
        store.log.append([more(stream_id, 3)._replace(events=(last,), erase=True)])
        got = store.log.stream(stream_id)
        assert [(stored.payload, stored.salt) for stored in got[:3]] == [(None, None)] * 3
        assert [stored.payload_hash is None for stored in got] == [False, False, True, False]
        assert (got[3].payload, store.log.stream(other)[0].payload) == (b"why", b"kept")
        assert broken(store.log) == []
        place.raw("UPDATE events SET payload = NULL, salt = NULL WHERE position = 5")
        assert broken(store.log) == []

    def test_erases_within_a_group(self, store):
        """Events of an earlier append of the same group are erased too."""
        stream_id = new_id()
        store.log.append([
            start(stream_id, event(payload=b"secret")),
            more(stream_id, 1)._replace(erase=True),
        ])  # fmt: skip
        assert store.log.stream(stream_id)[0].payload is None
        assert broken(store.log) == []

    def test_leaves_no_bytes(self, loose, tmp_path):
        """Erased bytes are overwritten in the file, not only unlinked."""
        store = loose.open()
        secret = b"a very personal secret" * 500
        stream_id = started(store.log, event(payload=secret))
        store.log.append([more(stream_id, 1)._replace(erase=True)])
        store.close()
        assert all(b"very personal" not in file.read_bytes() for file in tmp_path.iterdir())
