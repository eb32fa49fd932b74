"""The lock of the one runner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasker.errors import LogUnavailable, TaskerError
from tasker.log import lock
from tasker.log.lock import FileLock, file_system

HOLD = (
    "import sys; from pathlib import Path; from tasker.log.lock import FileLock\n"
    "held = FileLock(Path(sys.argv[1])); held.acquire(); print('held', flush=True); sys.stdin.read()"
)


def test_second_is_refused(tmp_path):
    """A second runner is refused and told the process that holds the lock."""
    path = tmp_path / "log.db.runner"
    first = FileLock(path)
    first.acquire()
    with pytest.raises(TaskerError, match=f"process {os.getpid()}"):
        FileLock(path).acquire()
    first.release()
    FileLock(path).acquire()
    assert path.read_text() == f"{os.getpid()}\n"


def test_killed_holder(tmp_path):
    """The lock of a killed runner is free at once."""
    path = tmp_path / "log.db.runner"
    command = [sys.executable, "-c", HOLD, str(path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TaskerError, match=f"process {holder.pid}"):
            FileLock(path).acquire()
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(10)
        again = FileLock(path)
        again.acquire()
        again.release()


def test_nowhere_to_lock(tmp_path):
    """A lock file that cannot be made is named."""
    with pytest.raises(LogUnavailable, match="cannot make the runner's lock"):
        FileLock(tmp_path / "no" / "log.runner").acquire()


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/a", "ext4"), ("/mnt/share/log", "nfs4"), ("/mnt/shared/log", "ext4"), ("/mnt/two words/x", "fuse.sshfs")],
)
def test_file_system(path, kind):
    """The longest mounted folder above a path decides; of two on one folder the later one counts."""
    mounts = (
        "/dev/a / xfs rw 0 0\n/dev/b / ext4 rw 0 0\nhost:/x /mnt/share nfs4 rw 0 0\n"
        "me@host: /mnt/two\\040words fuse.sshfs rw 0 0\n"
    )
    assert file_system(Path(path), mounts) == kind


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"])
def test_network_is_refused(tmp_path, monkeypatch, kind):
    """On a network file system the runner is refused and nothing is made."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"host:/x / {kind} rw 0 0\n")
    monkeypatch.setattr(lock, "_MOUNTS", mounts)
    with pytest.raises(TaskerError, match="network file system"):
        FileLock(tmp_path / "log.runner").acquire()
    assert [file.name for file in tmp_path.iterdir()] == ["mounts"]


def test_no_table_of_mounts(tmp_path, monkeypatch):
    """Where the system has no table of mounts the lock is taken on trust."""
    monkeypatch.setattr(lock, "_MOUNTS", tmp_path / "none")
    path = tmp_path / "log.runner"
    held = FileLock(path)
    held.acquire()
    assert path.exists()
    held.release()
