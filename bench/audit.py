"""Measures of an audit: a log verified and exported, single tasks shown as they were, and the proof of one of them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from bench.setting import PATIENCE, ROOT, Bench, Figures, path_of
from bench.sums import middle, percentile
from tasker.audit import keygen
from tasker.codec.decode import text_id
from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.codec.rows import StoredEvent
from tasker.log.open import open_store

_VERIFIER = ROOT / "tasker" / "audit" / "standalone" / "verify_proof.py"
_FILES = "sqlite:"
_WARM_UP = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def audit_verify(bench: Bench) -> Figures:
    """Recompute the chains of the large log; a file also with nothing of it in memory, by a process that just began."""
    url = _large(bench)
    found = {"audit_verify": _verified(bench, url)}
    if url.startswith(_FILES):
        _forget(path_of(url))
        found["audit_verify_cold"] = _verified(bench, url)
    return found


def _verified(bench: Bench, url: str) -> float:
    """Give events a second."""
    with bench.app(url=url) as app:
        began = time.perf_counter()
        return app.audit.verify().events / (time.perf_counter() - began)


def _forget(file: Path) -> None:
    """Have what a file holds dropped from memory."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def audit_export(bench: Bench) -> Figures:
    """Write a log as CloudEvents into a file, which is durable when the call returns."""
    upto, file = bench.pick(300_000, 2_000_000), bench.folder / "export.jsonl"
    with bench.app(url=_large(bench)) as app:
        began = time.perf_counter()
        events = app.audit.export(file, before=upto + 1).events
        seconds = time.perf_counter() - began
    return {"audit_export": events / seconds, "audit_export_bytes": file.stat().st_size / events}


def audit_reads(bench: Bench) -> Figures:
    """Show, and replay, tasks as they were half-way through their streams: by calls, and by whole commands."""
    url = _large(bench)
    chosen = list(_tasks(url, _WARM_UP + bench.pick(30, 300)))
    points = [(task, _EPOCH + timedelta(microseconds=rows[len(rows) // 2].time)) for task, rows in chosen]
    found: Figures = {}
    with bench.app(url=url) as app:
        for name, call in (("show", app.task), ("replay", app.replay)):
            warm = [_timed(partial(call, task, at=at)) for task, at in points][_WARM_UP:]
            found |= {f"audit_{name}_p50_ms": middle(warm), f"audit_{name}_p99_ms": percentile(warm, 0.99)}
    some = points[: bench.pick(3, 15)]
    for name, words in (("show", ("show",)), ("replay", ("replay", "--task"))):
        commands = [partial(_tasker, *words, task, "--at", at.isoformat(), "--url", url) for task, at in some]
        found[f"audit_{name}_command_ms"] = middle([_timed(one) for one in commands])
    return found | {"audit_start_ms": middle([_timed(partial(_tasker, "--version")) for _ in some])}


def audit_proof(bench: Bench) -> Figures:
    """Seal a log, write the proofs of tasks, and check them where there is no database."""
    url, key = _large(bench), bench.folder / "key"
    chosen = [task for task, _ in _tasks(url, bench.pick(5, 30))]
    keygen(key)
    with bench.app(url=url) as app:
        sealed = _timed(partial(app.audit.seal, key))
        proved = [_timed(partial(app.audit.prove, task)) for task in chosen]
        proofs = [app.audit.prove(task) for task in chosen]
    checked = []
    for place, proof in enumerate(proofs):
        file = bench.folder / f"proof{place}.json"
        file.write_text(proof)
        checked.append(_timed(partial(_run, str(_VERIFIER), str(file))))
    return {
        "audit_seal_s": sealed / 1e3,
        "audit_prove_ms": middle(proved),
        "audit_proof_bytes": float(max(_beside_events(proof) for proof in proofs)),
        "audit_proof_check_ms": max(checked),
    }


def _beside_events(proof: str) -> int:
    """Count the bytes of a proof that are not its events."""
    return len(json.dumps({**json.loads(proof), "events": []}, separators=(",", ":")))


def _tasks(url: str, count: int) -> Iterator[tuple[str, list[StoredEvent]]]:
    """Choose tasks from all over a log, always the same; give their ids and events."""
    store, places = open_store(url), random.Random(1)
    seen: set[bytes] = set()
    try:
        head = store.log.head()
        while len(seen) < count:
            (event,) = store.log.events_at([places.randint(1, head)])
            if event.stream_id not in seen and event.header.namespace != CONTROL_NAMESPACE:
                seen.add(event.stream_id)
                yield text_id(event.stream_id), store.log.stream(event.stream_id)
    finally:
        store.close()


def _timed(work: Callable[[], object]) -> float:
    """Give the milliseconds of a call."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def _tasker(*words: str) -> None:
    """Run the command as people do; what it prints goes nowhere."""
    _run("-m", "tasker", *words)


def _run(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE, cwd=ROOT)


def _large(bench: Bench) -> str:
    if bench.large is None:
        raise RuntimeError("expected a large log for this measure, found none: name it NAME@large")
    return bench.large
