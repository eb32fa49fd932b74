"""The lock that makes a runner the only one on its log; the kernel releases it however the process dies."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from tasker.errors import LogUnavailable, TaskerError

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|afs|ceph|glusterfs|lustre|ncpfs|gpfs|beegfs|fuse\.(sshfs|.*nfs.*|s3fs|glusterfs|ceph.*|rclone)"
)
_MOUNTS = Path("/proc/mounts")


def file_system(path: Path, mounts: str) -> str:
    """Give the type of the file system on which a path lies.

    Args:
        path: An absolute path without symbolic links.
        mounts: The table of mounts, as `/proc/mounts` has it; of two on one folder the later one counts.

    Returns:
        The type, or the empty text where the table does not tell.
    """
    found, longest = "", -1
    for line in mounts.splitlines():
        fields = line.split(" ")
        folder = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), fields[1]))
        if path.is_relative_to(folder) and len(folder.parts) >= longest:
            found, longest = fields[2], len(folder.parts)
    return found


class MemoryLock:
    """The lock of a log in memory, which no other process can see: always free."""

    exclusive = True

    def acquire(self) -> None:
        """Take the lock."""

    def release(self) -> None:
        """Give the lock back."""


class SharedLock:
    """The lock of a log on which any number of runners may work: always free, and proves nothing."""

    exclusive = False

    def acquire(self) -> None:
        """Take the lock."""

    def release(self) -> None:
        """Give the lock back."""


class FileLock:
    """An exclusive lock of the operating system on a file, with the holder's process id in it."""

    exclusive = True

    def __init__(self, path: Path) -> None:
        """Take the path of the file; nothing is locked yet."""
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock at once.

        Raises:
            TaskerError: Another runner holds it, or locks on this file system prove nothing.
        """
        if self._descriptor is not None:
            return
        self._refuse_network()
        descriptor = self._opened()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            msg = (
                f"{self._path}: another runner works on this log (process {holder}), and SQLite allows one. "
                "Stop it first, or use PostgreSQL for several workers."
            )
            raise TaskerError(msg) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; safe to repeat."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> int:
        """Open the file, which stays for ever: removing it would let two runners lock two files of one name."""
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            msg = f"{self._path}: cannot make the runner's lock ({error.strerror}). Check the folder and its rights."
            raise LogUnavailable(msg) from error

    def _refuse_network(self) -> None:
        """Refuse file systems on which a lock does not hold between machines."""
        if not _MOUNTS.exists():
            return
        kind = file_system(self._path.parent.resolve(), _MOUNTS.read_text("utf-8", "surrogateescape"))
        if _NETWORK.fullmatch(kind):
            msg = (
                f"{self._path}: this is a network file system ({kind}), where locks and WAL are not safe. "
                "Put the log on a local disk, or use PostgreSQL."
            )
            raise TaskerError(msg)
