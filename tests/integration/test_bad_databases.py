"""Databases that cannot be used: the command and Python say it in one paragraph, and leave everything as it was."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tasker import Tasker
from tasker.errors import LogUnavailable, TaskerError
from tasker.log import postgres_schema
from tasker.log.migrations import REVISIONS
from tasker.log.migrations.r0001_postgres import POSTGRES as FIRST
from tests import postgres
from tests.integration.cli_kit import Done, own_environment, wait_for
from tests.integration.test_cli_tasks import prepared

SECRET = "s3cr3t:/@word"
QUOTED = "s3cr3t%3A%2F%40word"
EVERY = ("db check", "db upgrade", "tasks", "events", "workers", "subscriptions list", "submit shop", "worker")
WRONG_URLS = (
    "postgresql+psycopg://", f"postgresql://me:{QUOTED}@host", f"postgres://me:{QUOTED}@host:no/db",
    f"postgresql://me:{QUOTED}@host/db?nonsense=1", f"postgresql+asyncpg://me:{QUOTED}@host/db",
    f"mysql://me:{QUOTED}@host/db", f"postgresql://me:{SECRET}@host/db",
)  # fmt: skip


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Give a shell in a folder with settings and definitions."""
    return prepared(tmp_path, monkeypatch, capsys)


def execute(url, *statements):
    """Run statements on a connection of their own; give the rows of the last one."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            found = connection.execute(statement)
        return found.fetchall() if found.description else []


def changed(url, *, login=None, database=None, port=None):
    """Give a URL with another user, database or port."""
    parts = urlsplit(url)
    place = f"{login or parts.username}@{parts.hostname}:{port or parts.port}"
    return urlunsplit(parts._replace(netloc=place, path=f"/{database}" if database else parts.path))


def check_refused(done, *words):
    """Assert that a call of the command ended with 1 and one paragraph that has some words and no secret."""
    assert (done.code, done.out) == (1, ""), done
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1, done.err
    for absent in ("Traceback", "s3cr3t", "psycopg.errors", "sqlalche"):
        assert absent not in done.err
    for word in words:
        assert word in done.err, done.err


def call(shell, line, url=None):
    """Call the command; a worker in a process of its own, for one that is not refused would run for ever."""
    arguments = [*line.split(), *(["--url", url] if url else [])]
    if arguments[0] != "worker":
        return shell(*arguments)
    with shell.process(*arguments) as worker:
        return Done(worker.child.wait(30), worker.out, worker.err)


def tables(url):
    """Give everything that stands in a database: its tables, functions, indexes and triggers, by name."""
    return execute(
        url,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
        "UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    )


@contextmanager
def role(url, *rights):
    """Hold a role with some rights; gives the URL with its name."""
    execute(url, "DROP ROLE IF EXISTS limited", "CREATE ROLE limited LOGIN", *rights)
    yield changed(url, login="limited")
    execute(url, "DROP OWNED BY limited", "DROP ROLE limited")


@pytest.mark.parametrize("url", WRONG_URLS)
def test_a_wrong_url(shell, url):
    """A URL that cannot be read is refused by every command with the form that is expected, without its password."""
    for line in EVERY:
        check_refused(call(shell, line, url), "postgresql+psycopg://user:password@host")
    shown = shell("doctor", "--url", url)
    assert shown.code == 1
    assert "s3cr3t" not in shown.out + shown.err
    assert "unusable" in shown.out


def test_a_wrong_url_in_the_settings(shell):
    """The same holds for a URL that comes from the settings."""
    (shell.folder / "tasker.yaml").write_text(f"url: postgresql://me:{QUOTED}@host\n")
    for line in EVERY:
        check_refused(call(shell, line), "names no database")


@pytest.mark.parametrize("line", EVERY)
def test_a_server_that_is_not_there(shell, line):
    """A host that refuses is named with its port and what to check."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        url = f"postgresql+psycopg://me:{QUOTED}@127.0.0.1:{port}/db"
        check_refused(call(shell, line, url), f"127.0.0.1:{port}/db", "Check that it runs")


@pytest.mark.parametrize("line", EVERY)
def test_a_missing_database(shell, postgres_url, line):
    """A database that does not exist is named with what makes it."""
    url = changed(postgres_url, database="tasker_nowhere")
    check_refused(call(shell, line, url), "no such database", "createdb", "tasker db upgrade")


def test_a_wrong_password(shell, postgres_url):
    """A wrong password is told as such by every command; it is shown nowhere, not with --debug and not by doctor."""
    if os.environ.get("TASKER_TEST_PG"):
        pytest.skip("which user needs a password is the business of that server")
    execute(postgres_url, f"DROP ROLE IF EXISTS {postgres.LOCKED}", f"CREATE ROLE {postgres.LOCKED} LOGIN PASSWORD 'x'")
    url = changed(postgres_url, login=f"{postgres.LOCKED}:{QUOTED}")
    for line in EVERY:
        check_refused(call(shell, line, url), "wrong user or password", "Check the URL")
    for line in ("doctor", "doctor --json", "tasks --debug", "worker --debug"):
        done = call(shell, line, url)
        assert done.code == 1
        assert "s3cr3t" not in done.out + done.err
    execute(postgres_url, f"DROP ROLE {postgres.LOCKED}")


@pytest.mark.parametrize("line", EVERY)
def test_a_missing_extra(shell, line):
    """Without psycopg the line that installs it is named, and no traceback shown."""
    program = "import sys; sys.modules['psycopg'] = None; from tasker.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *line.split(), "--url", f"postgresql://me:{QUOTED}@127.0.0.1:9/db"],
        cwd=shell.folder, env=own_environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'tasker-engine[postgres]'" in done.stderr
    assert "s3cr3t" not in done.stderr


@pytest.mark.parametrize("line", [line for line in EVERY if line != "db upgrade"])
def test_an_empty_database(shell, bare_url, line):
    """A database without a log is left empty; the text names the command that makes one, and doctor does too."""
    check_refused(call(shell, line, bare_url), "no log is here yet", "tasker db upgrade")
    assert tables(bare_url) == []
    assert "not made yet" in shell("doctor", "--url", bare_url).out


class TestOld:
    """A log of the first revision."""

    @pytest.fixture
    def old_url(self, bare_url):
        """Make a log as the first release left it."""
        execute(
            bare_url, *FIRST,
            "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY)",
            "INSERT INTO alembic_version VALUES ('0001')",
            "INSERT INTO log_head VALUES (decode(repeat('07', 16), 'hex'), 1, 0, decode(repeat('01', 32), 'hex'))",
        )  # fmt: skip
        return bare_url

    @pytest.mark.parametrize("line", [line for line in EVERY if line != "db upgrade"])
    def test_it_is_refused(self, shell, old_url, line):
        """It is refused with both revisions and the command that upgrades it, and nothing in it changes."""
        before = tables(old_url)
        check_refused(call(shell, line, old_url), "revision 0001", f"expected {REVISIONS[-1]}", "tasker db upgrade")
        assert tables(old_url) == before

    def test_it_is_upgraded(self, shell, old_url):
        """The upgrade brings it to the revision of this release, says so, keeps its id, and can be repeated."""
        for _ in range(2):
            assert shell.json("db", "upgrade", "--url", old_url).one["revision"] == REVISIONS[-1]
        assert execute(old_url, "SELECT version_num, log_id FROM alembic_version, log_head") == [
            (REVISIONS[-1], b"\7" * 16)
        ]
        assert shell.json("submit", "shop", "--wait", "--timeout", "120", "--url", old_url).one["status"] == "complete"

    def test_a_failing_upgrade_changes_nothing(self, shell, old_url):
        """An upgrade that finds a table of something else in its way is rolled back as a whole, and says what to do."""
        execute(old_url, "CREATE TABLE workers (mine integer)")
        before = tables(old_url)
        check_refused(shell("db", "upgrade", "--url", old_url), "as it was", "already exists", "of its own")
        assert tables(old_url) == before
        assert execute(old_url, "SELECT version_num FROM alembic_version") == [("0001",)]

    def test_an_upgrade_without_the_right(self, shell, old_url):
        """A user who may not create tables is told what to grant, and the log is as it was."""
        before = tables(old_url)
        with role(old_url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO limited") as url:
            check_refused(shell("db", "upgrade", "--url", url), "as it was", "GRANT CREATE")
        assert tables(old_url) == before


@pytest.mark.parametrize("line", EVERY)
def test_a_newer_log(shell, postgres_url, line):
    """A log whose upgrade a newer release has finished is refused by every command, and names what to install."""
    execute(postgres_url, "UPDATE alembic_version SET version_num = '0999'", "UPDATE log_head SET format = 99")
    check_refused(call(shell, line, postgres_url), "newer release", "0999", "Install that release")


@pytest.mark.parametrize("line", [line for line in EVERY if line != "worker"])
def test_a_server_that_is_too_old(shell, postgres_url, line, monkeypatch):
    """A server older than Tasker works with is refused with both versions."""
    monkeypatch.setattr(postgres_schema, "OLDEST", 99)
    check_refused(call(shell, line, postgres_url), "expected 99 or newer", "Upgrade it")


@pytest.mark.parametrize("line", EVERY)
def test_a_server_that_acknowledges_too_early(shell, postgres_url, line):
    """With synchronous_commit=off nothing starts, for what is acknowledged could be lost."""
    execute(postgres_url, f"ALTER DATABASE {urlsplit(postgres_url).path[1:]} SET synchronous_commit = off")
    check_refused(call(shell, line, postgres_url), "synchronous_commit is off", "expected on", "Set it")


def test_a_user_who_may_only_read(shell, postgres_url):
    """Who may only read can look at a task, events and workers; what writes says which right is lacking."""
    task_id = shell.submit("shop", "{}", "--url", postgres_url)
    rights = "GRANT USAGE ON SCHEMA public TO limited", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO limited"
    with role(postgres_url, *rights) as url:
        assert shell.json("db", "check", "--url", url).one["head"] == 1
        assert shell.json("show", task_id, "--url", url).one["id"] == task_id
        assert len(shell.json("events", "--url", url).lines) == 1
        assert shell.json("workers", "--url", url).lines == []
        for line in ("submit shop", f"cancel {task_id}", "tasks", "worker"):
            check_refused(call(shell, line, url), "lacks a right", "Grant it")
        assert len(shell.json("events", "--url", url).lines) == 1


@pytest.mark.parametrize("table", ["events", "streams", "live_work", "workers"])
def test_a_table_that_was_dropped(shell, postgres_url, table):
    """Whatever needs a table that is gone names it and what to do; the doctor reports it beside everything else."""
    shell.submit("shop", "{}", "--url", postgres_url)
    execute(postgres_url, f"DROP TABLE {table} CASCADE")
    used = {"events": "events", "streams": "submit shop", "live_work": "submit shop", "workers": "workers"}[table]
    check_refused(shell(*used.split(), "--url", postgres_url), table, "is missing", "restore a backup")
    if table != "streams":  # that one is missed by the first task that runs
        check_refused(call(shell, "worker", postgres_url), table, "is missing")


def test_a_table_that_is_dropped_under_a_worker(shell, postgres_url):
    """A running worker says what is missing and neither breaks nor shows a traceback; it still stops when told."""
    with shell.process("worker", "--url", postgres_url) as worker:
        worker.until(lambda: "runs on" in worker.out)
        shell.json("submit", "shop", "--wait", "--timeout", "120", "--url", postgres_url)
        execute(postgres_url, "DROP TABLE events CASCADE")
        check_refused(shell("submit", "shop", "--url", postgres_url), "events", "is missing")
        wait_for(lambda: "is missing" in worker.err or worker.child.poll() is not None)
        worker.stop(seconds=60)
        assert "Traceback" not in worker.err
        assert "is missing" in worker.err


@pytest.mark.parametrize("what", ["missing database", "wrong password", "too lax", "empty"])
def test_python_raises_what_the_command_says(postgres_url, what):
    """From Python the same texts come as `LogUnavailable`, from the first call that needs the log."""
    if what == "wrong password" and os.environ.get("TASKER_TEST_PG"):
        pytest.skip("which user needs a password is the business of that server")
    urls = {
        "missing database": changed(postgres_url, database="tasker_nowhere"),
        "wrong password": changed(postgres_url, login=f"{postgres.LOCKED}:{QUOTED}"),
    }
    url = urls.get(what, postgres_url)
    if what == "too lax":
        execute(url, f"ALTER DATABASE {urlsplit(url).path[1:]} SET synchronous_commit = off")
    if what == "empty":
        execute(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    for use in (lambda app: app.submit(name="shop"), lambda app: app.workers(), lambda app: app.start()):
        with Tasker(url, settings={}) as app:
            app.register(_shop())
            with pytest.raises(LogUnavailable) as told:
                use(app)
        assert "s3cr3t" not in str(told.value)
        assert not told.value.outcome_unknown


def test_python_refuses_a_wrong_url_at_once():
    """A URL that cannot be read is refused when the `Tasker` is made."""
    with pytest.raises(TaskerError, match="names no database") as told:
        Tasker(f"postgresql://me:{QUOTED}@host", settings={})
    assert "s3cr3t" not in str(told.value)


def _shop():
    from tests.integration.runner_kit import plan, step

    return plan(step(), name="shop")
