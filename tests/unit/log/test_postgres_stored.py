"""What stands in a PostgreSQL log: packed values, guarded tables, indexes that serve, marked flaws."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasker.errors import TaskerError
from tasker.log import postgres_columns, postgres_pack
from tasker.log.open import open_store
from tests.contracts.kit import event, header, more, new_id, start, started
from tests.unit.log.test_postgres_open import execute

INTEGERS = st.integers(-(2**31), 2**31 - 1)
BIGINTS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.fixture
def connection(postgres_url):
    """Give a connection that can send packed arrays."""
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as found:
        postgres_pack.register(found)
        yield found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_packed_arrays_arrive(connection, data):
    """Arrays of any values, with and without NULL, arrive as they were given."""
    kinds = (
        (postgres_pack.byteas, st.binary()),
        (postgres_pack.texts, TEXTS),
        (postgres_pack.integers, INTEGERS),
        (postgres_pack.bigints, BIGINTS),
    )
    for pack, values in kinds:
        column = data.draw(st.lists(st.none() | values))
        assert connection.execute("SELECT %s", (pack(column),), binary=True).fetchone()[0] == column


@pytest.fixture
def history(postgres_url):
    """Give the URL of a log with two streams."""
    with closing(open_store(postgres_url)) as store:
        started(store.log, event(payload=b"{}"), event(payload=b"{}"))
        store.log.append([start(new_id(), identity=b"i" * 32)._replace(definition=(b"d" * 32, b"plan"))])
        yield postgres_url


@pytest.mark.parametrize(
    "statement",
    [
        *(f"TRUNCATE {table} CASCADE" for table in ("events", "streams", "definitions", "event_types", "log_head")),
        "INSERT INTO events SELECT * FROM events WHERE position = 1",
        "INSERT INTO events SELECT * FROM events ON CONFLICT (position) DO UPDATE SET data = '\\x00'",
        "INSERT INTO streams SELECT * FROM streams ON CONFLICT (stream_id) DO UPDATE SET namespace = 'x'",
        "INSERT INTO streams SELECT '\\x01', '', '', '', '', NULL, identity FROM streams WHERE identity IS NOT NULL",
        "INSERT INTO log_head SELECT '\\x01', format, position, token FROM log_head",
        "INSERT INTO event_types VALUES (1000, 'a'), (1001, 'a')",
        "MERGE INTO definitions USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
        "UPDATE events SET position = position + 10",
    ],
)
def test_refused(history, statement):
    """The database refuses whatever would change or empty the log, whoever asks."""
    if statement.startswith("MERGE") and int(execute(history, "SHOW server_version_num")[0][0]) < 150_000:
        statement = "DELETE FROM definitions"
    before = execute(history, "SELECT * FROM events ORDER BY position")
    with pytest.raises(psycopg.IntegrityError):
        execute(history, statement)
    assert execute(history, "SELECT * FROM events ORDER BY position") == before


@pytest.mark.parametrize(
    "change",
    [
        "event_id = '\\x00'", "version = -1", "type = -1", "schema_version = 70000", "schema_version = -1", "step = -1",
        "step = 2147483647", "attempt = -1", "salt = '\\x00'", "salt = NULL, payload_hash = '\\x00'",
        "payload_hash = NULL", "stream_id = stream_id || '\\x00'",
    ],
)  # fmt: skip
def test_flaws_are_marked(history, change):
    """A row with a value that the log never writes there is marked, for its link cannot show it."""
    execute(
        history, "ALTER TABLE events DISABLE TRIGGER events_update", f"UPDATE events SET {change} WHERE position = 2"
    )
    with closing(open_store(history)) as store:
        assert [one[12] for one in store.log.links(0, limit=5).links] == [1, -1, 1]
        store.log.heads(b"", limit=10, upto=10)


def test_a_nul_in_a_text_is_no_failure_of_the_store(postgres_url):
    """A value that no text of PostgreSQL can hold is refused as the caller's mistake, and the log works on."""
    with closing(open_store(postgres_url)) as store:
        for _ in range(5):
            started(store.log)
        with pytest.raises(TaskerError, match="NUL") as caught:
            store.log.append([start(new_id(), event(actor="a\0b"))])
        assert type(caught.value) is TaskerError
        with pytest.raises(TaskerError, match="NUL"):
            store.log.append([start(new_id())._replace(header=header(name="a\0b"))])
        started(store.log)
        assert store.log.head() == 6


def test_heads_come_from_the_index_alone(postgres_url):
    """Heads, and the end of a stream, are found by the covering index; nothing is sorted."""
    with closing(open_store(postgres_url)) as store:
        for _ in range(40):
            stream_id = started(store.log, *(event() for _ in range(50)))
        store.log.append([more(stream_id, 50)])
    execute(postgres_url, "VACUUM ANALYZE events")
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        for sql, values in (
            (postgres_columns._PAGE, (stream_id, 10**6, 20)),
            (postgres_columns._ONE, (stream_id, 10**6, 20)),
        ):
            plan = " ".join(row[0] for row in connection.execute(f"EXPLAIN {sql}", values))
            assert "Index Only Scan using events_fold" in plan
            assert "Sort" not in plan
