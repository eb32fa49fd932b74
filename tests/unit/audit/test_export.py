"""Export: every event once, in order, as its CloudEvent; with filters, resumed, by other processes, in Parquet."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from datetime import timedelta
from random import Random

import pytest

from tasker.audit import Audit
from tasker.audit import export as exporting
from tasker.audit.lines import Lines
from tasker.codec.decode import text_id
from tasker.codec.recorded import RecordedEvent
from tasker.errors import InvalidRequest, TaskerError, UnknownTask
from tasker.log.open import open_store
from tests.contracts.lives import control, populate
from tests.golden.portable import Golden
from tests.golden.test_golden import FOLDERS

DEAD = "import sys; sys.stdin.readline(); print('! no')"
HALF = "import sys; sys.stdin.readline(); sys.stdin.readline(); print('= 100 1 5'); print('short'); sys.stdout.flush()"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Give a store on a file with many tasks."""
    found = open_store(f"sqlite:///{tmp_path_factory.mktemp('export') / 'log.db'}")
    populate(found.log, Random(3), [], rounds=120)
    control(found.log)
    populate(found.log, Random(4), [], rounds=20)
    yield found
    found.close()


def shown(store):
    """Give every event of a log as its CloudEvent."""
    return [RecordedEvent(one, store.log.log_id).cloudevent() for one in store.log.tail(0, limit=10_000)]


def exported(store, **wanted):
    """Export into memory; give the events and what was said."""
    output = io.BytesIO()
    done = Audit(store).export(output, **wanted)
    lines = output.getvalue().splitlines()
    assert done.events == len(lines)
    return [json.loads(line) for line in lines], done


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_line_is_the_cloudevent(folder):
    """Events of every type that a release has recorded are written as subscribers see them."""
    golden = Golden(folder)
    lines = Lines(golden.log_id)
    for row in golden.rows:
        for one in (row, row._replace(metadata=b'{"traceparent":"00-1-2-01"}'), row._replace(actor="ann", due=5)):
            assert json.loads(lines.line(one)) == RecordedEvent(one, golden.log_id).cloudevent()


def test_all_of_it_in_order(store):
    """Without filters every event comes once, in the order of positions."""
    told = []
    found, done = exported(store, progress=lambda *at: told.append(at))
    assert found == shown(store)
    assert done.last == len(found) == store.log.head()
    assert told[-1] == (done.last, done.last)


def test_filters(store):
    """Types, namespace, task, positions and times choose, also together."""
    events = shown(store)
    middle = events[len(events) // 2]
    moment = RecordedEvent(store.log.tail(middle["position"] - 1, limit=1)[0]).time
    task = middle["subject"]
    for wanted, rule in (
        ({"types": "step.*"}, lambda one: one["type"].startswith("tasker.step.")),
        (
            {"types": ["task.created", "task.completed"]},
            lambda one: one["type"][7:] in {"task.created", "task.completed"},
        ),
        ({"namespace": "ns1"}, lambda one: one["source"].endswith("/ns1")),
        ({"task_id": task}, lambda one: one["subject"] == task),
        ({"task_id": task, "after": middle["position"]}, lambda one: one["subject"] == task and later(one, middle)),
        ({"task_id": task, "types": "step.*"}, lambda one: one["subject"] == task and one["type"][7] == "s"),
        ({"after": middle["position"]}, lambda one: later(one, middle)),
        ({"before": middle["position"]}, lambda one: one["position"] < middle["position"]),
        ({"after": moment}, lambda one: one["time"] > middle["time"]),
        ({"before": moment + timedelta(microseconds=1)}, lambda one: one["time"] <= middle["time"]),
        ({"after": 10**9}, lambda _: False),
        ({"before": 0 + 1}, lambda _: False),
    ):
        found, _ = exported(store, **wanted)
        assert found == [one for one in events if rule(one)], wanted


def later(one, other):
    """Say whether an event has a greater position."""
    return one["position"] > other["position"]


def test_what_is_wrong_is_said(store, tmp_path):
    """Wrong arguments are refused before anything is written."""
    for wanted in ({"types": "no thing"}, {"types": []}, {"after": -1}, {"before": -5}, {"resume": True}):
        with pytest.raises(InvalidRequest):
            exported(store, **wanted)
    with pytest.raises(UnknownTask):
        exported(store, task_id=text_id(bytes(16)))
    file = tmp_path / "there"
    file.write_bytes(b"mine\n")
    with pytest.raises(InvalidRequest, match="expected no file"):
        Audit(store).export(file)
    with pytest.raises(InvalidRequest, match="can be written"):
        Audit(store).export(tmp_path / "nowhere/file")
    with pytest.raises(InvalidRequest, match="another last line"):
        Audit(store).export(file, resume=True)
    assert file.read_bytes() == b"mine\n"
    with pytest.raises(InvalidRequest, match="found"):
        Audit(store).export(tmp_path, resume=True)


def test_it_is_resumed(store, tmp_path):
    """An export that ended anywhere goes on behind its last whole line, and the file is as one export makes it."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    Audit(store).export(whole)
    content = whole.read_bytes()
    for size in (0, 10, len(content) // 2, content.index(b"\n") + 1, len(content) - 1, len(content)):
        part.write_bytes(content[:size])
        done = Audit(store).export(part, resume=True)
        assert part.read_bytes() == content
        assert done.last == store.log.head()
    assert Audit(store).export(part, resume=True).events == 0
    assert Audit(store).export(tmp_path / "new", resume=True).events == store.log.head()


def test_a_full_disk_is_told(store, tmp_path, monkeypatch):
    """A disk that is full is one line that says what to do; what was written is there, and the export goes on."""
    path = tmp_path / "events.jsonl"

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(TaskerError, match=r"events\.jsonl: expected .* found No space left .* resume this export"):
            Audit(store).export(path)
    assert Audit(store).export(path, resume=True).last == store.log.head()


def test_no_line_at_the_end(store, tmp_path):
    """A large file without lines at its end is no export, and stays as it is."""
    file = tmp_path / "file"
    file.write_bytes(bytes(exporting._TAIL_BYTES + 5))
    with pytest.raises(InvalidRequest, match="found none at its end"):
        Audit(store).export(file, resume=True)
    assert file.stat().st_size == exporting._TAIL_BYTES + 5


@pytest.mark.parametrize("run", [exporting._RUN, DEAD, HALF])
@pytest.mark.parametrize("others", [1, 3])
def test_other_processes_write_the_same(store, monkeypatch, run, others):
    """With other processes the same comes in the same order, also where those end early."""
    monkeypatch.setattr(exporting, "_LEAST", 1)
    monkeypatch.setattr(exporting, "_EVENTS", 40)
    monkeypatch.setattr(exporting, "cores", lambda: others)
    monkeypatch.setattr(exporting, "_RUN", run)
    assert exported(store)[0] == shown(store)
    assert exported(store, types="step.*", after=17, before=100)[0] == [
        one for one in shown(store) if one["type"].startswith("tasker.step") and 17 < one["position"] < 100
    ]


def test_other_processes_that_cannot_start(store, monkeypatch):
    """Where no other process can be started, this one writes all."""
    monkeypatch.setattr(exporting, "_LEAST", 1)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert exported(store)[0] == shown(store)


def test_parquet_needs_its_extra(store, tmp_path, monkeypatch):
    """Without the library the line that installs it is named, and no file is made."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TaskerError, match=r"pip install 'tasker-engine\[parquet\]'"):
        Audit(store).export(tmp_path / "log.parquet", parquet=True)
    with pytest.raises(InvalidRequest, match="cannot be resumed"):
        Audit(store).export(tmp_path / "log.parquet", parquet=True, resume=True)
    with pytest.raises(InvalidRequest, match="takes bytes"):
        Audit(store).export(io.BytesIO(), parquet=True)
    assert list(tmp_path.iterdir()) == []


def test_parquet(store, tmp_path):
    """A Parquet file has a row for each event, with the values of its line; a failed one leaves nothing."""
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "log.parquet"
    assert Audit(store).export(file, parquet=True, types="step.*").last == store.log.head()
    rows, lines = parquet.read_table(file).to_pylist(), exported(store, types="step.*")[0]
    assert [row["position"] for row in rows] == [line["position"] for line in lines]
    for row, line in zip(rows, lines, strict=True):
        assert json.loads(row.pop("data")) == line.pop("data")
        assert row.pop("time").isoformat(timespec="microseconds").replace("+00:00", "Z") == line.pop("time")
        assert {name: value for name, value in row.items() if value is not None}.items() <= line.items()
    with pytest.raises(InvalidRequest, match="expected no file"):
        Audit(store).export(file, parquet=True)
    with pytest.raises(ZeroDivisionError):
        Audit(store).export(tmp_path / "other", parquet=True, progress=lambda *_: 1 // 0)
    assert list(tmp_path.iterdir()) == [file]
