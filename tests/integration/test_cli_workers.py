"""Workers as the command and Python show them, and how they are asked to go; on a file and on PostgreSQL."""

from __future__ import annotations

import signal
from datetime import UTC, datetime

import pytest

from tasker import Tasker
from tasker.errors import InvalidRequest, NotAllowed
from tasker.log.open import open_store
from tasker.log.workers import Arrival, Vitals
from tests import postgres
from tests.integration.cli_kit import wait_for
from tests.integration.test_cli_tasks import prepared


@pytest.fixture(params=["sqlite", "postgres"])
def shell(request, tmp_path, monkeypatch, capsys):
    """Give a shell whose settings name a file, or a PostgreSQL database."""
    made = prepared(tmp_path, monkeypatch, capsys)
    path = tmp_path / "tasker.yaml"
    text = path.read_text() + "leases: {heartbeat: 0.2, timeout: 4.0}\n"
    if request.param == "sqlite":
        path.write_text(text)
        yield made
        return
    with postgres.database() as url:
        path.write_text(text.replace("sqlite:///shop.db", url))
        yield made


@pytest.fixture
def url(shell):
    """Give the URL of the shell's log."""
    return (shell.folder / "tasker.yaml").read_text().splitlines()[0].removeprefix("url: ")


def on_postgres(shell):
    """Tell whether leases say who lives."""
    return "postgresql" in (shell.folder / "tasker.yaml").read_text()


def started(shell, worker):
    """Wait until a worker runs; give its row."""
    worker.until(lambda: "runs on" in worker.out)
    [row] = [row for row in shell.json("workers").lines if row["pid"] == worker.child.pid]
    return row


def test_a_worker_is_listed(shell):
    """A running worker is shown with what it has, as a table and as JSON lines; later it is shown as stopped."""
    with shell.process("worker", "--concurrency", "3") as worker:
        row = started(shell, worker)
        assert (row["state"], row["slots"], row["running"], row["missing_env"]) == ("alive", 3, 0, [])
        assert "cli_shop:look" in row["handlers"]
        assert row["silent"] is False
        assert (row["lease_until"] is not None) == on_postgres(shell)
        now, beat = datetime.now(UTC), datetime.fromisoformat(row["last_heartbeat"])
        assert abs((now - beat).total_seconds()) < 60
        table = shell("workers").out.splitlines()
        assert " ".join(table[0].split()) == "WORKER STATE SLOTS RUNNING RELEASE HEARD_OF LEASE_UNTIL NOTES"
        assert table[1].split()[:4] == [row["worker_id"], "alive", "3", "0"]
        assert worker.stop() == 0
    assert shell.json("workers").one["state"] == "stopped"


def test_running_attempts_are_counted(shell):
    """`running` counts what a worker has begun and not ended."""
    with shell.process("worker") as worker:
        started(shell, worker)
        task_id = shell.submit("nap", '{"seconds": 60}')
        wait_for(lambda: shell.json("workers").one["running"] == 1)
        (shell.folder / "wake").touch()
        wait_for(lambda: shell.json("show", task_id).one["status"] == "complete")
        assert shell.json("workers").one["running"] == 0
        worker.stop()


def test_a_drained_worker_finishes_and_goes(shell):
    """A worker that is to drain ends what runs, starts nothing more, stops by itself, and exits with 0."""
    with shell.process("worker", "--concurrency", "1") as worker:
        row = started(shell, worker)
        first, second = (shell.submit("nap", '{"seconds": 60}') for _ in range(2))
        wait_for(lambda: shell.json("workers").one["running"] == 1)
        drained = shell("workers", "drain", row["worker_id"])
        assert (drained.code, drained.out.split()[:2]) == (0, [row["worker_id"], "draining:"])
        worker.until(lambda: "was asked to drain" in worker.err)
        (shell.folder / "wake").touch()
        assert worker.child.wait(60) == 0
        assert "Stopped" in worker.out
    assert sorted(shell.json("show", one).one["status"] for one in (first, second)) == ["complete", "pending"]
    assert shell.json("workers").one["state"] == "stopped"
    again = shell("workers", "drain", row["worker_id"])
    assert (again.code, again.out) == (1, "")
    assert "found it stopped" in again.err


def test_a_killed_worker_is_shown_as_dead(shell):
    """On a file the free lock proves it at once; on PostgreSQL it is silent when its lease is over, dead when found."""
    with shell.process("worker", name="first") as first:
        row = started(shell, first)
        task_id = shell.submit("nap", '{"seconds": 60}')
        wait_for(lambda: shell.json("workers").one["running"] == 1)
        first.stop(signal.SIGKILL)
    if on_postgres(shell):
        wait_for(lambda: shell.json("workers").one["silent"])
        assert "alive, silent" in shell("workers").out
        with shell.process("worker", name="second") as second:
            wait_for(lambda: shell.json("workers").lines[0]["state"] == "dead")
            wait_for(lambda: shell.json("show", task_id).one["steps"][0]["attempts"] == 2)
            second.child.kill()
            second.child.wait()
    else:
        assert shell.json("workers").one["state"] == "dead"
        assert shell.json("workers").one["running"] == 1
    refused = shell("workers", "drain", row["worker_id"])
    assert (refused.code, "found it dead" in refused.err) == (1, True)


def test_an_unknown_worker(shell):
    """An id that no worker has is refused with those that resemble it."""
    with shell.process("worker") as worker:
        row = started(shell, worker)
        done = shell("workers", "drain", row["worker_id"][:-1])
        assert (done.code, row["worker_id"] in done.err) == (1, True)
        worker.stop()


def test_options_stand_behind_the_command(shell):
    """An option before `drain` is wrong use, not silently of no effect."""
    done = shell("workers", "--json", "drain", "x")
    assert (done.code, "behind 'drain'" in done.err) == (2, True)


def test_what_a_person_should_know_of_a_worker(shell, url):
    """Variables that are missing, a clock that is off and an empty hand are noted in the table."""
    assert shell("db", "upgrade").code == 0
    store = open_store(url)
    try:
        for name, vitals in (("a", Vitals(("m:f",), ("TOKEN",), -7.25)), ("b", Vitals())):
            store.workers.register(Arrival(name, "host", 1, "9.9", 4, vitals), lease_seconds=60.0)
    finally:
        store.close()
    first, second = shell("workers").out.splitlines()[1:]
    assert first.endswith("lacks TOKEN; its clock is 7.2 s behind")
    assert second.endswith("no handlers")


class TestPython:
    """The same from Python."""

    def test_the_own_worker(self, shell, url):
        """A `Tasker` that runs sees its own worker alive, with aware datetimes; one that has stopped, stopped."""
        assert shell("db", "upgrade").code == 0
        with Tasker(url, settings={}, concurrency=5) as app:
            assert app.workers() == []
            app.start()
            [own] = app.workers()
            assert (own.state, own.slots, own.running, own.silent) == ("alive", 5, 0, False)
            assert own.started_at.tzinfo is UTC
            app.stop()
            assert [one.state for one in app.workers()] == ["stopped"]

    def test_a_log_in_memory(self):
        """The worker of a log in memory is alive as long as it runs."""
        with Tasker("memory://", settings={}) as app:
            app.start()
            [own] = app.workers()
            assert (own.state, own.lease_until) == ("alive", None)

    def test_refusals(self, shell, url):
        """What is no id, an unknown id and a worker that has gone are refused, each by its own error."""
        assert shell("db", "upgrade").code == 0
        with Tasker(url, settings={}) as app:
            app.start()
            [own] = app.workers()
            for wrong in ("nobody", 7):
                with pytest.raises(InvalidRequest) as told:
                    app.drain(wrong)
                assert list(told.value.problems) == ["$.worker_id"]
            with pytest.raises(InvalidRequest, match=r"actor"):
                app.drain(own.worker_id, actor=7)
            assert app.drain(own.worker_id, actor="me", reason="maintenance").state == "draining"
            assert app.drain(own.worker_id).state == "draining"
            app.stop()
            with pytest.raises(NotAllowed, match="found it stopped"):
                app.drain(own.worker_id)


def test_the_database_commands_on_postgres(tmp_path, monkeypatch, capsys, bare_url):
    """`db check` fails before `db upgrade` and succeeds after; both name revision and last position."""
    shell = prepared(tmp_path, monkeypatch, capsys)
    assert shell("db", "check", "--url", bare_url).code == 1
    made = shell("db", "upgrade", "--url", bare_url)
    assert (made.code, "is ready (revision " in made.out, made.err) == (0, True, "")
    checked = shell.json("db", "check", "--url", bare_url).one
    assert (checked["ok"], checked["head"]) == (True, 0)


def test_a_direct_url_must_lead_to_the_same_log(tmp_path, monkeypatch, capsys, postgres_url):
    """`db check` refuses a `direct_url` of another log, with the line of the setting."""
    shell = prepared(tmp_path, monkeypatch, capsys)
    path = shell.folder / "tasker.yaml"
    path.write_text(f"url: {postgres_url}\ndirect_url: {postgres_url}\n")
    assert shell("db", "check").code == 0
    with postgres.database() as other:
        path.write_text(f"url: {postgres_url}\ndirect_url: {other}\n")
        done = shell("db", "check")
    assert done.code == 1
    assert "tasker.yaml:2" in done.err
    assert "expected the log of url" in done.err


def test_the_doctor_on_postgres(tmp_path, monkeypatch, capsys, postgres_url):
    """`doctor` shows kind, server, revision, position and living workers of a PostgreSQL log."""
    shell = prepared(tmp_path, monkeypatch, capsys)
    shell.submit("shop", "{}", "--url", postgres_url)
    with shell.process("worker", "--url", postgres_url) as worker:
        worker.until(lambda: "runs on" in worker.out)
        found = shell.json("doctor", "--url", postgres_url).one["database"]
        worker.stop()
    assert (found["kind"], found["state"], found["workers alive"]) == ("PostgreSQL", "ready", 1)
    assert found["head position"] >= 1
    assert found["server"].split(".")[0].isdecimal()
    assert shell.json("doctor", "--url", postgres_url).one["database"]["workers alive"] == 0
