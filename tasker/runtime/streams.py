"""The states of tasks, folded from the log and remembered; a read brings one up to date with its stream's tail."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.decode import text_id
from tasker.domain.status import LIVE
from tasker.domain.task import Task, blank
from tasker.errors import TaskerError, UnknownTask
from tasker.fold import fold_heads, fold_stream, implementation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tasker.codec.rows import StoredEvent
    from tasker.domain.definition import TaskDefinition
    from tasker.log.port import EventLog
    from tasker.runtime.plans import Plans
    from tasker.runtime.threads import Threads

_LIVE_KEPT = 50_000
_ENDED_KEPT = 500
_SHARE_DROPPED = 10
"""A full shelf drops its oldest tenth at once: a dict finds its oldest key slowly after many single removals."""

_WORTHWHILE = 2  # so many streams are read quicker at once than one by one
_LOADED = 10_000
_TOGETHER = 300
"""Events that are read at once, of many streams; with more, their rows leave the processor's cache before the fold."""

LONG = 500
"""A stream of so many events is folded quicker from their columns, where there is a compiled fold."""


class Known(NamedTuple):
    """A task as of its last known event, and that event's position."""

    task: Task
    position: int


class Streams:
    """Remembers states within bounds: many of live tasks, few of ended ones. Thread-safe."""

    def __init__(self, log: Callable[[], EventLog], plans: Plans, threads: Threads) -> None:
        """Start empty."""
        self._log = log
        self._plans = plans
        self._lock = threads.lock()
        self._live: dict[bytes, Known] = {}
        self._ended: dict[bytes, Known] = {}
        self._doubted: set[bytes] = set()

    def remembered(self, stream_id: bytes) -> Known | None:
        """Give a remembered state, which may be behind the log if other processes append."""
        return self._live.get(stream_id) or self._ended.get(stream_id)

    def put(self, stream_id: bytes, known: Known) -> None:
        """Remember a state, unless a later one is remembered already."""
        with self._lock:
            self._put(stream_id, known)

    def put_all(self, states: Iterable[tuple[bytes, Known]]) -> None:
        """Remember many states, each unless a later one is remembered already."""
        with self._lock:
            for stream_id, known in states:
                self._put(stream_id, known)

    def _put(self, stream_id: bytes, known: Known) -> None:
        live = known.task.status in LIVE
        shelf, other = (self._live, self._ended) if live else (self._ended, self._live)
        old = shelf.get(stream_id) or other.get(stream_id)
        if old is not None and old.task.version > known.task.version:
            return
        shelf[stream_id] = known
        other.pop(stream_id, None)
        most = _LIVE_KEPT if live else _ENDED_KEPT
        if len(shelf) > most:
            for oldest in list(islice(shelf, most // _SHARE_DROPPED)):
                del shelf[oldest]

    def forget(self, stream_id: bytes) -> None:
        """Drop a state whose truth is in doubt."""
        with self._lock:
            self._live.pop(stream_id, None)
            self._ended.pop(stream_id, None)

    def doubt(self, stream_id: bytes) -> None:
        """Have a state that is known to be behind the log read up to its end before it is used again."""
        self._doubted.add(stream_id)

    def load(self, streams: Iterable[bytes]) -> None:
        """Read many states at once: those that are not remembered, and those in doubt.

        A stream that cannot be read, or is long, is left to `known`, which says why.
        """
        wanted = [one for one in streams if one in self._doubted or self.remembered(one) is None]
        if len(wanted) < _WORTHWHILE:
            return
        after = [known.position for one in wanted if (known := self.remembered(one)) is not None]
        first = min(after) if len(after) == len(wanted) else 0
        rows = self._log().tail(first, limit=_LOADED, streams=wanted)
        by_stream: dict[bytes, list[StoredEvent]] = {one: [] for one in wanted}
        for row in rows:
            by_stream[row.stream_id].append(row)
        if len(rows) == _LOADED:  # what lies behind the last row is not known: only whole streams count
            return
        for stream_id, found in by_stream.items():
            self._take_in(stream_id, found)

    def _take_in(self, stream_id: bytes, rows: list[StoredEvent]) -> None:
        known = self.remembered(stream_id)
        version = known.task.version if known is not None else 0
        rows = [row for row in rows if row.version > version]
        try:
            if rows:
                self.put(stream_id, self._after(stream_id, known, rows))
        except TaskerError:  # whoever asks for this task is told
            return
        self._doubted.discard(stream_id)

    def current(self, stream_id: bytes) -> Known:
        """Give a state that holds every event the log has of this stream now.

        Raises:
            UnknownTask: There is no such stream.
            UnsupportedEvent: A newer release wrote an event of it.
        """
        known = self.remembered(stream_id)
        rows = self._log().stream(stream_id, after=known.task.version if known else 0, limit=LONG)
        self._doubted.discard(stream_id)
        if rows:
            known = self._after(stream_id, known, rows)
            self.put(stream_id, known)
        if known is None:
            raise UnknownTask(
                f"expected the id of a task of this log, found {text_id(stream_id)}, which it does not hold"
            )
        return known

    def _after(self, stream_id: bytes, known: Known | None, rows: list[StoredEvent]) -> Known:
        """Give the state after the next events; where those are `LONG`, there may be more."""
        definition = self._plans.get(rows[0].header.definition_digest).definition
        if len(rows) == LONG:
            long = self.long(stream_id, definition)
            if long is not None:
                return long
            rows = self._log().stream(stream_id, after=rows[0].version - 1)
        task = known.task if known else blank(text_id(stream_id), definition)
        return Known(fold_stream(task.definition, task.id, rows, initial=task), rows[-1].position)

    def long(self, stream_id: bytes, definition: TaskDefinition, version: int | None = None) -> Known | None:
        """Fold a long stream up to a version from the columns of its events; None where each has to be looked at."""
        if implementation() == "python":
            return None
        log = self._log()
        found = fold_heads(definition, stream_id, log.heads_of(stream_id, limit=version), log.events_at)
        return None if found is None else Known(*found)

    def known(self, stream_id: bytes) -> Known:
        """Give the remembered state, or read it; enough where the append's expected version decides."""
        known = self.remembered(stream_id)
        return self.current(stream_id) if known is None or stream_id in self._doubted else known

    def at_version(self, stream_id: bytes, version: int) -> Task:
        """Give a task as of a version of its stream."""
        known = self.remembered(stream_id)
        if known is not None and known.task.version == version:
            return known.task
        rows = self._log().stream(stream_id, limit=min(version, LONG))
        definition = self._plans.get(rows[0].header.definition_digest).definition
        if len(rows) == LONG:
            long = self.long(stream_id, definition, version)
            if long is not None:
                return long.task
            rows = self._log().stream(stream_id, limit=version)
        return fold_stream(definition, text_id(stream_id), rows)

    def at_versions(self, wanted: Mapping[bytes, int]) -> dict[bytes, Task]:
        """Give tasks as of versions of their streams; those that are not remembered as such are read together.

        Raises:
            UnsupportedEvent: A newer release wrote an event of one of them.
        """
        found: dict[bytes, Task] = {}
        unread: dict[bytes, int] = {}
        for stream_id, version in wanted.items():
            known = self.remembered(stream_id)
            if known is not None and known.task.version == version:
                found[stream_id] = known.task
            elif version >= _TOGETHER or len(wanted) < _WORTHWHILE:
                found[stream_id] = self.at_version(stream_id, version)
            else:
                unread[stream_id] = version
        for some in _pieces(unread):
            for stream_id, rows in self._read(some).items():
                definition = self._plans.get(rows[0].header.definition_digest).definition
                found[stream_id] = fold_stream(definition, text_id(stream_id), rows)
        return found

    def _read(self, wanted: Mapping[bytes, int]) -> dict[bytes, list[StoredEvent]]:
        """Read streams up to versions; what the log has behind them is read past."""
        found: dict[bytes, list[StoredEvent]] = {one: [] for one in wanted}
        left, after = list(wanted), 0
        while left:
            rows = self._log().tail(after, limit=_TOGETHER, streams=left)
            for row in rows:
                if row.version <= wanted[row.stream_id]:
                    found[row.stream_id].append(row)
            if len(rows) < _TOGETHER:
                break
            after = rows[-1].position
            left = [one for one in left if len(found[one]) < wanted[one]]
        return found


def _pieces(wanted: Mapping[bytes, int]) -> Iterator[dict[bytes, int]]:
    """Cut streams and their versions into pieces with no more events than are read at once."""
    piece: dict[bytes, int] = {}
    events = 0
    for stream_id, version in wanted.items():
        if events + version > _TOGETHER:
            yield piece
            piece, events = {}, 0
        piece[stream_id] = version
        events += version
    if piece:
        yield piece
