"""The commands of auditors, from the key to the proof on another machine; and tasks as they were."""

from __future__ import annotations

import json
import sqlite3

import pytest

from tests.integration.test_cli_tasks import prepared


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Give a shell in a folder with settings and definitions."""
    return prepared(tmp_path, monkeypatch, capsys)


@pytest.fixture
def task(shell):
    """Give the id of a task that is complete."""
    assert shell("submit", "shop", "--wait").code == 0
    return shell.json("tasks").one["id"]


@pytest.fixture
def key_id(shell):
    """Make a key in the folder, and give its id."""
    return shell.json("audit", "keygen", "key.pem").one["key_id"]


def test_from_the_key_to_the_proof(shell, task, key_id):
    """A log is sealed, verified with the seals that were kept, and a task of it proved without the database."""
    done = shell("audit", "seal", "--key", "key.pem")
    assert "Keep the line elsewhere" in done.err
    (shell.folder / "seals.jsonl").write_text(done.out)
    assert json.loads(done.out)["key_id"] == key_id
    assert shell.json("audit", "seal", "--key", "key.pem").out == done.out
    verified = ("audit", "verify", "--seal", "seals.jsonl", "--public-key", "key.pem.pub")
    assert shell.json(*verified).one["seals"] == 1
    assert "1 seals" in shell(*verified).out
    done = shell("audit", "prove", task)
    (shell.folder / "proof.json").write_text(done.out)
    assert (done.code, done.err) == (0, "")
    (shell.folder / "shop.db").rename(shell.folder / "away.db")
    assert "is not checked" in shell("audit", "verify", "proof.json").out
    found = shell.json("audit", "verify", "proof.json", "--public-key", key_id).one
    assert (found["task_id"], found["key_ids"]) == (task, [key_id])


def test_what_is_refused(shell, task, key_id):
    """A key is not replaced, a proof needs a seal, and what does not hold ends with 1."""
    assert shell("audit", "keygen", "key.pem").code == 1
    assert "Seal it first" in shell("audit", "prove", task).err
    assert shell("audit", "seal", "--key", "nothing").code == 1
    assert shell("audit", "verify", "--seal", "nothing").code == 2
    assert shell("audit", "verify", "nothing.json").code == 2
    assert shell("audit", "export", "--resume").code == 2
    sealed = shell("audit", "seal", "--key", "key.pem").out
    (shell.folder / "seals.jsonl").write_text(sealed)
    proof = shell("audit", "prove", task).out
    (shell.folder / "proof.json").write_text(proof.replace('"actor":null', '"actor":"me"', 1))
    done = shell("audit", "verify", "proof.json")
    assert (done.code, done.out, "proof: position" in done.err) == (1, "", True)
    assert shell("audit", "verify", "proof.json", "--seal", "seals.jsonl").code == 2
    assert shell("audit", "verify", "--public-key", "00" * 32).code == 1


def test_later_events_are_not_in_the_proof(shell, task, key_id):
    """What was recorded after the last seal is left out of a proof, and that is said."""
    assert shell("audit", "seal", "--key", "key.pem").code == 0
    assert shell("annotate", task, "note", "{}").code == 0
    done = shell("audit", "prove", task)
    assert "last 1 events are not sealed yet" in done.err
    assert len(json.loads(done.out)["events"]) == len(shell.json("events", "--task", task).lines) - 1


def test_a_removed_tail_is_found_by_a_kept_seal(shell, task, key_id):
    """A tail that was removed with everything that shows it is found by a seal that was kept."""
    (shell.folder / "seals.jsonl").write_text(shell("audit", "seal", "--key", "key.pem").out)
    with sqlite3.connect(shell.folder / "shop.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("DELETE FROM events WHERE position = (SELECT position FROM log_head)")
        connection.execute("UPDATE log_head SET position = position - 1")
        connection.execute("DELETE FROM event_types WHERE code NOT IN (SELECT type FROM events)")
        connection.execute("DELETE FROM seals")
    connection.close()
    assert shell("audit", "verify").code == 0
    done = shell("audit", "verify", "--seal", "seals.jsonl")
    assert (done.code, "The tail was removed" in done.err) == (1, True)


def test_events_are_exported(shell, task):
    """All events go to the standard output, or to a file that is resumed; filters choose."""
    events = shell.json("events").lines
    done = shell("audit", "export")
    assert [one["position"] for one in done.lines] == [one["position"] for one in events]
    assert f"--after {len(events)}" in done.err
    out = ("audit", "export", "--output", "log.jsonl")
    assert shell.json(*out, "--before", "4").one == {"events": 3, "last": 3}
    assert shell(*out).code == 1
    assert shell.json(*out, "--resume").one == {"events": len(events) - 3, "last": len(events)}
    assert (shell.folder / "log.jsonl").read_text() == done.out
    few = shell("audit", "export", "--type", "step.*", "--task", task, "--after", "@2", "--namespace", "default").lines
    assert [one["position"] for one in few] == [
        one["position"] for one in events if one["type"].startswith("step.") and one["position"] > 2
    ]
    assert shell("audit", "export", "--after", "2020-01-01T00:00:00Z", "--before", "2020-01-02T00:00:00Z").lines == []
    assert shell("audit", "export", "--after", "yesterday").code == 2


def test_a_task_as_it_was(shell, task):
    """`show --at` and `replay --at` give the same task at every version, position and time of its stream."""
    events = shell.json("events", "--task", task).lines
    seen = []
    for number, event in enumerate(events, 1):
        shown = shell.json("show", task, "--at", str(number)).one
        for at in (str(number), f"@{event['position']}"):
            assert shell.json("replay", "--task", task, "--at", at).one == shown
        seen.append((shown["status"], shown["stream_version"]))
    assert shell.json("show", task, "--at", events[-1]["time"]).one["stream_version"] == len(events)
    assert [version for _, version in seen] == list(range(1, len(events) + 1))
    assert (seen[0][0], seen[-1][0]) == ("pending", "complete")
    assert shell("show", task, "--at", "2020-01-01T00:00:00Z").code == 1
    assert shell("show", task, "--at", str(len(events) + 1)).code == 1
