"""Golden logs: what a release has recorded, today's code still verifies, folds and shows alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasker.codec.decode import decode, decode_control, text_id
from tasker.codec.definition import decode as definition_of
from tasker.codec.definition import digest
from tasker.codec.recorded import RecordedEvent
from tasker.codec.registry import FIRST_CUSTOM_CODE, SYSTEM_TYPES
from tasker.domain.events import TaskErased
from tasker.fold import Verifier, fold_stream
from tests.golden.portable import Golden, row_json, row_of, state_json

FOLDERS = sorted(path.parent for path in Path(__file__).parent.glob("v*/log.jsonl"))
NEWEST = FOLDERS[-1]


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def golden(request):
    """Give each recorded log."""
    return Golden(request.param)


def test_it_verifies(golden):
    """The chain of a recorded log verifies, and its definitions have their digests."""
    verifier = Verifier(golden.log_id)
    verifier.feed(golden.rows)
    assert (verifier.position, list(verifier.gone())) == (golden.head, [])
    assert [digest(stored) for stored in golden.definitions.values()] == list(golden.definitions)


def test_it_folds_to_the_recorded_states(golden):
    """Every stream of a recorded log folds to the state that was recorded with it."""
    folded = {}
    for stream_id, rows in golden.streams().items():
        plan = definition_of(golden.definitions[rows[0].header.definition_digest])
        folded[text_id(stream_id)] = state_json(fold_stream(plan, text_id(stream_id), rows))
    assert json.loads(json.dumps(folded)) == golden.states


def test_folding_goes_on_from_any_version(golden):
    """A fold that goes on from the state of any earlier version gives the same state."""
    for stream_id, rows in golden.streams().items():
        plan, task_id = definition_of(golden.definitions[rows[0].header.definition_digest]), text_id(stream_id)
        whole = fold_stream(plan, task_id, rows)
        erased = max((place for place, row in enumerate(rows) if row.type == TaskErased.type), default=0)
        for cut in range(erased, len(rows) + 1):
            assert fold_stream(plan, task_id, rows[cut:], initial=fold_stream(plan, task_id, rows[:cut])) == whole


def test_every_event_can_be_shown(golden):
    """Every recorded event decodes, and has a CloudEvent that is JSON."""
    for row in golden.rows:
        event = decode_control(row) if row.header.namespace == "$control" else decode(row)
        assert event.at == row.time
        assert json.loads(json.dumps(RecordedEvent(row).cloudevent()))["position"] == row.position


def test_every_type_occurs():
    """Every system type and variant of this release occurs in the newest recorded log, and so does a custom one."""
    codes = {row.code for row in Golden(NEWEST).rows}
    assert codes - set(SYSTEM_TYPES) == {FIRST_CUSTOM_CODE, FIRST_CUSTOM_CODE + 1}
    missing = [kind.name for code, kind in SYSTEM_TYPES.items() if code not in codes]
    assert missing == [], "record a new golden log with tests/golden/record.py"


def test_rows_survive_being_written(golden):
    """The portable form loses nothing."""
    assert [row_of(json.loads(json.dumps(row_json(row)))) for row in golden.rows] == golden.rows


def test_today_records_the_same(tmp_path):
    """Today's code writes the newest recorded log byte by byte; where it no longer does, a new one is due."""
    from tests.golden.record import record

    record(tmp_path / "new")
    for name in ("log.jsonl", "definitions.jsonl", "states.json"):
        assert (tmp_path / "new" / name).read_text("utf-8") == (NEWEST / name).read_text("utf-8"), name
