"""Logs of millions of events, made once and kept in the cache: `python -m bench.logs done|live EVENTS|TASKS`.

The real engine runs some hundred tasks on a log of its own. Their events are then appended again and again through the
port of the log, in their order, as new tasks: new ids, times moved, links kept, hashes and salts of their own. So the
result is a log like any other: `audit verify` passes, and its read models are there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from bench import handlers
from bench.setting import CACHE, PATIENCE, ROOT, head_of, url_of
from tasker import TaskDefinition, Tasker
from tasker.clock import SystemIds, id_maker
from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.codec.rows import NewEvent, StoredEvent
from tasker.domain.work import WorkItem
from tasker.log.open import open_store
from tasker.log.port import Append, Appended, Store
from tasker.log.revision import FORMAT
from tasker.log.sqlite_schema import statements

_SHAPES = ("tasker/codec/chain.py", "tasker/projections/tables.py", "bench/logs.py", "bench/handlers.py")
"""What decides, beside the schema, how a stored log looks: a cached one is made anew when any of it changes."""

_TEMPLATE_TASKS = 500


def done(events: int, *, make: bool = True) -> Path | None:
    """Give the cached log of ended tasks that holds at least so many events.

    Args:
        events: How many events; the last copy is a whole one, so there are a few more.
        make: False to give None where it would have to be made.
    """
    return _cached("done", events, make=make)


def live(tasks: int, *, make: bool = True) -> Path | None:
    """Give the cached log of so many tasks that all live: two steps of four are complete, the third is ready."""
    return _cached("live", tasks, make=make)


def copy(file: Path, to: Path) -> Path:
    """Copy a log, and have the copy on the disk before anything is timed."""
    with file.open("rb") as source, to.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 24)
        target.flush()
        os.fsync(target.fileno())
    return to


def _cached(kind: str, size: int, *, make: bool) -> Path | None:
    file = CACHE / "logs" / f"{kind}-{size}-{shape()}.db"
    if file.exists() or not make:
        return file if file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    for old in file.parent.glob(f"{kind}-{size}-*"):
        old.unlink()
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        made = Path(folder) / "made.db"
        fill(kind, size, url_of(made))
        with made.open("rb") as opened:
            os.fsync(opened.fileno())
        made.rename(file)
    return file


def shape(*more: str) -> str:
    """Name what a cached log depends on: schema, format and some sources, to which one can add."""
    found = hashlib.sha256("".join((*statements(), str(FORMAT))).encode())
    for name in (*_SHAPES, *more):
        found.update(ROOT.joinpath(name).read_bytes())
    return found.hexdigest()[:12]


def fill(kind: str, size: int, url: str) -> None:
    """Fill an empty log, and say how long that took."""
    began = time.perf_counter()
    print(f"making a log of {size:,} {'tasks' if kind == 'live' else 'events'}, once", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        _fill(kind, size, url, Path(folder))
    seconds = time.perf_counter() - began
    print(f"made {head_of(url):,} events in {seconds:.0f} s", file=sys.stderr, flush=True)


def _fill(kind: str, size: int, url: str, folder: Path) -> None:
    plans = [handlers.half_done()] if kind == "live" else [handlers.order(steps) for steps in (4, 4, 5, 5, 6)]
    template = open_store(url_of(_run(folder / "template.db", plans)))
    store = open_store(url)
    try:
        writer = Copies(template, store)
        per_copy = _TEMPLATE_TASKS if kind == "live" else len(writer.events)
        writer.write(-(-size // per_copy))
    finally:
        template.close()
        store.close()
    with Tasker(url, settings={}) as app:
        app.projections.rebuild()


def _run(file: Path, plans: list[TaskDefinition]) -> Path:
    """Let the engine run the tasks that are copied."""
    with Tasker(url_of(file), settings={}, concurrency=200) as app:
        for plan in plans:
            app.register(plan)
        names = [plans[number % len(plans)].name for number in range(_TEMPLATE_TASKS)]
        app.submit_many(
            [{"name": name, "context": {"n": number}, "tags": ["bench"]} for number, name in enumerate(names)]
        )
        deadline = time.monotonic() + PATIENCE
        app.run_until_idle()
        while app.tasks(status="in_progress", limit=1).items and plans[0].name != "half_done":
            if time.monotonic() > deadline:
                raise TimeoutError("the tasks of a history have not ended")
            time.sleep(0.01)  # a retry falls due
            app.run_until_idle()
    return file


class Copies:
    """Appends the events of one log to another, again and again, as new tasks.

    Attributes:
        events: What is appended with each copy, in order.
    """

    def __init__(self, template: Store, store: Store) -> None:
        """Read the template."""
        rows = template.log.tail(0, limit=sys.maxsize)
        self.events = [row for row in rows if row.header.namespace != CONTROL_NAMESPACE]
        self._definitions = dict(template.archive.definitions())
        self._work = list(template.work.all())
        self._store = store
        self._id = id_maker(SystemIds())
        self._span = self.events[-1].time - self.events[0].time + 1000

    def write(self, copies: int) -> None:
        """Append so many copies; the last one has the times of the template, the others lie before it."""
        work: list[tuple[bytes, WorkItem]] = []
        for number in range(copies):
            streams = {one: self._id() for one in dict.fromkeys(event.stream_id for event in self.events)}
            appended = self._store.log.append(list(self._appends(streams, (number + 1 - copies) * self._span)))
            if not all(isinstance(result, Appended) for result in appended):
                raise RuntimeError(f"copy {number} lost against another writer; nobody else may write this log")
            work += [(streams[stream_id], item) for stream_id, item in self._work]
        self._store.work.replace(work)

    def _appends(self, streams: dict[bytes, bytes], moved: int) -> Iterator[Append]:
        ids: dict[bytes, bytes] = {}
        for stream_id, group in groupby(self.events, attrgetter("stream_id")):
            rows = list(group)
            first = rows[0].version == 1
            header = rows[0].header
            digest = header.definition_digest
            yield Append(
                streams[stream_id],
                rows[0].version - 1,
                [self._moved(row, moved, ids) for row in rows],
                header if first else None,
                (digest, self._definitions[digest]) if first else None,
            )

    def _moved(self, row: StoredEvent, moved: int, ids: dict[bytes, bytes]) -> NewEvent:
        """Give an event a new id and its time; the event that caused it has a new id as well."""
        event_id = ids[row.event_id] = self._id()
        caused = row.causation_id
        return NewEvent(
            event_id,
            row.code,
            row.type,
            row.schema_version,
            row.time + moved,
            row.step,
            row.attempt,
            None if row.due is None else row.due + moved,
            row.actor,
            None if caused is None else ids.get(caused, caused),
            row.metadata,
            row.data,
            row.payload,
        )


def main() -> None:
    """Make a log, or say where it is."""
    kind, size = sys.argv[1], int(sys.argv[2])
    print(_cached(kind, size, make=True))


if __name__ == "__main__":
    main()
