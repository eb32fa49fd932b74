"""The commands of operators, of auditors, and those about the database."""

from __future__ import annotations

import sqlite3

import pytest

from tests.integration.test_cli_tasks import prepared


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Give a shell in a folder with settings and definitions."""
    return prepared(tmp_path, monkeypatch, capsys)


@pytest.fixture
def failed(shell):
    """Give the id of a task whose card was declined."""
    assert shell("submit", "shop", "--context", '{"card": "bad"}', "--wait").code == 1
    return shell.json("tasks").one["id"]


@pytest.fixture
def waiting(shell):
    """Give the id of a contract that waits for its signature."""
    task_id = shell.submit("contract")
    assert shell("submit", "shop", "--wait").code == 0
    assert shell.json("show", task_id).one["steps"][0]["status"] == "waiting"
    return task_id


def test_a_task_is_paused_resumed_and_cancelled(shell):
    """Each command says where the task stands, and is recorded with actor and reason."""
    task_id = shell.submit()
    assert shell.json("pause", task_id).one["paused"] is True
    assert shell.json("resume", task_id).one["paused"] is False
    done = shell("cancel", task_id, "--actor", "eve", "--reason", "not wanted")
    assert f"{task_id} cancelled" in done.out
    last = shell.json("events", "--task", task_id).lines[-1]
    assert (last["type"], last["actor"], last["body"]["reason"]) == ("task.cancelled", "eve", "not wanted")


def test_a_scope_is_paused(shell):
    """`--scope` pauses more than a task; a task and a scope together are wrong use."""
    shell.submit()
    assert shell.json("pause", "--scope", "namespace:default", "--reason", "night").one["type"] == "control.paused"
    assert shell("submit", "shop", "--wait", "--timeout", "0.3").code == 1
    assert shell.json("resume", "--scope", "namespace:default").one["type"] == "control.resumed"
    assert shell("pause", "x", "--scope", "all").code == 2
    assert shell("pause", "--scope", "planet:earth").code == 1


def test_a_task_in_error_is_retried_or_resolved(shell, failed):
    """`retry` reopens it, `resolve` closes it; what is not allowed says why, with 1."""
    assert shell.json("retry", failed).one["status"] == "in_progress"
    refused = shell("resolve", failed)
    assert (refused.code, "in_progress" in refused.err) == (1, True)
    assert shell("submit", "shop", "--wait").code == 0
    assert shell.json("resolve", failed, "--reason", "paid in cash").one["status"] == "resolved_manually"


def test_a_task_is_updated_annotated_and_erased(shell, failed):
    """Reason, tags and annotations change at any time; erasing takes the payloads, and the chain still holds."""
    assert shell.json("update", failed, "--tag", "vip", "--reason", "a better one").one["tags"] == ["vip"]
    assert shell("update", failed).code == 2
    assert shell.json("annotate", failed, "note", '{"by": "eve"}').one["id"] == failed
    assert shell("annotate", failed, "note", "[1]").code == 2
    assert shell.json("show", failed).one["annotations"][0]["value"] == {"by": "eve"}
    assert len(shell.json("tasks", "--annotation", 'note:by="eve"').lines) == 1
    assert shell("tasks", "--annotation", "note").code == 2
    assert shell("erase", failed).code == 2
    assert shell.json("erase", failed, "--reason", "asked for").one["erased"] is True
    assert shell.json("show", failed).one["context"] is None
    assert shell("audit", "verify").code == 0


def test_a_step_is_steered(shell, failed):
    """A step in error is updated, reset and resolved; its results are JSON."""
    changed = shell.json("step", "update", failed, "pay", "--inputs", '{"card": "good"}', "--retry-limit", "5").one
    assert (changed["step"]["inputs"], changed["step"]["retry_limit"]) == ({"card": "good"}, 5)
    assert shell("step", "update", failed, "pay").code == 2
    assert shell.json("step", "reset", failed, "pay").one["step"]["status"] == "pending"
    resolved = shell.json("step", "resolve", failed, "pay", "--results", '{"paid": "cash"}').one
    assert (resolved["step"]["status"], resolved["step"]["results"]) == ("resolved_manually", {"paid": "cash"})
    unknown = shell("step", "reset", failed, "pya")
    assert (unknown.code, "pay" in unknown.err) == (1, True)


def test_a_waiting_step_is_completed_or_cancelled(shell, waiting):
    """`step complete` ends the waiting with results; `step cancel` cancels what stands behind it too."""
    done = shell.json("step", "complete", waiting, "sign", "--results", '{"ok": true}', "--actor", "eve").one
    assert (done["step"]["status"], done["step"]["results"]) == ("complete", {"ok": True})
    other = shell.submit("contract")
    assert shell.json("step", "cancel", other, "sign").one["step"]["status"] == "cancelled"
    assert [step["status"] for step in shell.json("show", other).one["steps"]] == ["cancelled", "cancelled"]


def test_state_is_rebuilt_from_the_log(shell, failed):
    """`replay` folds a task, or all of them and finds the read model equal."""
    assert shell.json("replay", "--task", failed).one["status"] == "error"
    assert shell.json("replay", "--task", failed, "--at", "1").one["status"] == "pending"
    report = shell.json("replay").one
    assert (report["tasks"], not report["differences"]) == (1, True)
    assert "events/s" in shell("replay").out


def test_the_read_models_are_rebuilt(shell, failed):
    """`projections rebuild` fills them anew, with the same rows."""
    before = shell.json("tasks").lines
    assert shell("projections", "rebuild").code == 0
    assert shell.json("tasks").lines == before


def test_a_changed_byte_is_found(shell, failed):
    """`audit verify` counts what it checked; after a change behind its back it names the position, with 1."""
    assert shell.json("audit", "verify").one["events"] == len(shell.json("events").lines)
    with sqlite3.connect(shell.folder / "shop.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE events SET actor = 'mallory' WHERE position = 3")
    connection.close()
    done = shell("audit", "verify")
    assert (done.code, done.out) == (1, "")
    assert "3" in done.err


def test_subscriptions_are_listed(shell):
    """Without a subscription the list is empty, and an unknown name is refused."""
    shell.submit()
    assert shell.json("subscriptions", "list").lines == []
    done = shell("subscriptions", "pause", "nobody")
    assert (done.code, "nobody" in done.err) == (1, True)


def test_the_catalogue_is_searched(shell):
    """`catalog` lists the events of the system and finds by text."""
    names = {entry["name"] for entry in shell.json("catalog").lines}
    assert {"task.created", "step.completed", "control.paused"} <= names
    assert {entry["name"] for entry in shell.json("catalog", "step.comp").lines} == {"step.completed"}


def test_definitions_and_tasks_are_drawn(shell, failed):
    """`diagram` draws a definition by name and a task by id, the task with colours."""
    assert shell("diagram", "shop").out.splitlines()[0] == "flowchart TD"
    assert "classDef error" in shell("diagram", failed).out
    assert "classDef error" in shell.json("diagram", failed).one["mermaid"]
    done = shell("diagram", "shp")
    assert (done.code, "shop" in done.err) == (1, True)


def test_the_database_is_made_and_checked(shell):
    """`db check` changes nothing; `db upgrade` makes the log, and may be repeated."""
    assert shell("db", "check").code == 1
    assert not (shell.folder / "shop.db").exists()
    assert shell("db", "upgrade").code == 0
    assert shell.json("db", "upgrade").one["ok"] is True
    assert shell.json("db", "check").one["head"] == 0


def test_the_doctor_knows_where_each_setting_comes_from(shell, monkeypatch):
    """`doctor` shows versions, the fold, the database, settings with their source, and how to get what is missing."""
    shell.submit()
    monkeypatch.setenv("TASKER_CONCURRENCY", "3")
    monkeypatch.setenv("TASKER_KAFKA__SECURITY__PASSWORD", "hunter22")
    report = shell.json("doctor").one
    assert (report["ok"], report["database"]["state"], report["database"]["journal mode"]) == (True, "ready", "wal")
    assert report["database"]["head position"] == 1
    assert report["settings"]["concurrency"] == {"value": 3, "from": "variable TASKER_CONCURRENCY"}
    assert report["settings"]["url"]["from"].endswith("tasker.yaml:1")
    assert report["settings"]["leases.heartbeat"]["from"] == "default"
    text = shell("doctor").out
    assert "hunter22" not in text
    assert all("installed" in value or "pip install" in value for value in report["extras"].values())


def test_the_doctor_finds_a_broken_database(shell):
    """A file that is no log makes the doctor say so, with 1."""
    done = shell("doctor", "--url", "sqlite:///cli_shop.py")
    assert (done.code, "unusable" in done.out) == (1, True)


def test_a_traceback_only_with_debug(shell):
    """An error is one paragraph; `--debug` adds the traceback."""
    assert "Traceback" not in shell("tasks").err
    done = shell("tasks", "--debug")
    assert (done.code, "Traceback" in done.err) == (1, True)


@pytest.mark.parametrize("arguments", ["audit verify", "projections rebuild", "replay", "tasks", "show ID", "why ID"])
def test_a_terminal_gets_tables_and_progress(shell, failed, monkeypatch, arguments):
    """On a terminal every command shows the same facts, with progress of what is long on stderr."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    done = shell(*arguments.replace("ID", failed).split())
    assert done.code == 0
    assert done.out.strip()
    assert "Traceback" not in done.err
