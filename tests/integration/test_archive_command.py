"""`tasker archive`: what it prints, writes and refuses, as a timer or a person calls it."""

from __future__ import annotations

import json

import pytest

from tasker import BaseSubscriber, Tasker
from tests.integration.test_cli_tasks import prepared


class Seen(BaseSubscriber):
    """Hears of the end of tasks."""

    name = "seen"
    subscribe_to = ("task.completed",)


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Give a shell in a folder with settings and definitions."""
    return prepared(tmp_path, monkeypatch, capsys)


@pytest.fixture
def task(shell):
    """Give the id of a task that is complete."""
    assert shell("submit", "shop", "--context", '{"item": "cocoa"}', "--wait").code == 0
    return shell.json("tasks").one["id"]


def test_a_task_is_archived(shell, task):
    """A dry run says what would be; then the file has what the export had, and the log has only the rest."""
    before = shell("audit", "export").out
    events = before.count("\n")
    dry = shell.json("archive", "--older-than", "0s", "--dry-run").one
    assert dry == {"path": None, "tasks": 1, "events": events, "waiting": 0, "awaited": {}}
    assert "1 tasks with" in shell("archive", "--older-than", "0s", "--dry-run").out
    done = shell.json("archive", "--older-than", "0s", "--output", "old.jsonl", "--actor", "cron").one
    assert done == dry | {"path": "old.jsonl"}
    assert (shell.folder / "old.jsonl").read_text() == before
    assert "cocoa" not in shell("audit", "export").out
    (erased,) = shell.json("events", "--task", task, "--type", "task.erased").lines
    assert (erased["actor"], erased["body"]["reason"]) == ("cron", "archived: ended 0s ago or longer")
    assert shell("audit", "verify").code == 0
    assert shell.json("show", task).one["context"] is None
    assert "No task to archive" in shell("archive", "--older-than", "0s").out


def test_what_is_refused(shell, task):
    """An age that is none, or a file that is there, is refused, and nothing is written or erased."""
    done = shell("archive", "--older-than", "soon")
    assert (done.code, "such as '90d'" in done.err) == (2, True)
    assert shell("archive").code == 2
    (shell.folder / "old.jsonl").write_text("mine")
    assert shell("archive", "--older-than", "0s", "--output", "old.jsonl").code == 1
    assert (shell.folder / "old.jsonl").read_text() == "mine"
    assert shell.json("show", task).one["context"] == {"item": "cocoa"}


def test_a_folder_gets_files(shell, task):
    """Without a name, the file is made in the present folder, and named in what is printed."""
    done = shell("archive", "--older-than", "0s", "--reason", "90 days")
    (path,) = shell.folder.glob("tasker-archive-*.jsonl")
    assert path.name in done.out
    assert {json.loads(line)["subject"] for line in path.read_text().splitlines()} == {task}


def test_who_keeps_tasks_is_named(shell, task):
    """A subscription that was not told everything is named, with what to do; once it is retired, the task goes."""
    with Tasker("sqlite:///shop.db", settings={}) as app:
        app.subscribe(Seen(), start="beginning")
        app.subscriptions.pause("seen")
    done = shell("archive", "--older-than", "0s")
    assert "1 more are left, because the subscription seen has not been told everything of them" in done.err
    assert "No task to archive" in done.out
    assert shell("subscriptions", "retire", "seen").code == 0
    assert shell.json("archive", "--older-than", "0s").one["tasks"] == 1
