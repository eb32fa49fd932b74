"""Workers and followers as real processes: start, signals, the second worker, subscribers of the settings."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.integration.cli_kit import wait_for
from tests.integration.test_cli_tasks import prepared


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Give a shell in a folder with settings and definitions."""
    return prepared(tmp_path, monkeypatch, capsys)


def settings(shell, text):
    """Add lines to `tasker.yaml`."""
    path = shell.folder / "tasker.yaml"
    path.write_text(path.read_text() + text)


def test_a_worker_runs_what_others_submit(shell):
    """A worker starts from the settings alone, runs tasks of other processes, and stops with 0 on SIGTERM."""
    with shell.process("worker") as worker:
        worker.until(lambda: "runs on" in worker.out)
        task = shell.json("submit", "shop", "--wait", "--timeout", "60").one
        assert task["status"] == "complete"
        assert worker.stop() == 0
        assert "Stopped" in worker.out
    assert worker.err.count("Traceback") == 0


def test_a_second_worker_names_the_first(shell):
    """On SQLite the second worker refuses to start and names the process of the first."""
    with shell.process("worker", name="first") as first:
        first.until(lambda: "runs on" in first.out)
        with shell.process("worker", name="second") as second:
            assert second.child.wait(60) == 1
            assert str(first.child.pid) in second.err
            assert "Traceback" not in second.err
        assert first.stop(signal.SIGINT) == 0


def test_a_killed_worker_is_replaced_at_once(shell):
    """After kill -9 the next worker takes over without waiting."""
    with shell.process("worker", name="first") as first:
        first.until(lambda: "runs on" in first.out)
        first.stop(signal.SIGKILL)
    task_id = shell.submit()
    with shell.process("worker", name="second") as second:
        second.until(lambda: shell.json("show", task_id).one["status"] == "complete")
        assert second.stop() == 0


def test_a_second_signal_stops_at_once(shell):
    """While a worker waits for its handlers a second signal ends it, not with 0; the attempt is made good later."""
    task_id = shell.submit("nap", '{"seconds": 30}')
    with shell.process("worker") as worker:
        worker.until(lambda: shell.json("show", task_id).one["steps"][0]["status"] == "in_progress")
        worker.child.send_signal(signal.SIGTERM)
        assert not ended_within(worker, 0.5)
        assert worker.stop(seconds=60) == 128 + signal.SIGTERM
    assert shell.json("show", task_id).one["status"] == "in_progress"


def test_a_worker_with_stuck_slots_gives_up(shell):
    """When half of its slots are held by handlers that do not return, a worker drains, says so, and exits with 1."""
    settings(shell, "shutdown_timeout: 0.2\n")
    shell.submit("stuck", '{"seconds": 60}')
    with shell.process("worker", "--concurrency", "2") as worker:
        assert worker.child.wait(60) == 1
        assert "stuck" in worker.out


def test_ctrl_c_while_waiting_lets_the_step_finish(shell):
    """Ctrl-C on `submit --wait` says what it waits for, finishes the step that runs here, and exits with 130."""
    with shell.process("submit", "nap", "--context", '{"seconds": 60}', "--wait") as waiting:
        waiting.until(lambda: (shell.folder / "shop.db").exists() and "step.started" in shell("events").out)
        waiting.child.send_signal(signal.SIGINT)
        waiting.until(lambda: waiting.err.startswith("Stopping"))
        (shell.folder / "wake").touch()
        assert waiting.child.wait(60) == 130
        assert "Traceback" not in waiting.err
    assert "step.completed" in shell("events").out


def ended_within(process, seconds):
    """Tell whether a process ends within some time."""
    try:
        process.child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_subscribers_of_the_settings_are_attached(shell):
    """`subscribers` of the file are built from their config; `subscriptions` lists and pauses them."""
    settings(shell, "subscribers:\n- {class: 'cli_shop:Seen', config: {path: here.txt}}\n")
    with shell.process("worker") as worker:
        worker.until(lambda: "runs on" in worker.out)
        task_id = shell.json("submit", "shop", "--wait", "--timeout", "60").one["id"]
        seen = shell.folder / "here.txt"
        wait_for(lambda: seen.exists() and seen.read_text() == f"{task_id}\n")
        assert worker.stop() == 0
    assert [one["name"] for one in shell.json("subscriptions", "list").lines] == ["seen"]
    assert shell.json("subscriptions", "pause", "seen").one["state"] == "paused"
    assert shell.json("subscriptions", "list").one["state"] == "paused"
    assert shell.json("subscriptions", "resume", "seen").one["state"] == "active"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("{class: 'cli_shop:Sen'}", "Seen"),
        ("{class: 'gone:Seen'}", "gone"),
        ("{class: 'cli_shop:look'}", "BaseSubscriber"),
        ("{class: 'cli_shop:Seen', config: {colour: red}}", "colour"),
    ],
    ids=["unknown class", "unknown module", "no subscriber", "wrong config"],
)
def test_a_wrong_subscriber_stops_the_start(shell, line, word):
    """A subscriber that cannot be made stops the start with file:line, and nothing runs."""
    settings(shell, f"subscribers:\n- {line}\n")
    with shell.process("worker") as worker:
        assert worker.child.wait(60) == 1
        assert "tasker.yaml:5" in worker.err
        assert word in worker.err


def test_events_are_followed_until_ctrl_c(shell):
    """`events --follow` prints what is recorded later, and Ctrl-C ends it quietly with 130."""
    first = shell.submit()
    with shell.process("events", "--follow", "--json") as follower:
        follower.until(lambda: first in follower.out)
        second = shell.submit()
        follower.until(lambda: second in follower.out)
        assert follower.stop(signal.SIGINT) == 130
        assert follower.err == ""
