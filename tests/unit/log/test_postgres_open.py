"""Opening a PostgreSQL log: what is refused, what the text says, and what `tasker db upgrade` does."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from sqlalchemy import create_engine, inspect

from tasker.errors import LogUnavailable, TaskerError
from tasker.log import postgres_schema, revision
from tasker.log.migrations import upgrade as migrations_upgrade
from tasker.log.open import open_store, upgrade_store
from tasker.log.port import Appended
from tasker.log.tables import metadata
from tests import postgres
from tests.contracts.kit import new_id, start, started
from tests.unit.log.indexes import indexes

SECRET = "s3cr3t:/@word"


def execute(url, *statements):
    """Run statements on a connection of their own; give the rows of the last one."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            found = connection.execute(statement)
        return found.fetchall() if found.description else []


def told(url, use=lambda store: store.log.head()):
    """Give the text with which a log is refused."""
    with pytest.raises(LogUnavailable) as caught, closing(open_store(url)) as store:
        use(store)
    assert "s3cr3t" not in str(caught.value)
    assert not caught.value.outcome_unknown
    return str(caught.value)


def changed(url, **parts):
    """Give a URL with other parts."""
    return urlunsplit(urlsplit(url)._replace(**parts))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://", "postgresql://host", "postgresql://me:s3cr3t@host", "postgres://me:s3cr3t@host:no/db",
        "postgresql://me:s3c@r3t/x@host/db?bad", "postgresql://me:s3cr3t@host/db?pooler=perhaps",
        "postgresql://me:s3c@r3t@host/db", "postgresql://me:12/s3c@host/db",
        "postgresql://me:s3cr3t@host/db?nonsense=1", "postgresql+asyncpg://me:s3cr3t@host/db",
    ],
)  # fmt: skip
def test_wrong_urls(url):
    """A URL that cannot be read is refused at once, with the expected form and without its password."""
    with pytest.raises(TaskerError, match=r"postgresql\+psycopg://user:password@host") as caught:
        open_store(url)
    assert "s3c" not in str(caught.value)


def test_opening_does_nothing(postgres_url):
    """Making a store opens nothing, starts nothing and imports no SQLAlchemy; nor does appending."""
    program = (
        "import sys, threading; from tasker.log.open import open_store; from tests.contracts.kit import started;"
        "s = open_store(sys.argv[1]); assert threading.active_count() == 1; open_store('postgresql://nowhere.invalid/x');"
        "started(s.log); s.log.tail(0, limit=1); s.close();"
        "print([m for m in ('alembic', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program, postgres_url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_missing_extra():
    """Without psycopg the text names the line that installs it."""
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from tasker.log.open import open_store\n"
        "try: open_store('postgresql+psycopg://me:s3cr3t@host/db')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("TaskerError")
    assert "pip install 'tasker-engine[postgres]'" in done.stdout
    assert "s3cr3t" not in done.stdout


def test_nobody_there():
    """A server that is not there is named with host and port."""
    text = told("postgresql://me:s3cr3t@127.0.0.1:9/db")
    assert "127.0.0.1:9/db" in text
    assert "cannot be reached" in text


def test_missing_database(postgres_url):
    """A database that does not exist is named with what makes it."""
    text = told(changed(postgres_url, path="/tasker_nowhere"))
    assert "no such database" in text
    assert "tasker db upgrade" in text


def test_wrong_password(postgres_url):
    """A wrong password is told as such, and neither it nor the right one is shown."""
    execute(postgres_url, f"DROP ROLE IF EXISTS {postgres.LOCKED}", f"CREATE ROLE {postgres.LOCKED} LOGIN PASSWORD 'x'")
    parts = urlsplit(postgres_url)
    for password in (":s3cr3t%2F%40", ""):
        login = f"{postgres.LOCKED}{password}@{parts.hostname}:{parts.port}"
        text = told(changed(postgres_url, netloc=login))
        assert "wrong user or password" in text
    assert "lacks a right" in told(changed(postgres_url, netloc=login.replace("@", ":x@")))
    execute(postgres_url, f"DROP ROLE {postgres.LOCKED}")


def test_read_only_user(postgres_url):
    """A user who may only read reads, and an append says what is lacking."""
    execute(
        postgres_url,
        "DROP ROLE IF EXISTS looking", "CREATE ROLE looking LOGIN", "GRANT USAGE ON SCHEMA public TO looking",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO looking",
    )  # fmt: skip
    parts = urlsplit(postgres_url)
    with closing(open_store(changed(postgres_url, netloc=f"looking@{parts.hostname}:{parts.port}"))) as store:
        assert store.log.head() == 0
        with pytest.raises(LogUnavailable, match="lacks a right"):
            store.log.append([start(new_id())])
    execute(postgres_url, "DROP OWNED BY looking", "DROP ROLE looking")


def test_read_only_database(postgres_url):
    """A database that takes no writes, as a replica does, says so."""
    name = urlsplit(postgres_url).path[1:]
    execute(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert "Name the primary" in told(postgres_url, lambda store: store.log.append([start(new_id())]))


def test_lax_server(postgres_url):
    """A server that acknowledges what is not durable is refused."""
    name = urlsplit(postgres_url).path[1:]
    execute(postgres_url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    assert "synchronous_commit is off" in told(postgres_url)


@pytest.mark.parametrize(
    ("server", "text"),
    [
        ((120_019, "UTF8", "on", True, True, "public"), "PostgreSQL 12, expected 13"),
        ((180_000, "LATIN1", "on", True, True, "public"), "LATIN1"),
        ((180_000, "UTF8", "on", False, False, None), "GRANT USAGE"),
    ],
)
def test_unfit_servers(server, text):
    """A server that is too old, or a database with another encoding, is refused."""
    with pytest.raises(LogUnavailable, match=text):
        postgres_schema.check_server(server, "there")


@pytest.mark.parametrize(
    "table", ["events", "streams", "event_types", "definitions", "live_work", "checkpoints", "workers", "limit_holders"]
)
def test_dropped_table(postgres_url, table):
    """A table that was dropped is missed with its name and what to do."""
    with closing(open_store(postgres_url)) as store:
        stream_id = started(store.log)
        execute(postgres_url, f"DROP TABLE {table} CASCADE")
        uses = (
            lambda: store.log.append([start(new_id())._replace(definition=(b"d" * 32, b"x"))]),
            lambda: store.log.tail(0, limit=5), lambda: list(store.archive.streams()), store.archive.event_types,
            lambda: list(store.archive.definitions()), lambda: store.work.of(stream_id),
            lambda: store.checkpoints.get("a"), store.workers.all, lambda: store.work.holders(["a"]),
        )  # fmt: skip
        texts = []
        for use in uses:
            try:
                use()
            except LogUnavailable as error:
                texts.append(str(error))
        assert texts
        assert all("is missing" in text and table in text for text in texts)


class TestSchema:
    """Which databases are logs."""

    def test_nothing_there(self, bare_url):
        """An empty database is refused, names the command, and is left empty."""
        assert "tasker db upgrade" in told(bare_url)
        assert execute(bare_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]

    def test_upgrade_makes_it(self, bare_url):
        """The upgrade makes a log with an id, once; repeating it changes nothing."""
        upgrade_store(bare_url)
        with closing(open_store(bare_url)) as store:
            before = store.log.log_id, started(store.log)
        upgrade_store(bare_url)
        with closing(open_store(bare_url, check_only=True)) as store:
            assert store.log.log_id == before[0]
            assert len(store.log.stream(before[1])) == 1

    def test_upgrades_at_once(self, bare_url):
        """Upgrades that run at the same time wait for each other."""
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(upgrade_store, [bare_url] * 4)) == [None] * 4
        assert execute(bare_url, "SELECT count(*) FROM log_head") == [(1,)]

    @pytest.mark.parametrize(
        "statement", ["CREATE TABLE alembic_version (version_num text)", "CREATE TABLE streams (a integer)"]
    )
    def test_somebody_elses_tables(self, bare_url, statement):
        """A database with tables of something else is refused and left as it is."""
        execute(bare_url, statement)
        with pytest.raises(LogUnavailable, match="of its own"):
            upgrade_store(bare_url)
        assert execute(bare_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(1,)]
        assert "log" in told(bare_url)

    def test_may_not_create(self, bare_url):
        """A user who may not make tables is told what to grant."""
        execute(bare_url, "DROP ROLE IF EXISTS poor", "CREATE ROLE poor LOGIN")
        parts = urlsplit(bare_url)
        with pytest.raises(LogUnavailable, match=r"as it was.*GRANT CREATE"):
            upgrade_store(changed(bare_url, netloc=f"poor@{parts.hostname}:{parts.port}"))
        execute(bare_url, "DROP ROLE poor")

    @pytest.mark.parametrize(
        "statement", ["UPDATE alembic_version SET version_num = 'mine'", "UPDATE log_head SET format = 99"]
    )
    def test_newer(self, postgres_url, statement):
        """A log of a newer release is refused, by the upgrade too."""
        execute(postgres_url, statement)
        assert "newer release" in told(postgres_url)
        with pytest.raises(LogUnavailable, match="newer release"):
            upgrade_store(postgres_url)

    def test_prepared(self, postgres_url):
        """A newer release may prepare a log while this one goes on; its upgrade is finished by that release alone."""
        execute(postgres_url, "UPDATE alembic_version SET version_num = '0999'")
        upgrade_store(postgres_url)
        with closing(open_store(postgres_url)) as store:
            assert store.log.append([start(new_id())]) == [Appended(1, 1)]
        assert execute(postgres_url, "SELECT version_num FROM alembic_version") == [("0999",)]

    def test_an_upgrade_is_finished(self, postgres_url):
        """What a log's format allows to be written grows when its upgrade is finished, never before."""
        execute(postgres_url, "ALTER TABLE log_head DISABLE TRIGGER ALL", "UPDATE log_head SET format = 0")
        for finish, form in ((False, 0), (True, 1)):
            upgrade_store(postgres_url, finish=finish)
            assert execute(postgres_url, "SELECT format FROM log_head") == [(form,)]

    def test_headless(self, postgres_url):
        """A log that lost its head is refused."""
        execute(postgres_url, "DROP TRIGGER log_head_delete ON log_head", "DELETE FROM log_head")
        assert "lost its head" in told(postgres_url)

    @pytest.fixture
    def next_revision(self, tmp_path, monkeypatch):
        """Add a revision that this release would need; gives a function that says what it does."""
        folder = tmp_path / "versions"
        folder.mkdir()
        monkeypatch.setattr(revision, "REVISIONS", ("0001", "0002", "0003", "0004"))
        monkeypatch.setattr(migrations_upgrade, "LOCATIONS", [*migrations_upgrade.LOCATIONS, str(folder)])

        def says(*statements):
            head = "from alembic import op\nrevision, down_revision = '0004', '0003'\n"
            body = "".join(f"    op.execute({statement!r})\n" for statement in statements)
            (folder / "r0004.py").write_text(f"{head}def upgrade():\n{body}")

        return says

    def test_older(self, postgres_url, next_revision):
        """A log of an older revision is refused, names the command, which keeps its events."""
        next_revision("CREATE TABLE later (a integer)")
        assert "tasker db upgrade" in told(postgres_url)
        upgrade_store(postgres_url)
        with closing(open_store(postgres_url)) as store:
            assert store.log.append([start(new_id())]) == [Appended(1, 1)]
        assert execute(postgres_url, "SELECT version_num FROM alembic_version") == [("0004",)]

    def test_failing_upgrade(self, postgres_url, next_revision):
        """An upgrade that fails in its middle leaves the log as it was."""
        next_revision("CREATE TABLE later (a integer)", "CREATE NONSENSE")
        with pytest.raises(LogUnavailable, match="NONSENSE"):
            upgrade_store(postgres_url)
        assert execute(postgres_url, "SELECT version_num, to_regclass('later')::text FROM alembic_version") == [
            ("0003", None)
        ]

    def test_tables_match_the_migrations(self, postgres_url):
        """The tables for queries have the columns, null rules and keys of the migrations."""
        engine = create_engine(postgres_url)
        found = inspect(engine)
        assert set(found.get_table_names()) == {*metadata.tables, "alembic_version"}
        for name, table in metadata.tables.items():
            columns = {(column["name"], column["nullable"]) for column in found.get_columns(name)} - {("token", False)}
            assert columns == {(column.name, bool(column.nullable)) for column in table.columns}, name
            key = found.get_pk_constraint(name)["constrained_columns"]
            assert key == [column.name for column in table.primary_key.columns], name
        assert indexes(found, "postgresql_where") == indexes(metadata.tables["live_work"])
        engine.dispose()
