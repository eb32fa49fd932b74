"""Verification in parts: it gives what one pass gives, needs no other process, and leaves none behind."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from tasker.audit import Audit, helpers, verify
from tasker.audit.helpers import Parts
from tasker.codec.chain import event_hash, header_bytes, stream_root
from tasker.codec.definition import digest
from tasker.errors import ChainBroken, TaskerError
from tasker.fold import Part
from tasker.log.open import open_store
from tests.contracts.kit import more, new_id, start
from tests.contracts.lives import control, populate
from tests.properties.fold_kit import by_python, compiled_only
from tests.unit.audit.parts_kit import Here, parts

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 20
SWAP = "UPDATE events SET position = {1} WHERE position = {0}"
SLOW = (
    "import sys; sys.path[:] = sys.argv[1:]; import time; from tasker.audit import worker; "
    "worker.verified = lambda *_: time.sleep(60); worker.main()"
)
#: Runs the command with other processes that take long, tells who they are, and has no guard against being imported.
PROGRAM = f"""
import sys
from tasker.audit import audit, helpers
from tasker.audit.helpers import Parts, Process
from tasker.cli import main

helpers._RUN = {SLOW!r}

class Known(Process):
    def __init__(self, order):
        super().__init__(order)
        print(self._process.pid, flush=True)

audit.Parts = lambda: Parts(3, 1, Known)
print("imported", flush=True)
main()
"""


@pytest.fixture
def store(tmp_path):
    """Give a store on a new file with many tasks, of which some were erased."""
    found = open_store(f"sqlite:///{tmp_path / 'log.db'}")
    seed, lives = Random(1), []
    populate(found.log, seed, lives, rounds=40)
    control(found.log)
    while not any(life.task.erased for life in lives):
        populate(found.log, seed, lives, rounds=20)
    populate(found.log, seed, lives, rounds=20)
    yield found
    found.close()


@pytest.fixture
def read(monkeypatch):
    """Give the last positions of the parts that this process reads itself."""
    found, real = [], verify.read
    monkeypatch.setattr(verify, "read", lambda *values: found.append(values[2]) or real(*values))
    return found


def raw(store, *statements):
    """Run statements past every rule of the log."""
    with sqlite3.connect(store._database.path) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


@compiled_only
@pytest.mark.parametrize("count", [2, 3, 10, 100_000])
def test_parts_are_the_whole(store, read, count):
    """However a log is cut, the same is counted, and this process reads the first part only."""
    told = []
    found = Audit(store)._verify(lambda *at: told.append(at), parts(count))
    ends = parts(count).ends(store.log.head())
    assert read == ends[:1]
    assert found == Audit(store).verify()
    assert told[-1] == (store.log.head(), store.log.head())
    assert (len(ends), ends[-1]) == (min(count, store.log.head()), store.log.head())


def test_the_first_part_is_longer():
    """All parts are alike but the first, with which this process begins while others still start."""
    more = helpers._MEANWHILE
    assert sizes(Parts(3).ends(3_000_000 + more)) == [1_000_000 + more, 1_000_000, 1_000_000]


@compiled_only
def test_processes_verify_parts(store, read):
    """Other processes verify all parts but the first, and progress tells of theirs too."""
    told = []
    cut = Parts(3, 1)
    assert Audit(store)._verify(lambda *at: told.append(at), cut) == Audit(store).verify()
    assert read == [cut.ends(store.log.head())[0], store.log.head()]
    assert told[-1] == (store.log.head(), store.log.head())


def test_what_is_small_or_in_memory_is_not_cut(store, read):
    """A small log, one in memory, and one that Python verifies are read by this process alone."""
    other = open_store("memory://")
    populate(other.log, Random(1), [], rounds=20)
    Audit(store).verify()
    Audit(other)._verify(None, parts(3))
    assert read == [store.log.head(), other.log.head()]
    other.close()


def test_python_verifies_alone(store, read, monkeypatch):
    """Without the compiled fold nothing is cut, and a part on its own is refused."""
    by_python(monkeypatch)
    Audit(store)._verify(None, parts(3))
    assert read == [store.log.head()]
    with pytest.raises(TaskerError, match="compiled fold"):
        Part(store.log.log_id, 0, store.hashes)


@compiled_only
@pytest.mark.parametrize(
    "run",
    ["raise SystemExit(3)", "print(5); print('= 10'); print('short')", "print('! no')", "print('= 3'); print(123)"],
)
def test_a_process_that_fails_is_not_needed(store, read, monkeypatch, caplog, run):
    """Where another process ends early or says nonsense, this one verifies its part, and only the log says so."""
    monkeypatch.setattr(helpers, "_RUN", run)
    caplog.set_level(logging.INFO, "tasker.audit")
    cut = Parts(3, 1)
    assert Audit(store)._verify(None, cut).events == store.log.head()
    assert read == cut.ends(store.log.head())
    assert ("did not verify" in caplog.text) == ("=" not in run)


@compiled_only
def test_a_process_that_cannot_start_is_not_needed(store, read, monkeypatch, caplog):
    """Where no other process can be started, this one verifies all parts."""
    caplog.set_level(logging.INFO, "tasker.audit")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert Audit(store)._verify(None, Parts(3, 1)).events == store.log.head()
    assert len(read) == 3
    assert "no other process" in caplog.text


@pytest.mark.parametrize(("name", "value"), [("executable", "/usr/bin/uwsgi"), ("executable", ""), ("frozen", True)])
def test_another_program_is_never_started(store, read, monkeypatch, name, value):
    """Where the interpreter is part of another program, that is not started again."""
    monkeypatch.setattr(sys, name, value, raising=False)
    assert Audit(store)._verify(None, Parts(3, 1)).events == store.log.head()
    assert read == [store.log.head()]


@compiled_only
@pytest.mark.parametrize(
    ("statements", "position"),
    [
        (["UPDATE events SET data = x'00' WHERE position = {0} + 1"], 1),
        (["UPDATE events SET hash = zeroblob(32) WHERE position = {0}"], 0),
        (["DELETE FROM events WHERE position = {0}"], 0),
        (["DELETE FROM events WHERE position = {0} + 1"], 1),
        (["UPDATE events SET version = version + 1 WHERE position = {0} + 1"], 1),
        ([SWAP.format("{0}", "-1"), SWAP.format("{0} + 1", "{0}"), SWAP.format("-1", "{0} + 1")], 0),
    ],
)
def test_edits_at_a_border(store, statements, position):
    """What is wrong where one part ends and the next begins is named as in one pass."""
    border = parts(4).ends(store.log.head())[1]
    raw(store, *(statement.format(border) for statement in statements))
    errors = []
    for cut in (parts(4), parts(1)):
        with pytest.raises(ChainBroken) as broken:
            Audit(store)._verify(None, cut)
        errors.append((str(broken.value), broken.value.expected, broken.value.found))
    assert errors[0] == errors[1]
    assert broken.value.position == border + position


@compiled_only
def test_a_stream_that_begins_twice(tmp_path):
    """A second first event of a stream that began in another part is found, though its own hash is sound."""
    store = open_store(f"sqlite:///{tmp_path / 'log.db'}")
    log, stream_id = store.log, new_id()
    log.append([start(stream_id), more(stream_id, 1), start(new_id())])
    row = log.tail(2, limit=1)[0]
    root = stream_root(log.log_id, stream_id, header_bytes(*log.header(stream_id)))
    sound = event_hash(root, 3, stream_id, 1, row[3:15], None)
    raw(
        store,
        f"DELETE FROM streams WHERE stream_id = x'{row.stream_id.hex()}'",
        f"UPDATE events SET stream_id = x'{stream_id.hex()}', version = 1, hash = x'{sound.hex()}' WHERE position = 3",
    )
    part = Part(log.log_id, 2, store.hashes)
    assert part.feed(log.links(2, limit=1))
    for cut in (parts(3), parts(1)):
        with pytest.raises(ChainBroken, match="expected version 3 of stream") as broken:
            Audit(store)._verify(None, cut)
        assert broken.value.position == 3
    store.close()


@compiled_only
def test_long_streams_go_on_in_every_part(tmp_path):
    """Streams that have events in all parts go on from what other parts found, however many there are."""
    store = open_store(f"sqlite:///{tmp_path / 'log.db'}")
    streams, plan = [new_id() for _ in range(700)], b"plan"
    begun = [start(one) for one in streams]
    header = begun[0].header._replace(definition_digest=digest(plan))
    store.log.append([one._replace(header=header, definition=(digest(plan), plan)) for one in begun])
    for version in range(1, 5):
        store.log.append([more(one, version) for one in streams])
    used = []
    found = Audit(store)._verify(None, parts(5, lambda order: used.append(Here(order)) or used[-1]))
    assert found == (3500, 700, 1, 0)
    assert [one.done for one in used] == sizes(parts(5).ends(3500))[1:]
    store.close()


def sizes(ends):
    """Give how many events each part has."""
    return [end - after for after, end in zip([0, *ends], ends, strict=False)]


def alive(pid):
    """Say whether a process runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


@compiled_only
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL", "SIGTERM", "group"])
def test_nothing_is_left_behind(store, how):
    """However the command ends, nothing of it runs a moment later; interrupted, it says 130; no program runs twice."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TASKER_URL": store.url}
    command = [sys.executable, "-c", PROGRAM, "audit", "verify"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        assert process.stdout.readline() == "imported\n"
        others = [int(process.stdout.readline()) for _ in range(2)]
        assert all(map(alive, others))
        if how == "group":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.Signals[how])
        begun = time.monotonic()
        code = process.wait(SECONDS)
        while any(map(alive, others)) and time.monotonic() < begun + SECONDS:
            time.sleep(0.01)
        assert time.monotonic() - begun < SECONDS
        assert process.stdout.read() == ""
    assert code == {"SIGKILL": -9, "SIGTERM": -15}.get(how, 130)
