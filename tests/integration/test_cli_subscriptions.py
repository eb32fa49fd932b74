"""`tasker subscriptions`: what it shows, what it changes, and how it ends."""

from __future__ import annotations

import pytest

from tests.integration.cli_kit import wait_for
from tests.integration.test_cli_tasks import prepared

SUBSCRIBER = '''

from pathlib import Path


class Picky(BaseSubscriber):
    """Refuses what stands in a file."""

    name = "picky"
    subscribe_to = ("task.completed",)

    def filter(self, event):
        return event.body.get("task_id") != "none"

    def handle_task_completed(self, event):
        if Path("refuse").exists():
            raise PermanentError("closed, see https://h/?token=abcdef")
        with open("told.txt", "a") as file:
            file.write(f"{event.position}\\n")
'''
LISTED = "subscribers:\n- {class: 'cli_shop:Picky'}\n- {class: 'cli_shop:Seen', name: later, enabled: false}\n"


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Give a shell in a folder whose settings list two subscribers, one of them switched off."""
    found = prepared(tmp_path, monkeypatch, capsys)
    for name, text in (("cli_shop.py", SUBSCRIBER), ("tasker.yaml", LISTED)):
        path = found.folder / name
        path.write_text(path.read_text() + text)
    return found


@pytest.fixture
def parked(shell):
    """Give a shell with two parked events, those of two tasks, and the positions of these."""
    (shell.folder / "refuse").touch()
    with shell.process("worker") as worker:
        worker.until(lambda: "runs on" in worker.out)
        for _ in range(2):
            assert shell("submit", "shop", "--wait", "--timeout", "120").code == 0
        wait_for(lambda: [one["parked"] for one in shell.json("subscriptions", "list").lines] == [2])
        assert worker.stop() == 0
    (shell.folder / "refuse").unlink()
    return shell, [one["position"] for one in shell.json("subscriptions", "parked").lines]


def work(shell, *expected: int) -> None:
    """Let a worker run until the subscriber was told of some events, in this order."""
    told = shell.folder / "told.txt"
    with shell.process("worker") as worker:
        worker.until(lambda: told.exists() and [int(line) for line in told.read_text().split()] == list(expected))
        assert worker.stop() == 0


def test_what_was_given_up_is_listed(parked):
    """`list` and `parked` show what failed and why, without secrets, as a table and as JSON lines."""
    shell, positions = parked
    (one,) = shell.json("subscriptions", "list").lines
    assert (one["name"], one["state"], one["lag"], one["retrying"], one["owner"]) == ("picky", "active", 0, 0, None)
    assert one["patterns"] == ["task.completed"]
    table = shell("subscriptions", "list").out
    assert table.splitlines()[0].split() == [
        *("NAME", "STATE", "CHECKPOINT", "LAG", "FAILURES", "PARKED", "RETRYING", "OWNER")
    ]
    assert "picky: PermanentError: closed, see https://h/?token=[FILTERED]" in table
    for lines in (
        shell.json("subscriptions", "parked").lines,
        shell.json("subscriptions", "parked", "picky").lines,
        shell.json("subscriptions", "parked", "list", "picky").lines,
    ):
        assert [(line["subscription"], line["position"], line["tries"]) for line in lines] == [
            ("picky", position, 1) for position in positions
        ]
    assert f"picky         {positions[0]}" in shell("subscriptions", "parked").out


def test_what_was_given_up_is_sent_or_discarded(parked):
    """`parked retry` sends an event again, `parked discard` gives it up for good; both say so."""
    shell, (first, second) = parked
    assert shell.json("subscriptions", "parked", "retry", "picky", str(first)).one == {
        "name": "picky", "position": first, "retried": True
    }  # fmt: skip
    assert shell("subscriptions", "parked", "discard", "picky", "--all").out == f"picky: position {second} discarded\n"
    assert shell("subscriptions", "parked").out.split() == ["SUBSCRIPTION", "POSITION", "STREAM_ID", "TRIES", "ERROR"]
    work(shell, first)


def test_wrong_ways_to_free(parked):
    """Positions or `--all`, not both and not neither; what is not parked, and an unknown name, are said."""
    shell, (first, _) = parked
    for arguments in (["retry", "picky"], ["discard", "picky", str(first), "--all"], ["retry", "picky", "--json"]):
        assert shell("subscriptions", "parked", *arguments).code == 2
    done = shell("subscriptions", "parked", "retry", "picky", "1")
    assert (done.code, "no event is parked there" in done.err) == (1, True)
    for arguments in (["parked", "discard", "piky", "1"], ["parked", "piky"], ["retire", "piky"]):
        done = shell("subscriptions", *arguments)
        assert (done.code, "there is no subscription 'piky'. Did you mean 'picky'" in done.err) == (1, True)


def test_a_subscription_is_retired(parked):
    """A retired subscription stays listed, and does not come back."""
    shell, _ = parked
    assert shell("subscriptions", "retire", "picky").out == "picky retired\n"
    assert shell.json("subscriptions", "list").one["state"] == "retired"
    done = shell("subscriptions", "resume", "picky")
    assert (done.code, "is retired" in done.err, "under a new name" in done.err) == (1, True, True)


def test_events_are_sent_again(parked):
    """`redeliver` sends a range again, in this process; it ends with 1 if any of it failed."""
    shell, (first, second) = parked
    lines = shell.json("subscriptions", "redeliver", "picky", "--from", "1").lines
    assert [(line["position"], line["type"], line["sent"]) for line in lines] == [
        (first, "task.completed", True), (second, "task.completed", True)
    ]  # fmt: skip
    assert (shell.folder / "told.txt").read_text() == f"{first}\n{second}\n"
    (shell.folder / "refuse").touch()
    done = shell("subscriptions", "redeliver", "picky", "--from", str(second), "--to", str(second))
    assert done.code == 1
    assert f"{second}  failed  PermanentError: closed" in done.out
    assert "0 sent, 1 failed" in done.out
    assert len(shell.json("subscriptions", "parked").lines) == 2


def test_a_rule_is_tried_on_the_history(parked):
    """With --dry-run nothing is sent, also by a subscriber that is switched off; no subscription is made for it."""
    shell, (first, second) = parked
    done = shell("subscriptions", "redeliver", "later", "--from", "1", "--dry-run")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == [str(first), str(second), "2"]
    assert "2 would be sent, 0 failed" in done.out
    assert not (shell.folder / "seen.txt").exists()
    assert [one["name"] for one in shell.json("subscriptions", "list").lines] == ["picky"]


def test_wrong_ways_to_send_again(parked):
    """A range has an end behind its beginning, and a subscriber must be known here."""
    shell, _ = parked
    for arguments in (["picky"], ["picky", "--from", "0"], ["picky", "--from", "5", "--to", "4"]):
        assert shell("subscriptions", "redeliver", *arguments).code == 2
    done = shell("subscriptions", "redeliver", "other", "--from", "1")
    assert (done.code, "'other'" in done.err, "cli_shop:Picky, later" in done.err) == (1, True, True)


def test_nothing_is_made_where_there_is_no_log(shell):
    """Without a log each command says so, and makes none."""
    for arguments in (["list"], ["parked"], ["redeliver", "picky", "--from", "1"], ["pause", "picky"]):
        assert shell("subscriptions", *arguments).code == 1
    assert not (shell.folder / "shop.db").exists()


def test_names_of_commands_help(shell):
    """Without a command the group shows what it can; `parked` shows its own."""
    text = shell("subscriptions", "--help").out
    assert all(word in text for word in ("list", "pause", "resume", "retire", "redeliver", "parked"))
    text = shell("subscriptions", "parked", "--help").out
    assert all(word in text for word in ("list", "retry", "discard"))
