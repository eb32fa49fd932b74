"""The commands that submit tasks and look at them."""

from __future__ import annotations

import pytest

from tests.integration.cli_kit import Shell


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Give a shell in a folder with settings and definitions."""
    return prepared(tmp_path, monkeypatch, capsys)


def prepared(tmp_path, monkeypatch, capsys):
    """Make the folder the working one, with no setting from outside and no module of another test."""
    import os
    import sys

    for name in [name for name in os.environ if name.startswith("TASKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "cli_shop", raising=False)
    return Shell(tmp_path, lambda: tuple(capsys.readouterr()))


def test_a_task_is_submitted_and_run(shell):
    """`submit --wait` runs the task here when no worker does, shows it, and exits with 0."""
    done = shell("submit", "shop", "--context", '{"item": "cup"}', "--wait")
    assert (done.code, done.err) == (0, "")
    assert "complete" in done.out
    assert '{"item": "cup"}' in done.out


def test_a_task_in_error_exits_with_1(shell):
    """`submit --wait` of a task that ends in error shows the error, and exits with 1."""
    done = shell("submit", "shop", "--context", '{"card": "bad"}', "--wait")
    assert done.code == 1
    assert "pay, attempt 1: failed: card declined" in done.out


def test_a_wait_has_an_end(shell):
    """`--timeout` ends the waiting with 1, names the task, and the task goes on."""
    done = shell("submit", "contract", "--wait", "--timeout", "0.3")
    assert done.code == 1
    assert "tasker why" in done.err
    assert shell.json("tasks").one["status"] == "in_progress"


def test_a_context_comes_from_a_file(shell):
    """`--context @file` reads the file."""
    (shell.folder / "context.json").write_text('{"item": "pot"}')
    assert shell.json("show", shell.submit("shop", "@context.json")).one["context"] == {"item": "pot"}


def test_a_known_key_is_the_same_task(shell):
    """The same idempotency key names the same task, and the command says that it was known."""
    first = shell.json("submit", "shop", "--idempotency-key", "day-1").one
    again = shell.json("submit", "shop", "--idempotency-key", "day-1").one
    assert (again["id"], first["created"], again["created"]) == (first["id"], True, False)
    assert "known" in shell("submit", "shop", "--idempotency-key", "day-1").out
    conflict = shell("submit", "shop", "--idempotency-key", "day-1", "--context", '{"item": "x"}')
    assert (conflict.code, "context" in conflict.err) == (1, True)


def test_further_fields_are_options(shell):
    """Every field of a request can be given; `--options` takes those without an option of their own."""
    task_id = shell.submit("shop", "{}", "--tag", "a", "--tag", "b", "--reason", "test", "--options", '{"priority": 7}')
    shown = shell.json("show", task_id).one
    assert (shown["tags"], shown["reason"], shown["priority"]) == (["a", "b"], "test", 7)


def test_definitions_come_from_a_folder_too(shell):
    """`--definitions` reads YAML that the settings do not name."""
    (shell.folder / "more.yaml").write_text("name: more\nstep_templates:\n- {name: a, handler_class: cli_shop.look}\n")
    assert shell.json("submit", "more", "--definitions", "more.yaml", "--wait").one["status"] == "complete"


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["submit", "shopp"], 1, "shop"),
        (["submit", "shop", "--context", '{"item": 7}'], 1, "item"),
        (["submit", "shop", "--context", "{"], 2, "JSON"),
        (["submit", "shop", "--context", "[]"], 2, "object"),
        (["submit", "shop", "--context", "@gone.json"], 2, "gone.json"),
        (["submit", "shop", "--options", '{"colour": "red"}'], 1, "colour"),
        (["submit", "shop", "--definitions", "gone"], 1, "gone"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_request_is_refused(shell, arguments, code, word):
    """What is wrong is said in one paragraph on stderr, and nothing is recorded."""
    shell.submit()
    done = shell(*arguments)
    assert (done.code, done.out) == (code, "")
    assert word in done.err
    assert "Traceback" not in done.err
    assert len(shell.json("events").lines) == 1


def test_tasks_are_listed_and_filtered(shell):
    """`tasks` lists newest first, filters, and goes on where a page ended."""
    ended = shell.json("submit", "shop", "--wait").one["id"]
    waiting = [shell.submit("shop", "{}", "--tag", "later") for _ in range(2)]
    assert [task["id"] for task in shell.json("tasks").lines] == [*reversed(waiting), ended]
    assert [task["id"] for task in shell.json("tasks", "--status", "complete").lines] == [ended]
    assert len(shell.json("tasks", "--tag", "later", "--name", "shop", "--system", "shelf").lines) == 2
    first = shell("tasks", "--limit", "2")
    assert shell.json("tasks", "--limit", "2", "--cursor", first.out.split()[-1]).one["id"] == ended
    assert "ID" in first.out.splitlines()[0]


def test_a_task_is_shown_as_it_was(shell):
    """`show --at` takes a version, a position or a time."""
    task = shell.json("submit", "shop", "--wait").one
    for at in ("1", "@1"):
        assert shell.json("show", task["id"], "--at", at).one["status"] == "pending"
    assert shell.json("show", task["id"], "--at", task["completed_at"]).one["status"] == "complete"
    assert shell("show", task["id"], "--at", "2001-01-01T00:00:00Z").code == 1
    assert shell("show", task["id"], "--at", "yesterday").code == 2


def test_json_has_every_attempt(shell):
    """`show --json` has each step with its attempts and its error."""
    task_id = shell.submit("shop", '{"card": "bad"}')
    shell("submit", "shop", "--wait")
    assert shell("submit", "shop", "--context", '{"card": "bad"}', "--wait").code == 1
    pay = shell.json("tasks", "--status", "error").lines[0]["id"]
    step = shell.json("show", pay).one["steps"][1]
    assert (step["name"], step["status"], step["error"]["code"]) == ("pay", "error", "DECLINED")
    assert [entry["outcome"] for entry in step["history"]] == ["failed"]
    assert task_id != pay


def test_why_says_what_a_task_waits_for(shell):
    """`why` prints a sentence for each reason, of the whole task or of one step."""
    shell("submit", "shop", "--context", '{"card": "bad"}', "--wait")
    task_id = shell.json("tasks").one["id"]
    assert "card declined" in shell("why", task_id, "pay").out
    contract = shell.submit("contract")
    assert "sign" in shell("why", contract, "file").out
    assert {reason["code"] for reason in shell.json("why", contract, "file").lines} >= {"parents"}


def test_events_are_printed_in_order(shell):
    """`events` prints the log, or a part of it."""
    task_id = shell.json("submit", "shop", "--wait").one["id"]
    other = shell.submit("contract")
    assert [event["position"] for event in shell.json("events").lines] == list(range(1, 9))
    assert {event["type"] for event in shell.json("events", "--type", "step.*").lines} == {
        "step.started",
        "step.completed",
    }
    assert shell.json("events", "--task", other).one["type"] == "task.created"
    assert [event["position"] for event in shell.json("events", "--after", "2", "--limit", "2").lines] == [3, 4]
    assert f"{task_id}  task.created" in shell("events").out


@pytest.mark.parametrize(
    "arguments",
    [["show"], ["why"], ["cancel"], ["retry"], ["events", "--task"], ["diagram"], ["replay", "--task"]],
    ids=" ".join,
)
def test_an_unknown_task_exits_with_1(shell, arguments):
    """An id that no task has is an error that shows the id."""
    shell.submit()
    unknown = "01900000-0000-7000-8000-000000000000"
    done = shell(*arguments, unknown)
    assert (done.code, done.out) == (1, "")
    assert unknown in done.err


@pytest.mark.parametrize(
    ("url", "word"),
    [("sqlite:///gone.db", "no log"), ("sqlite:///cli_shop.py", "SQLite"), ("sqlite:///no/where.db", "folder"),
     ("sqlite:///tasker.yaml/x.db", "tasker.yaml"), ("mysql://x", "mysql"), ("shop.db", "scheme")],
)  # fmt: skip
@pytest.mark.parametrize("command", ["tasks", "submit"])
def test_a_wrong_log_is_refused(shell, url, word, command):
    """A file that is no log, a folder that is not there and a wrong URL are said so, and nothing is made."""
    if (command, url) == ("submit", "sqlite:///gone.db"):
        word = ""  # submit makes a log that is not there
    before = {path.name: path.read_bytes() for path in shell.folder.glob("*.*") if path.is_file()}
    done = shell(*(["submit", "shop"] if command == "submit" else ["tasks"]), "--url", url)
    assert done.code == (1 if word else 0)
    assert word in done.err
    assert "Traceback" not in done.err
    if word:
        assert {p.name: p.read_bytes() for p in shell.folder.glob("*.*") if p.is_file()} == before


def test_wrong_settings_name_the_line(shell):
    """A mistake in `tasker.yaml` is refused with its line and the key that was meant, by every command."""
    (shell.folder / "tasker.yaml").write_text("url: sqlite:///shop.db\nconcurency: 3\n")
    done = shell("tasks")
    assert done.code == 1
    assert "tasker.yaml:2" in done.err
    assert "concurrency" in done.err
    (shell.folder / "tasker.yaml").write_text("url: sqlite:///shop.db\napp: cli_shop:registr\n")
    done = shell("submit", "shop")
    assert "tasker.yaml:2" in done.err
    assert "register" in done.err
