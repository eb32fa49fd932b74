"""Opening SQLite files: what is made, what is refused, and that nothing is left half-made."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import StaticPool, create_engine, inspect

from tasker.errors import LogUnavailable, TaskerError
from tasker.log import revision, sqlite_schema
from tasker.log.migrations import upgrade as migrations_upgrade
from tasker.log.open import open_store, upgrade_store
from tasker.log.port import Appended
from tasker.log.tables import metadata
from tests.contracts.kit import new_id, start
from tests.unit.log.indexes import indexes


@pytest.fixture
def path(tmp_path):
    """Give the path of a log that does not exist yet."""
    return tmp_path / "log.db"


@pytest.fixture
def log(path):
    """Make a log with one event; give its path."""
    store = open_store(f"sqlite:///{path}")
    store.log.append([start(new_id())])
    store.close()
    return path


def _refusal(path):
    """Open a file; give the text of the refusal and check that the file was left as it is."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(LogUnavailable) as caught, closing(open_store(f"sqlite:///{path}")) as store:
        store.log.head()
    assert (path.read_bytes() if path.is_file() else None) == before
    return str(caught.value)


def _change(path, *statements):
    """Change a file behind the back of the log."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_construction_opens_nothing(path):
    """A store makes its file with its first use, not before."""
    with closing(open_store(f"sqlite:///{path}")) as store:
        assert not path.exists()
        assert store.log.head() == 0
    assert path.exists()


def test_settings(path):
    """Both kinds of connection use WAL; the writer syncs every commit; readers cannot write."""
    with closing(open_store(f"sqlite:///{path}")) as store:
        store.open()
        writer = store._database.writer()
        found = [writer.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
        assert found == ["wal", 2]
        assert writer.execute("PRAGMA recursive_triggers").fetchone() == (1,)
        with pytest.raises(LogUnavailable, match="read-only"), store._database.reading() as reader:
            reader.execute("DELETE FROM live_work")
        with store._database.reading() as reader:
            assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_another_database(path):
    """A database of something else is refused and left as it is."""
    _change(path, "CREATE TABLE customers (name)")
    assert "no log of Tasker" in _refusal(path)


def test_no_database(path):
    """A file that is no database is refused and left as it is."""
    path.write_text("dear diary, " * 100)
    assert "no SQLite database" in _refusal(path)


def test_places(tmp_path):
    """A missing folder, a folder in place of the file, and a place where nothing can be made are named."""
    assert "does not exist" in _refusal(tmp_path / "no" / "log.db")
    assert "this is a folder" in _refusal(tmp_path)
    with pytest.raises(LogUnavailable, match="cannot be opened or made"):
        open_store("sqlite:////proc/tasker.db").log.head()


def test_newer_format(log):
    """A log whose format this release does not know is refused."""
    _change(log, "UPDATE log_head SET format = 2")
    assert "newer release" in _refusal(log)


def test_newer_revision(log):
    """A newer release may prepare a log while this one goes on; a revision that is none is refused, and named."""
    _change(log, "UPDATE alembic_version SET version_num = '0999'")
    with closing(open_store(f"sqlite:///{log}")) as store:
        assert store.log.head() == 1
    _change(log, "UPDATE alembic_version SET version_num = 'mine'")
    text = _refusal(log)
    assert "mine" in text
    assert "0003" in text


def test_an_upgrade_is_finished(log):
    """What a log's format allows to be written grows when its upgrade is finished, never before."""
    _change(log, "DROP TRIGGER log_head_update", "UPDATE log_head SET format = 0")
    for finish, form in ((False, 0), (True, 1)):
        upgrade_store(f"sqlite:///{log}", finish=finish)
        with closing(sqlite3.connect(log)) as connection:
            assert connection.execute("SELECT format FROM log_head").fetchone() == (form,)


def test_headless(log):
    """A log that lost its head is refused."""
    _change(log, "DROP TRIGGER log_head_delete", "DELETE FROM log_head")
    assert "lost its head" in _refusal(log)


def test_check_only(path, log, monkeypatch):
    """Looking only makes nothing and upgrades nothing, and takes a log as it is."""
    with closing(open_store(f"sqlite:///{log}", check_only=True)) as store:
        assert store.log.head() == 1
    with pytest.raises(LogUnavailable, match="no log"):
        open_store(f"sqlite:///{path}.other", check_only=True)
    empty = path.with_name("empty.db")
    empty.touch()
    with pytest.raises(LogUnavailable, match="empty"):
        open_store(f"sqlite:///{empty}", check_only=True)
    with closing(open_store("memory://", check_only=True)) as store:
        assert store.log.head() == 0
    monkeypatch.setattr(revision, "REVISIONS", ("0001", "0002", "0003", "0004"))
    with pytest.raises(LogUnavailable, match="tasker db upgrade"):
        open_store(f"sqlite:///{log}", check_only=True)


@pytest.fixture
def next_revision(tmp_path, monkeypatch):
    """Add a revision that this release would need; gives a function that says what it does."""
    folder = tmp_path / "versions"
    folder.mkdir()
    monkeypatch.setattr(revision, "REVISIONS", ("0001", "0002", "0003", "0004"))
    monkeypatch.setattr(migrations_upgrade, "LOCATIONS", [*migrations_upgrade.LOCATIONS, str(folder)])

    def says(statement):
        head = "from alembic import op\nrevision, down_revision = '0004', '0003'\n"
        (folder / "r0004.py").write_text(f"{head}def upgrade(): op.execute({statement!r})\n")

    return says


def test_older_revision_is_upgraded(log, next_revision):
    """A log of an older revision goes through Alembic when it is opened, once, and keeps its events."""
    next_revision("CREATE TABLE later (a INTEGER)")
    for _ in range(2):
        with closing(open_store(f"sqlite:///{log}")) as store:
            assert store.log.append([start(new_id())]) == [Appended(store.log.head(), store.log.head())]
    with closing(sqlite3.connect(log)) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [("0004",)]
        assert raw.execute("SELECT count(*) FROM later").fetchall() == [(0,)]


def test_failing_upgrade(log, next_revision):
    """An upgrade that fails leaves the log as it was."""
    next_revision("CREATE NONSENSE")
    assert "NONSENSE" in _refusal(log)


def test_alembic_makes_the_same(log, tmp_path):
    """The migrations, run by Alembic, give the schema that a new log is made with."""
    raw = sqlite3.connect(tmp_path / "other.db", isolation_level=None)
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        migrations_upgrade.upgrade(connection)
        connection.commit()
    query = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%' ORDER BY name"
    with closing(sqlite3.connect(log)) as made:
        assert raw.execute(query).fetchall() == made.execute(query).fetchall()
        version = "SELECT * FROM alembic_version"
        assert raw.execute(version).fetchall() == made.execute(version).fetchall()
    engine.dispose()


def test_tables_match_the_migrations(log):
    """The tables for queries have the columns, null rules and keys of the migrations."""
    engine = create_engine(f"sqlite:///{log}")
    found = inspect(engine)
    assert set(found.get_table_names()) == {*metadata.tables, "alembic_version"}
    for name, table in metadata.tables.items():
        columns = [
            (column["name"], column["nullable"] and not column["primary_key"]) for column in found.get_columns(name)
        ]
        assert columns == [(column.name, column.nullable) for column in table.columns], name
        key = found.get_pk_constraint(name)["constrained_columns"]
        assert key == [column.name for column in table.primary_key.columns], name
    assert indexes(found, "sqlite_where") == indexes(metadata.tables["live_work"])
    engine.dispose()


def test_opening_is_light(log):
    """Opening an up-to-date log and appending imports neither SQLAlchemy nor Alembic."""
    program = (
        "import sys; from tasker.log.open import open_store; s = open_store(sys.argv[1]); s.log.tail(0, limit=1);"
        "s.log.append([]); print([m for m in ('alembic', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, f"sqlite:///{log}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_many_open_a_new_file_at_once(path):
    """Stores that open one new file at the same time make one log."""
    stores = [open_store(f"sqlite:///{path}") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda store: store.log.log_id, stores))
    for store in stores:
        store.close()
    assert len(ids) == 1


def test_full_disk(path):
    """A full disk refuses the append with a clean outcome, leaves nothing of it, and the log works again afterwards."""
    with closing(open_store(f"sqlite:///{path}")) as store:
        store.log.append([start(new_id())])
        writer = store._database.writer()
        (pages,) = writer.execute("PRAGMA page_count").fetchone()
        writer.execute(f"PRAGMA max_page_count={pages + 2}")
        big = start(new_id())
        big = big._replace(events=[event._replace(payload=bytes(100_000)) for event in big.events])
        with pytest.raises(LogUnavailable, match="disk is full") as caught:
            store.log.append([big])
        assert not caught.value.outcome_unknown
        assert (store.log.head(), store.log.stream(big.stream_id), store.log.header(big.stream_id)) == (1, [], None)
        writer.execute("PRAGMA max_page_count=1000000")
        assert store.log.append([big]) == [Appended(2, 2)]


def test_creation_is_one_transaction(path, monkeypatch):
    """A creation that fails halfway leaves an empty database, which the next opening makes a log of."""
    statements = [*sqlite_schema.statements()][:5]
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_schema, "statements", lambda: iter([*statements, "CREATE NONSENSE"]))
        with pytest.raises(LogUnavailable, match="NONSENSE"):
            open_store(f"sqlite:///{path}").log.head()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    with closing(open_store(f"sqlite:///{path}")) as store:
        assert store.log.head() == 0


def test_locked(log, monkeypatch):
    """A file that another process keeps locked is reported, with a clean outcome."""
    monkeypatch.setattr("tasker.log.sqlite_connect.BUSY_SECONDS", 0.05)
    with closing(open_store(f"sqlite:///{log}")) as store, closing(sqlite3.connect(log, isolation_level=None)) as other:
        assert store.log.head() == 1
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailable, match="locked") as caught:
            store.log.append([start(new_id())])
        assert not caught.value.outcome_unknown
        with pytest.raises(LogUnavailable, match="nothing of it"), store.transaction():
            pytest.fail("the transaction began although another process holds the lock")
        other.execute("ROLLBACK")
        assert store.log.append([start(new_id())]) == [Appended(2, 2)]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("tasker.db", "expected scheme"),
        ("mysql://db/log", "no adapter takes it"),
        ("sqlite:///", "no adapter takes it"),
        ("sqlite://tasker.db", "no adapter takes it"),
        ("sqlite:///a.db?mode=ro", "no adapter takes it"),
        ("memory://x", "no adapter takes it"),
    ],
)
def test_wrong_urls(url, text):
    """A URL that no adapter takes is refused with what works, and without its password."""
    with pytest.raises(TaskerError, match=text) as caught:
        open_store(url)
    assert "sqlite:///tasker.db" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["memory://", "sqlite://", "sqlite:///:memory:"])
def test_memory_urls(url):
    """Each way to say memory gives a log of its own."""
    with closing(open_store(url)) as one, closing(open_store(url)) as two:
        one.log.append([start(new_id())])
        assert (one.log.head(), two.log.head()) == (1, 0)


def test_relative_path(tmp_path, monkeypatch):
    """A relative path is taken from the folder in which the store was made."""
    monkeypatch.chdir(tmp_path)
    with closing(open_store("sqlite:///here.db")) as store:
        monkeypatch.chdir("/")
        assert store.log.head() == 0
    assert (tmp_path / "here.db").exists()
