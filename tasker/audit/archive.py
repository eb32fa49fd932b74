"""Archive: tasks that ended long ago are written to a file, and only then their payloads are erased from the log."""

from __future__ import annotations

from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasker.audit.archive_choice import ERASED, choose
from tasker.audit.archive_file import ArchiveFile, part_of, place_of
from tasker.audit.lines import Lines
from tasker.clock import rfc3339
from tasker.codec.decode import id_bytes, text_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tasker.audit.archive_choice import Chosen, Reader
    from tasker.log.port import Store

    Erase = Callable[[Sequence[tuple[bytes, int]]], Sequence[bool]]
    """Erases streams, each only if its last event still has a version; says of each whether it did."""
    Progress = Callable[[int, int], None] | None

_TASKS_AT_ONCE = 100


class Archived(NamedTuple):
    """What an archive has done, or would do.

    Attributes:
        path: The file; None where there was nothing to archive, or where it was only asked for.
        tasks: How many tasks it holds.
        events: How many events.
        waiting: How many more tasks are old enough, but readers have not heard all of them yet.
        awaited: For each of these readers, how many tasks wait for it.
    """

    path: Path | None
    tasks: int
    events: int
    waiting: int
    awaited: Mapping[str, int]


class Archiving:
    """Archives tasks of one log."""

    def __init__(self, store: Store, erase: Erase, readers: Sequence[Reader]) -> None:
        """Take the log, what erases, and who shall have heard of a task before that."""
        self._store = store
        self._erase = erase
        self._readers = readers
        self._lines = Lines(store.log.log_id)

    def run(self, now: int, age: int, output: Path, progress: Progress = None) -> Archived:
        """Write every task that ended long enough ago, make the file durable, erase what it holds, give it its name.

        Whatever ends it before its time, the next call for the same file or folder goes on: no event is lost or written
        twice.

        Args:
            now: The present time in microseconds.
            age: How long ago a task has ended at least, in microseconds.
            output: A new file, or a folder for one.
            progress: Called now and then with how many events are written and erased, and how many will be in all.

        Raises:
            InvalidRequest: The file is there already, or cannot be written.
            TaskerError: Another process is at it, or the disk is full or gone.
            LogUnavailable: The store failed.
        """
        log_id = self._store.log.log_id.hex()
        stamp = rfc3339(now)[:19].replace("-", "").replace(":", "") + "Z"
        path = place_of(output, f"tasker-archive-{log_id[:8]}-", stamp)
        chosen = choose(self._store.log, now - age, self._readers)
        if not chosen.streams and not path.exists() and not part_of(path).exists():
            return _nothing(chosen)
        with ArchiveFile(path, f"/tasker/{log_id}/") as file:
            self._archive(file, chosen, progress)
            return Archived(file.finish(), len(file.tasks), file.events, chosen.waiting, chosen.awaited)

    def preview(self, now: int, age: int) -> Archived:
        """Say what `run` would do; changes nothing."""
        chosen = choose(self._store.log, now - age, self._readers)
        counts = len(chosen.streams), sum(chosen.streams.values())
        return _nothing(chosen)._replace(tasks=counts[0], events=counts[1])

    def _archive(self, file: ArchiveFile, chosen: Chosen, progress: Progress) -> None:
        wanted = dict.fromkeys([*map(id_bytes, file.tasks), *chosen.streams])
        pending: dict[bytes, int] = {}
        new = [events for stream_id, events in chosen.streams.items() if text_id(stream_id) not in file.tasks]
        total = 2 * (file.events + sum(new))
        for stream_id in wanted:
            version = self._write(file, stream_id)
            if version is not None:
                pending[stream_id] = version
            _tell(progress, file.events, total)
        file.sync()
        erased = file.events
        for some in _chunks(pending.items()):
            self._forget(file, dict(some))
            erased += sum(version for _, version in some)
            _tell(progress, min(erased, total), total)

    def _write(self, file: ArchiveFile, stream_id: bytes) -> int | None:
        """Write what the file lacks of a task; gives its last version, or None where it is erased already."""
        task_id = text_id(stream_id)
        known = file.tasks.get(task_id, 0)
        rows = self._store.log.stream(stream_id, after=known)
        kept = list(takewhile(lambda row: row.code != ERASED, rows))
        erased = len(kept) < len(rows)
        if erased and not known:
            return None  # by somebody else meanwhile: there is nothing left to keep
        if kept:
            file.add(task_id, kept[-1].version, map(self._lines.line, kept))
        return None if erased else file.tasks[task_id]

    def _forget(self, file: ArchiveFile, pending: dict[bytes, int]) -> None:
        """Erase tasks; one that has moved on is written up to where it stands before it is tried again."""
        while pending:
            done = self._erase(list(pending.items()))
            moved = [stream_id for stream_id, erased in zip(pending, done, strict=True) if not erased]
            found = {stream_id: self._write(file, stream_id) for stream_id in moved}
            pending = {stream_id: version for stream_id, version in found.items() if version is not None}
            if pending:
                file.sync()


def _nothing(chosen: Chosen) -> Archived:
    return Archived(None, 0, 0, chosen.waiting, chosen.awaited)


def _chunks(items: Iterable[tuple[bytes, int]]) -> Iterator[list[tuple[bytes, int]]]:
    rest = iter(items)
    while some := list(islice(rest, _TASKS_AT_ONCE)):
        yield some


def _tell(progress: Progress, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)
