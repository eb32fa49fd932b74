"""An archive that is cut short anywhere, and its file: what is there afterwards is whole, and there once."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from tasker.audit import archive as archives
from tasker.audit.archive_file import ArchiveFile, part_of
from tasker.errors import InvalidRequest, TaskerError
from tests.contracts.shop import SECRET, shop, sold
from tests.integration.cli_kit import ROOT, own_environment

TASKS = 7


class Cut(BaseException):
    """The end of an archive before its time."""


@pytest.fixture
def app(tmp_path):
    """Give a shop on a file with some ended tasks."""
    with shop(f"sqlite:///{tmp_path / 'log.db'}") as found:
        for number in range(TASKS):
            sold(found, number=number)
        yield found


@pytest.fixture
def few_at_once(monkeypatch):
    """Let tasks be erased by twos."""
    monkeypatch.setattr(archives, "_TASKS_AT_ONCE", 2)


def keys(events):
    """Count each event by its task and version."""
    return Counter((one["subject"], one["streamversion"]) for one in events)


def recorded(app):
    """Give every event of the log as an export has it."""
    return [event.cloudevent() for event in app.events()]


def held(path):
    """Give the events of an archive."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def check_whole(app, path, before):
    """Assert that a file has all events that there were, once and with their contents, and that the log forgot them."""
    found = held(path)
    assert keys(found) == keys(before)
    assert sorted(found, key=lambda one: one["position"]) == before
    assert SECRET not in json.dumps(recorded(app))
    assert app.audit.verify().events == len(before) + TASKS
    assert not part_of(path).exists()


@pytest.mark.parametrize(
    ("place", "calls"),
    [("add", 0), ("add", 3), ("sync", 0), ("erase", 0), ("erase", 2), ("erased", 0), ("erased", 2), ("finish", 0)],
)
@pytest.mark.usefixtures("few_at_once")
def test_what_is_cut_short_goes_on(app, tmp_path, monkeypatch, place, calls):
    """Wherever an archive ends before its time, the next call for the file brings it to the same end."""
    path, before, numbers = tmp_path / "a.jsonl", recorded(app), count()
    operations = app._engine.operations
    owner, name = (operations, "erase_all") if place.startswith("erase") else (ArchiveFile, place)
    whole = getattr(owner, name)

    def cut(*values):
        number = next(numbers)
        if place == "erased" and number == calls:
            whole(*values)
        if number == calls:
            raise Cut
        return whole(*values)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, cut)
        with pytest.raises(Cut):
            app.archive(0, reason="r", output=path)
    assert not path.exists()
    done = app.archive(0, reason="r", output=path)
    assert (done.path, done.tasks, done.events) == (path, TASKS, len(before))
    check_whole(app, path, before)


KILLED = """
import os, signal, sys
from tasker import Tasker
from tasker.audit import archive
from tasker.audit.archive_file import ArchiveFile
from tasker.runtime.operations import Operations

place, calls, url, path = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
archive._TASKS_AT_ONCE = 2
owner, name = (Operations, "erase_all") if place == "erase" else (ArchiveFile, place)
whole, before = getattr(owner, name), [calls]

def killing(self, *values):
    done = whole(self, *values)
    if place == "add":
        self._file.write(b'{"half a line')
        self._file.flush()
    before[0] -= 1
    if before[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

setattr(owner, name, killing)
with Tasker(url, settings={}) as app:
    app.archive(0, reason="r", output=path)
"""


@pytest.mark.parametrize(("place", "calls"), [("add", 2), ("sync", 0), ("erase", 1)])
def test_a_killed_archive_goes_on(app, tmp_path, place, calls):
    """Killed in the middle of a line, before anything is erased, or when some is, the next call loses nothing."""
    path, before = tmp_path / "a.jsonl", recorded(app)
    command = [sys.executable, "-c", KILLED, place, str(0 if place == "add" else calls), app.url, str(path)]
    killed = subprocess.run(command, env=own_environment(), cwd=ROOT, capture_output=True, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert (path.exists(), part_of(path).exists()) == (False, True)
    erased = sum(event.type == "task.erased" for event in app.events())
    assert erased == (4 if place == "erase" else 0)
    app.archive(0, reason="r", output=path)
    check_whole(app, path, before)


def test_a_full_disk_is_said(app, tmp_path, monkeypatch):
    """Where the file cannot be made durable, nothing is erased, and the error says what to do; then it goes on."""
    path, before = tmp_path / "a.jsonl", recorded(app)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(TaskerError, match=r"a\.jsonl\.part: .* No space left on device.* repeat the same call"):
            app.archive(0, reason="r", output=path)
    assert recorded(app) == before
    app.archive(0, reason="r", output=path)
    check_whole(app, path, before)


def test_the_unfinished_file_of_a_folder_is_found(app, tmp_path, monkeypatch):
    """In a folder, the next archive goes on with the file that was left, and takes what ended meanwhile with it."""
    folder = tmp_path / "archives"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(ArchiveFile, "finish", lambda self: (_ for _ in ()).throw(Cut()))
        with pytest.raises(Cut):
            app.archive(0, reason="r", output=folder)
    (left,) = folder.iterdir()
    later = sold(app)
    done = app.archive(0, reason="r", output=folder)
    assert (list(folder.iterdir()), part_of(done.path)) == ([done.path], left)
    assert (done.tasks, later in {one["subject"] for one in held(done.path)}) == (TASKS + 1, True)


def test_an_archive_with_both_names_is_whole(app, tmp_path, monkeypatch):
    """Cut short between its last name and the loss of its first, an archive is whole; a folder gets another next."""
    folder, before = tmp_path / "archives", recorded(app)
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(Cut()))
        with pytest.raises(Cut):
            app.archive(0, reason="r", output=folder)
    path = next(folder.glob("*.jsonl"))
    assert part_of(path).samefile(path)
    assert app.archive(0, reason="r", output=folder).path is None
    check_whole(app, path, before)
    sold(app)
    assert app.archive(0, reason="r", output=folder).path not in {None, path}


@pytest.mark.usefixtures("few_at_once")
def test_a_task_that_moves_on_is_kept_whole(app, tmp_path, monkeypatch):
    """What is recorded of a task after it was written, and before it is erased, is written too."""
    path, operations, moved = tmp_path / "a.jsonl", app._engine.operations, []
    whole = operations.erase_all

    def slow(seen, by):
        if not moved:
            moved.extend(event.stream_id for event in app.events(types="task.completed"))
            for task_id in moved:
                app.annotate(task_id, "late", {"by": SECRET})
        return whole(seen, by)

    monkeypatch.setattr(operations, "erase_all", slow)
    app.archive(0, reason="r", output=path)
    late = [one for one in held(path) if one["data"].get("annotation_type", one["data"].get("type")) == "late"]
    assert {one["subject"] for one in late} == set(moved)
    assert all(one["data"]["annotation"] == {"by": SECRET} for one in late)
    assert SECRET not in json.dumps(recorded(app))


def test_what_somebody_else_has_erased_is_left_out(app, tmp_path, monkeypatch):
    """A task that is erased between its choice and its turn is not written: there is nothing left of it to keep."""
    path, write = tmp_path / "a.jsonl", archives.Archiving._write
    gone = next(event.stream_id for event in app.events(types="task.completed"))

    def erased_first(self, file, stream_id):
        app.erase(gone, reason="asked for")
        return write(self, file, stream_id)

    monkeypatch.setattr(archives.Archiving, "_write", erased_first)
    assert app.archive(0, reason="r", output=path).tasks == TASKS - 1
    assert gone not in {one["subject"] for one in held(path)}


def test_a_file_is_its_owners_alone(app, tmp_path):
    """An archive holds what was erased elsewhere for a reason, so no other user may read it."""
    path = tmp_path / "a.jsonl"
    app.archive(0, reason="r", output=path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON\n",
        b'{"subject":"x"}\n',
        b'{"subject":"x","streamversion":1,"source":"/tasker/other/default"}\n',
        b"[]\n",
    ],
)
def test_a_file_of_something_else_is_left_alone(app, tmp_path, line):
    """What was left under the name of an unfinished archive, and is none of this log, is refused and kept."""
    path = tmp_path / "a.jsonl"
    part_of(path).write_bytes(line)
    with pytest.raises(InvalidRequest, match=r"a\.jsonl\.part:1: expected the next event of a task of this log"):
        app.archive(0, reason="r", output=path)
    assert part_of(path).read_bytes() == line
    assert SECRET in json.dumps(recorded(app))


def test_versions_have_no_gap(app, tmp_path):
    """A file in which an event of a task is missing is no archive that goes on."""
    path = tmp_path / "a.jsonl"
    app.archive(0, reason="r", output=path)
    lines = path.read_bytes().splitlines(keepends=True)
    part_of(tmp_path / "b.jsonl").write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(InvalidRequest, match=r"b\.jsonl\.part:2"):
        app.archive(0, reason="r", output=tmp_path / "b.jsonl")


def test_one_at_a_time(app, tmp_path):
    """While somebody is at a file, nobody else is; a folder that is not there is named."""
    path = tmp_path / "a.jsonl"
    with ArchiveFile(path, "/tasker/"), pytest.raises(TaskerError, match="another process"):
        app.archive(0, reason="r", output=path)
    part_of(path).unlink()
    with pytest.raises(InvalidRequest, match="can be written"):
        app.archive(0, reason="r", output=tmp_path / "nowhere" / "a.jsonl")


def test_nobodys_file_is_replaced(app, tmp_path, monkeypatch):
    """A file that is put under the name of an archive while that is made stays; the archive keeps its other name."""
    path, sync = tmp_path / "a.jsonl", ArchiveFile.sync

    def put(self):
        path.write_text("mine")
        sync(self)

    monkeypatch.setattr(ArchiveFile, "sync", put)
    with pytest.raises(InvalidRequest, match="put there meanwhile"):
        app.archive(0, reason="r", output=path)
    assert (path.read_text(), len(keys(held(part_of(path))))) == ("mine", sum(1 for _ in app.events()) - TASKS)


def test_a_file_system_without_links(app, tmp_path, monkeypatch):
    """Where files can have one name only, the archive is renamed."""
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError()))
    path, before = tmp_path / "a.jsonl", recorded(app)
    app.archive(0, reason="r", output=path)
    check_whole(app, path, before)


def test_progress_is_told(app):
    """How many events are written and erased is told, up to the number that was announced."""
    told = []
    app.archive(
        0, reason="r", output=app.url.removeprefix("sqlite:///") + ".jsonl", progress=lambda *at: told.append(at)
    )
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    assert len({total for _, total in told}) == 1
