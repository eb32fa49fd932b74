"""`app.audit`: verify, seal, prove and export one log."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tasker.audit import proof, seals
from tasker.audit.export import Exported, export, last_position, open_new, writing
from tasker.audit.helpers import Parts
from tasker.audit.keys import SealKey
from tasker.audit.parquet import ParquetFile
from tasker.audit.pieces import Wanted
from tasker.audit.seals import Expected, Seal
from tasker.audit.verify import Verification, Verified
from tasker.catalog.patterns import Patterns
from tasker.clock import SystemClock, micros
from tasker.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasker.audit.verify import Progress
    from tasker.clock import Clock
    from tasker.log.port import Store


class Audit:
    """Audits one log."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        """Take the log, and the clock whose time seals have; nothing is read yet."""
        self._store = store
        self._clock = clock or SystemClock()

    def verify(
        self, progress: Progress | None = None, *, kept: Iterable[str | Seal] = (), keys: Iterable[str | Path] = ()
    ) -> Verified:
        """Recompute the whole log up to its present end from stored bytes; a large one on every core.

        Args:
            progress: Called now and then with how many events are done and how many there are.
            kept: Seals that were kept elsewhere, as `seal` gave them or as their lines of JSON.
            keys: The public keys, as ids or files, whose signatures count; none for any.

        Raises:
            ChainBroken: The first thing in the order of the log that is not what was appended; then seals.
            InvalidRequest: A line of `kept` is no seal, or a key is none.
            TaskerError: There are seals, and the extra `audit` is not installed.
            LogUnavailable: The store failed.
        """
        given = [one if isinstance(one, Seal) else seals.read_lines(one, "kept")[0] for one in kept]
        return self._verify(progress, Parts(), Expected(given, keys))

    def _verify(self, progress: Progress | None, parts: Parts, expected: Expected | None = None) -> Verified:
        """Recompute the whole log, cut as it is told to."""
        return Verification(self._store).run(progress, parts, expected or Expected())

    def seal(self, key: str | Path, progress: Progress | None = None) -> Seal:
        """Verify the log, then sign what was appended since the last seal.

        Args:
            key: The file with the secret half, as `keygen` made it.
            progress: As `verify` takes it.

        Returns:
            The seal; keep its `line` elsewhere. Where nothing was appended since the last one, that.

        Raises:
            ChainBroken: The log, or a seal of it, is not what it was: nothing is sealed.
            InvalidRequest: The key is none, or the log is empty.
            TaskerError: The extra `audit` is not installed, or somebody else sealed at the same time.
            LogUnavailable: The store failed.
        """
        signer = SealKey.read(key)
        verified = self.verify(progress)
        return seals.make(self._store, signer, verified.events, micros(self._clock.now()))

    def prove(self, task_id: str) -> str:
        """Write the proof of a task: its events as far as they are sealed, with the seals over them.

        Args:
            task_id: The task.

        Returns:
            One line of JSON, which `tasker audit verify FILE` and `verify_proof.py` check without the database.

        Raises:
            UnknownTask: There is no such task.
            InvalidRequest: Nothing of it is sealed, or it was erased since the last seal.
            ChainBroken: The log is not what was sealed.
            TaskerError: The extra `audit` is not installed.
            LogUnavailable: The store failed.
        """
        return proof.prove(self._store, task_id)

    def export(
        self,
        output: str | Path | BinaryIO,
        *,
        task_id: str | None = None,
        types: str | Iterable[str] | None = None,
        namespace: str | None = None,
        after: int | datetime = 0,
        before: int | datetime | None = None,
        resume: bool = False,
        parquet: bool = False,
        progress: Progress | None = None,
    ) -> Exported:
        """Write events as CloudEvents, one a line, in the order of positions, up to the present end of the log.

        Args:
            output: A new file, which is durable when this returns; or what takes bytes.
            task_id: Only events of this task.
            types: Only events whose names match one of these globs.
            namespace: Only events of tasks of this namespace.
            after: Only events behind this position, or recorded later than this aware time.
            before: Only events before this position, or recorded earlier than this aware time.
            resume: True to go on behind the last whole line of a file that may be there already.
            parquet: True for a file in the format Parquet, with `data` as JSON; it cannot be resumed.
            progress: Called now and then with how many positions are done and how many there are.

        Returns:
            How many events were written, and the position behind which the next export begins.

        Raises:
            InvalidRequest: An argument is wrong, or the file is there already.
            TaskerError: The extra `parquet` is not installed, or the file could not be written to its end.
            UnknownTask: There is no such task.
            ChainBroken: An event cannot be read.
            LogUnavailable: The store failed.
        """
        wanted, first, upto = self._wanted(task_id, types, namespace, after, before)
        if not isinstance(output, str | os.PathLike):
            if resume or parquet:
                raise InvalidRequest("export: expected a file to resume, or to be in Parquet, found what takes bytes")
            return export(self._store, output.write, wanted, (first, upto), progress)
        path = Path(output)
        if parquet:
            if resume:
                raise InvalidRequest(f"{path}: a Parquet file cannot be resumed. Write another one, with after=")
            with writing(path, "Free some space, remove the file, and export again"), ParquetFile(path) as table:
                return export(self._store, table.write, wanted, (first, upto), progress)
        first = max(first, last_position(path)) if resume else first
        with writing(path, "Free some space, then resume this export"), open_new(path, resume=resume) as file:
            return export(self._store, file.write, wanted, (first, max(first, upto)), progress)

    def _wanted(
        self,
        task_id: str | None,
        types: str | Iterable[str] | None,
        namespace: str | None,
        after: int | datetime,
        before: int | datetime | None,
    ) -> tuple[Wanted, int, int]:
        """Check what is wanted; give it, and the positions between which it lies."""
        stream_id = None if task_id is None else proof.stream_of(self._store, task_id).hex()
        globs = None if types is None else Patterns(types if isinstance(types, str) else list(types)).globs
        since, until = (micros(one) if isinstance(one, datetime) else None for one in (after, before))
        first = 0 if isinstance(after, datetime) else after
        upto = self._store.log.head()
        if isinstance(before, int):
            upto = min(upto, before - 1)
        if first < 0 or upto < 0:
            raise InvalidRequest(f"export: expected positions from 0, found after {after!r} and before {before!r}")
        return Wanted(stream_id, globs, namespace, since, until), first, max(first, upto)
