"""Measures of what reads a whole history: fold, verify, rebuild; in Python and, where it is there, compiled."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from bench import handlers
from bench.heads import FIRST, LAST, Page, Source, fold, tally
from bench.setting import PATIENCE, ROOT, Bench, Figures, path_of
from bench.sums import middle
from tasker.codec.decode import text_id
from tasker.codec.rows import StoredEvent
from tasker.domain.definition import TaskDefinition
from tasker.domain.status import LIVE
from tasker.fold import fold_stream
from tasker.fold.native import Native, native
from tasker.log.open import open_store
from tasker.log.port import Store
from tasker.projections.rebuild import definition_of

_AGAIN = 5


def history(bench: Bench) -> Figures:
    """Write a log, verify its chain, rebuild its read models, and fold its streams."""
    url = bench.url()
    with bench.app(*(handlers.chain(steps, f"chain{steps}") for steps in (4, 5, 6)), url=url) as app:
        tasks = bench.pick(900, 3000)
        app.submit_many([{"name": f"chain{4 + n % 3}", "context": {"n": n}} for n in range(tasks)])
        app.run_until_idle()
        verified = _rate(lambda: app.audit.verify().events)
        rebuilt = _rate(lambda: app.projections.rebuild().events)
    store = open_store(url)
    try:
        in_memory = _python(store)
    finally:
        store.close()
    module = native()
    own = {"verify_small": verified, "rebuild_small": rebuilt, "fold_python": in_memory}
    return own if module is None else own | _compiled(bench, module, url)


def verify(bench: Bench) -> Figures:
    """Recompute the chains of the large log, reading included."""
    with bench.app(url=_large(bench)) as app:
        return {"verify": _rate(lambda: app.audit.verify().events)}


def rebuild(bench: Bench) -> Figures:
    """Fill new read models from the large log, a row for each task and each step."""
    with bench.app(url=_large(bench)) as app:
        began = time.perf_counter()
        rate = _rate(lambda: app.projections.rebuild().events)
        return {"rebuild": rate, "rebuild_s": time.perf_counter() - began}


def folds(bench: Bench) -> Figures:
    """Fold the large log compiled."""
    module = native()
    return {} if module is None else _compiled(bench, module, _large(bench))


def _compiled(bench: Bench, module: Native, url: str) -> Figures:
    """Fold a log compiled, on one core: tuples, a packed buffer, from the file; and some of it in Python, likewise."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    source = Source(path_of(url), module)
    try:
        pages = list(islice(source.pages(), bench.pick(10, 200)))
        tuples, packed = _in_memory(module, source, pages)
        last = pages[-1].streams[-1][0]
        from_file = _rate(lambda: sum(fold(module, source, page) for page in source.pages(last=last)))
        in_python = _rate(lambda: sum(_from_file(source, page) for page in pages[: bench.pick(5, 40)]))
    finally:
        source.close()
    found = {"fold_tuples": tuples, "fold_packed": packed, "fold_file": from_file}
    return found | {"fold_over_python": from_file / in_python}


def cold(bench: Bench) -> Figures:
    """Fold a log whose file is not in memory: in one process, and in two with half of the streams each."""
    module = native()
    if module is None:
        return {}
    file = path_of(_large(bench))
    source = Source(file, module)
    half = source.middle()
    source.close()
    return {
        "cold_one_s": _apart(file, [(FIRST, LAST)]),
        "cold_two_s": _apart(file, [(FIRST, half), (half, LAST)]),
    }


def _apart(file: Path, ranges: list[tuple[bytes, bytes]]) -> float:
    """Give the seconds in which one process for each range has read and folded it; the states stay with them."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    one_core = {**os.environ, "RAYON_NUM_THREADS": "1"}
    began = time.perf_counter()
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.heads", str(file), first.hex(), last.hex()], cwd=ROOT, env=one_core
        )
        for first, last in ranges
    ]
    if max([process.wait(PATIENCE) for process in started]):
        raise RuntimeError("a process that folds a part of the log has failed; its error stands above")
    return time.perf_counter() - began


def _in_memory(module: Native, source: Source, pages: list[Page]) -> tuple[float, float]:
    """Give events a second of folding tuples, and of folding the same as packed buffers; medians."""
    events = sum(page.events for page in pages)
    buffers = [page.packed() for page in pages]

    def tuples() -> int:
        for page in pages:
            tally(module, source, page, page.heads)
        return events

    def packed() -> int:
        for page, buffer in zip(pages, buffers, strict=True):
            tally(module, source, page, buffer)
        return events

    return middle([_rate(tuples) for _ in range(_AGAIN)]), middle([_rate(packed) for _ in range(_AGAIN)])


def _from_file(source: Source, page: Page) -> int:
    """Fold the streams of a page in Python, from the file."""
    events = 0
    for stream_id, plan in page.streams:
        rows = source.store.log.stream(stream_id)
        _fold(source.definitions[plan], stream_id, rows)
        events += len(rows)
    return events


def _large(bench: Bench) -> str:
    if bench.large is None:
        raise RuntimeError("expected a large log for this measure, found none")
    return bench.large


def _rate(work: Callable[[], int]) -> float:
    """Give events a second of something that says how many events it took."""
    began = time.perf_counter()
    events = work()
    return events / (time.perf_counter() - began)


def _python(store: Store) -> float:
    """Fold every stream from rows in memory."""
    rows = store.log.tail(0, limit=sys.maxsize)
    definitions = {digest: definition_of(store.log, digest) for digest, _ in store.archive.definitions()}
    streams: dict[bytes, list[StoredEvent]] = {}
    for row in rows:
        streams.setdefault(row.stream_id, []).append(row)
    began = time.perf_counter()
    for stream_id, events in streams.items():
        _fold(definitions[events[0].header.definition_digest], stream_id, events)
    return len(rows) / (time.perf_counter() - began)


def _fold(definition: TaskDefinition, stream_id: bytes, events: list[StoredEvent]) -> None:
    status = fold_stream(definition, text_id(stream_id), events).status
    if status in LIVE:
        raise RuntimeError(f"expected only ended tasks, found one that is {status}")
