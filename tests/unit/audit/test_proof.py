"""Proofs: they hold without the database, and no byte of one can be changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from random import Random

import pytest

from tasker.audit import proof
from tasker.audit.standalone import verify_proof
from tasker.audit.standalone.verify_proof import ProofBroken, canonical, check
from tasker.codec.decode import id_bytes
from tasker.codec.registry import CODES
from tasker.domain.events import TaskErased
from tasker.errors import ChainBroken, InvalidRequest, TaskerError, UnknownTask
from tests.unit.audit.sealed_kit import grow, sealed, task_ids
from tests.unit.audit.test_seals import raw

EDITS = 600
SMALL = 10_000


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Give a sealed log, which no test changes."""
    found = sealed(tmp_path_factory.mktemp("proof"))
    yield found
    found.store.close()


@pytest.fixture
def own(tmp_path):
    """Give a sealed log for changing."""
    found = sealed(tmp_path)
    yield found
    found.store.close()


def test_every_task_can_be_proved(log):
    """The proof of each task holds, has all of its events, and beyond them less than 10 kB."""
    for task_id in task_ids(log.store):
        text = log.audit.prove(task_id)
        stream = log.store.log.stream(id_bytes(task_id))
        found = check(text.encode(), [log.key_id])
        assert (found.task_id, found.events, found.last) == (task_id, len(stream), stream[-1].position)
        assert found.key_ids == (log.key_id,)
        value = json.loads(text)
        assert len(text) - len(canonical(value["events"])) < SMALL


def test_a_proof_is_canonical(log):
    """A proof is one line, as the format of stored JSON, and the same each time."""
    text = log.audit.prove(log.erased)
    assert text == canonical(json.loads(text)) == log.audit.prove(log.erased)
    assert text.count("\n") == 1


def holds(proof) -> bool:
    """Tell whether a proof is believed."""
    try:
        check(proof)
    except ProofBroken:
        return False
    return True


def test_no_byte_can_be_changed(log):
    """Whichever byte of a proof is changed, removed or put in, it does not hold any more."""
    seed, held = Random(1), []
    original = min((log.audit.prove(one) for one in task_ids(log.store)), key=len).encode()
    assert check(original)
    for place in seed.sample(range(len(original)), min(EDITS, len(original))):
        one = original[place]
        for middle in (bytes([one ^ 1 << seed.randrange(8)]), b"", bytes([one, one])):
            edited = original[:place] + middle + original[place + 1 :]
            if edited != original and holds(edited):
                held.append(edited)
    assert held == []


def test_values_of_another_kind_are_refused(log):
    """A value of a proof that is replaced by any other is refused, never with another error."""
    value = json.loads(log.audit.prove(log.erased))
    for path in paths(value):
        for other in (None, True, 0, -1, 1.5, 2**70, "", "x", "00" * 32, [], {}, {"hex": "00"}):
            before = put(value, path, other)
            if canonical(before) != canonical(other):
                with pytest.raises(ProofBroken):
                    check(canonical(value).encode())
            put(value, path, before)
    assert check(canonical(value).encode())


def paths(value, path=()):
    """Give the way to each value inside another, of lists the first and the last only."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        if not isinstance(key, int) or key in (0, len(value) - 1):
            yield (*path, key)
            yield from paths(one, (*path, key))


def put(value, path, other):
    """Replace the value at the end of a way; give what was there."""
    for key in path[:-1]:
        value = value[key]
    before, value[path[-1]] = value[path[-1]], other
    return before


def test_an_erased_task_is_proved_without_its_payloads(log):
    """Payloads that were erased are missing in a proof that holds; without task.erased the same is a broken one."""
    value = json.loads(log.audit.prove(log.erased))
    gone = [one for one in value["events"] if one["payload_hash"] and one["payload"] is None]
    assert gone
    assert CODES[TaskErased] == verify_proof._ERASED
    whole = next(one for one in task_ids(log.store) if erasable(log.store, one))
    value = json.loads(log.audit.prove(whole))
    first = next(one for one in value["events"] if one["payload"] is not None)
    first["payload"] = first["salt"] = None
    with pytest.raises(ProofBroken, match=f"position {first['position']}: expected a payload"):
        check(canonical(value).encode())


def erasable(store, task_id):
    """Say whether a task has payloads and was not erased."""
    events = store.log.stream(id_bytes(task_id))
    return any(one.payload for one in events) and not any(one.code == CODES[TaskErased] for one in events)


def test_events_and_seals_belong_together(log):
    """A proof with fewer events, another order, fewer seals or the seals of another task does not hold."""
    ids = sorted(task_ids(log.store), key=lambda one: -len(json.loads(log.audit.prove(one))["seals"]))
    value, other = (json.loads(log.audit.prove(one)) for one in ids[:2])
    events, seals = value["events"], value["seals"]
    assert len(seals) > 1
    for change in (
        {"events": events[:-1]},
        {"events": events[1:]},
        {"events": [*events[:-2], events[-1], events[-2]]},
        {"events": []},
        {"events": other["events"]},
        {"stream": other["stream"]},
        {"seals": seals[:-1]},
        {"seals": seals[1:]},
        {"seals": seals[::-1]},
        {"seals": [seals[0], *seals]},
        {"seals": []},
        {"seals": other["seals"]},
        {"log_id": "00" * 16},
    ):
        with pytest.raises(ProofBroken):
            check(canonical(value | change).encode())


def test_keys_can_be_named(log):
    """A proof by another key than those that are named does not hold."""
    text = log.audit.prove(log.erased).encode()
    with pytest.raises(ChainBroken, match="expected a signature by"):
        proof.check(text, ["00" * 32])
    assert proof.check(text, ["00" * 32, log.key_id])


def test_only_what_is_sealed_is_proved(own):
    """Events behind the last seal are left out; a task that has no others, or is none, is refused."""
    task_id = grow(own.store)
    with pytest.raises(InvalidRequest, match="Seal it first"):
        own.audit.prove(task_id)
    for wrong in ("nonsense", "00" * 16, "", own.store.log.tail(0, limit=1)[0].event_id.hex()):
        with pytest.raises(UnknownTask):
            own.audit.prove(wrong)
    own.audit.seal(own.key)
    assert check(own.audit.prove(task_id).encode()).events == len(own.store.log.stream(id_bytes(task_id)))


def test_a_changed_log_proves_nothing(own):
    """Of a task whose events or whose seals were changed no proof is given."""
    position = own.store.log.stream(id_bytes(own.erased))[-1].position
    for statement in (
        f"UPDATE events SET hash = zeroblob(32) WHERE position = {position}",
        f"UPDATE events SET data = x'7b7d' WHERE position = {position}",
    ):
        raw(own.store, statement)
        with pytest.raises(ChainBroken):
            own.audit.prove(own.erased)


def test_the_file_works_alone(log, tmp_path):
    """The one file checks proofs where Tasker is not, says what they prove, and ends with 0, 1 or 2."""
    alone = shutil.copy(verify_proof.__file__, tmp_path / "verify_proof.py")
    text = log.audit.prove(log.erased)
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(text, encoding="utf-8")
    bad.write_text(text.replace('"actor":null', '"actor":"me"', 1), encoding="utf-8")
    for arguments, code, said in (
        ((good,), 0, "is not checked"),
        ((good, "--key", log.key_id), 0, f"signed by {log.key_id}"),
        ((good, "--key", "00" * 32), 1, "does not hold"),
        ((bad,), 1, "does not hold"),
        ((tmp_path / "none.json",), 2, "Nothing was checked"),
    ):
        done = subprocess.run(
            [sys.executable, "-I", alone, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done
    assert "import tasker" not in alone.read_text(encoding="utf-8")


def test_without_the_extra(log, monkeypatch):
    """Without the library a proof names the line that installs it."""
    text = log.audit.prove(log.erased).encode()
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(TaskerError, match=r"pip install 'tasker-engine\[audit\]'"):
        proof.check(text)
    assert verify_proof.main(["nowhere.json"]) == 2
