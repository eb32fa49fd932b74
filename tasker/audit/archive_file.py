"""The file of an archive, which tells by itself how far an archive has come, so that one that was cut short goes on.

As long as anything in it may still have to be erased from the log, its name ends in `.part`.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

import orjson

from tasker.errors import InvalidRequest, TaskerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PART = ".part"


class ArchiveFile:
    """A file to which events of tasks are added, each task's in the order of versions.

    Attributes:
        path: Its name once it is whole.
        tasks: The last version that it holds of each task, by id.
        events: How many events it holds.
    """

    def __init__(self, path: Path, source: str) -> None:
        """Take its name; nothing is opened yet.

        Args:
            path: A file that is not there yet.
            source: How the `source` of each of its events begins.
        """
        self.path = path
        self.tasks: dict[str, int] = {}
        self.events = 0
        self._source = source
        self._part = part_of(path)

    def __enter__(self) -> Self:
        """Begin it, or go on with what an earlier call has left unfinished.

        Raises:
            InvalidRequest: It is there already, it cannot be written, or what was left is not of this log.
            TaskerError: Another process is at it.
        """
        if self.path.exists():
            raise InvalidRequest(f"{self.path}: expected no file, found one. Name another one")
        try:
            descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InvalidRequest(
                f"{self._part}: expected a file that can be written, found {error.strerror}"
            ) from error
        self._file: BinaryIO = os.fdopen(descriptor, "a+b")
        try:
            self._lock()
            self._read()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close it; it keeps what it holds."""
        # What could not be written is told already, and the next call writes it.
        with suppress(OSError) if kind else nullcontext():
            self._file.close()

    def add(self, task_id: str, version: int, lines: Iterable[bytes]) -> None:
        """Add the next events of a task, the last of which has a version.

        Raises:
            TaskerError: They cannot be written.
        """
        with self._writing():
            for line in lines:
                self._file.write(line)
                self.events += 1
        self.tasks[task_id] = version

    def sync(self) -> None:
        """Make what it holds, and that it is there, durable.

        Raises:
            TaskerError: That cannot be done.
        """
        with self._writing():
            self._file.flush()
            os.fsync(self._file.fileno())
            _sync_folder(self._part.parent)

    def finish(self) -> Path | None:
        """Give it its name, or remove it where it holds nothing; gives the name.

        Raises:
            InvalidRequest: Somebody has put another file there meanwhile; this one keeps the name it has.
            TaskerError: It cannot be made durable.
        """
        self.sync()
        if not self.events:
            self._part.unlink()
            return None
        try:
            os.link(self._part, self.path)
        except OSError as error:
            if self.path.exists():
                message = (
                    f"{self.path}: expected no file, found one that was put there meanwhile. All is in {self._part}"
                )
                raise InvalidRequest(message) from error
            self._part.rename(self.path)  # a file system without links
        self._part.unlink(missing_ok=True)
        _sync_folder(self._part.parent)
        return self.path

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Say of a disk that is full, or gone, what it means here."""
        try:
            yield
        except OSError as error:
            message = (
                f"{self._part}: expected to write the archive, found {error.strerror}. Nothing was erased that is not"
                " safe in it. Repair that, for instance by freeing some space, then repeat the same call"
            )
            raise TaskerError(message) from error

    def _lock(self) -> None:
        """Keep other processes off; the kernel lets them in again however this one ends."""
        with suppress(FileNotFoundError, BlockingIOError):
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._part.stat().st_ino == os.fstat(self._file.fileno()).st_ino:
                return
        raise TaskerError(f"{self._part}: another process is at this archive. Wait until it has ended, then repeat")

    def _read(self) -> None:
        """Take in what it holds, and cut off a last line that is not whole."""
        self._file.seek(0)
        end = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                self._file.truncate(end)
                break
            end += len(line)
            self._remember(line, number)
        self._file.seek(0, os.SEEK_END)

    def _remember(self, line: bytes, number: int) -> None:
        """Take in a line."""
        try:
            event = orjson.loads(line)
            task_id, version = event["subject"], event["streamversion"]
            fits = event["source"].startswith(self._source) and version == self.tasks.get(task_id, 0) + 1
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
            raise self._foreign(number, str(error)) from error
        if not fits:
            raise self._foreign(number, f"version {version} of {task_id} from {event['source']}")
        self.tasks[task_id] = version
        self.events += 1

    def _foreign(self, number: int, found: str) -> InvalidRequest:
        message = (
            f"{self._part}:{number}: expected the next event of a task of this log, as an archive that was cut short"
            f" has left it, found something else ({found}). Move the file away, or name another one"
        )
        return InvalidRequest(message)


def part_of(path: Path) -> Path:
    """Give the name that an archive has until it is whole."""
    return path.with_name(path.name + _PART)


def place_of(output: Path, prefix: str, stamp: str) -> Path:
    """Give the file of an archive: the one named, or in a folder the unfinished one, or else a new one.

    Args:
        output: A file, or a folder that is there.
        prefix: How the names of this log's archives begin in a folder.
        stamp: What names a new one.
    """
    if not output.is_dir():
        _settle(part_of(output))
        return output
    for part in sorted(output.glob(f"{prefix}*.jsonl{_PART}")):
        if not _settle(part):
            return part.with_suffix("")
    path, number = output / f"{prefix}{stamp}.jsonl", 1
    while path.exists():
        number += 1
        path = output / f"{prefix}{stamp}-{number}.jsonl"
    return path


def _settle(part: Path) -> bool:
    """Take away the first name of a file that already has its last one; False where that is not so."""
    path = part.with_suffix("")
    if not (part.exists() and path.exists() and part.samefile(path)):
        return False
    part.unlink(missing_ok=True)
    return True


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
