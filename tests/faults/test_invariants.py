"""The invariants themselves: each finds the fault that is planted for it, and nothing in a sound log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasker import StepTemplate, TaskDefinition, testing
from tasker.codec.rows import StoredEvent
from tasker.domain.status import StepStatus
from tests.faults import invariants
from tests.faults.evidence import Evidence, Move, read
from tests.faults.handlers import Line


def give(task, sequence, step):
    """Complete."""
    return {}


@pytest.fixture
def sound():
    """Give the evidence of a log with one task of two steps, and one of the same that waits."""
    steps = [
        StepTemplate(name="a", handler_class=give),
        StepTemplate(name="b", handler_class=give, depends_on_step="a"),
    ]
    with testing.app(TaskDefinition(name="two", step_templates=steps)) as app:
        app.submit(name="two")
        app.run_until_idle()
        app.submit(name="two")
        yield read(app._engine.context.store)


def place(evidence: Evidence, kind: str, step: int | None = None) -> int:
    """Find an event."""
    return next(n for n, m in enumerate(evidence.moves) if m.row.type == kind and step in (None, m.row.step))


def moved(evidence: Evidence, first: int, last: int) -> Evidence:
    """Put an event behind another."""
    moves = list(evidence.moves)
    moves.insert(last, moves.pop(first))
    return replace(evidence, moves=moves)


def changed(evidence: Evidence, number: int, **columns: object) -> Evidence:
    """Change columns of an event."""
    moves = list(evidence.moves)
    moves[number] = moves[number]._replace(row=moves[number].row._replace(**columns))
    return replace(evidence, moves=moves)


def again(evidence: Evidence, number: int) -> Evidence:
    """Record an event twice."""
    return replace(evidence, moves=[*evidence.moves, evidence.moves[number]])


def lines(evidence: Evidence) -> list[Line]:
    """Give the ledger that handlers would have left."""
    return [
        Line(word, (m.after.id, str(m.step), str(m.row.attempt), str(m.after.steps[m.row.step].worker_id)), m.row.time)
        for m in evidence.moves
        if m.row.type == "step.started"
        for word in ("start", "effect", "end")
    ]


def test_a_sound_log_breaks_no_invariant(sound):
    """Nothing is found where nothing is wrong."""
    bounds = invariants.Bounds(1, {"unknown": 1}, lines(sound))
    assert invariants.broken(sound) == []
    assert [*invariants.bounds_hold(sound, bounds), *invariants.effects_agree(sound, lines(sound))] == []
    assert list(invariants.nothing_is_lost(sound, [("k", sound.moves[0].after.id)])) == []


def test_gaps_are_found(sound):
    """A missing row is a gap in positions and in the versions of its stream."""
    rows: list[StoredEvent] = [*sound.rows[:2], *sound.rows[3:]]
    cut = replace(sound, rows=rows)
    assert list(invariants.positions_are_gapless(cut))
    assert list(invariants.versions_are_contiguous(cut))


@pytest.mark.parametrize("kind", ["step.started", "step.completed"])
def test_what_happens_twice_is_found(sound, kind):
    """A second start of an attempt, or a second completion of a step, is found."""
    assert list(invariants.attempts_are_fenced(again(sound, place(sound, kind, 0))))


def test_a_report_of_another_attempt_is_found(sound):
    """A completion by an attempt that does not run is found."""
    assert list(invariants.attempts_are_fenced(changed(sound, place(sound, "step.completed", 0), attempt=7)))


def test_a_start_before_its_parent_is_found(sound):
    """A step that starts before its parent is complete is found."""
    early = moved(sound, place(sound, "step.started", 1), place(sound, "step.completed", 0))
    assert list(invariants.parents_come_first(early))


def test_a_start_after_the_end_is_found(sound):
    """A step that starts after its task has ended is found."""
    late = moved(sound, place(sound, "step.started", 1), place(sound, "task.completed"))
    assert list(invariants.stops_hold(late))


def test_too_many_at_once_are_found(sound):
    """An attempt beyond the slots, and one beyond a limit, are found."""
    started = place(sound, "step.started", 0)
    twice = replace(sound, moves=[*sound.moves[: started + 1], sound.moves[started], *sound.moves[started + 1 :]])
    assert len(list(invariants.bounds_hold(twice, invariants.Bounds(1, {"unknown": 1}, [])))) >= 2
    assert not list(invariants.bounds_hold(twice, invariants.Bounds(2, {}, [])))


def test_wrong_live_work_is_found(sound):
    """Live work that is missing is found, and so is work of an ended task."""
    assert list(invariants.work_matches(replace(sound, work={})))
    ended = next(task for task in sound.states if task not in sound.work)
    assert list(invariants.work_matches(replace(sound, work={**sound.work, ended: next(iter(sound.work.values()))})))


def test_a_task_without_a_waker_is_found(sound):
    """A live task in which nothing can ever happen is found, and one that has not ended."""
    waiting = next(task for task in sound.work)
    stuck = sound.states[waiting]
    numbers = range(len(stuck.steps))
    dead = stuck._replace(
        steps=stuck.steps.put({n: stuck.steps[n]._replace(status=StepStatus.COMPLETE) for n in numbers})
    )
    assert list(invariants.everything_has_a_waker(replace(sound, states={waiting: dead})))
    assert len(list(invariants.everything_ended(sound))) == 1


def test_lost_and_doubled_requests_are_found(sound):
    """An acknowledged task that the log does not have is found, and a key with two tasks."""
    task = sound.moves[0].after.id
    assert len(list(invariants.nothing_is_lost(sound, [("k", task), ("k", "another")]))) == 2


def test_wrong_effects_are_found(sound):
    """An effect that happened twice, one of an attempt nobody recorded, and one that is missing are found."""
    ledger = lines(sound)
    foreign = ledger[0]._replace(attempt=("x", "a", "1", "w"))
    assert list(invariants.effects_agree(sound, [*ledger, ledger[0]]))
    assert list(invariants.effects_agree(sound, [*ledger, foreign]))
    assert list(invariants.effects_agree(sound, [line for line in ledger if line.word != "effect"]))


def test_a_published_event_of_a_lost_attempt_is_found(sound):
    """A custom event of an attempt that did not complete is found."""
    first = sound.moves[place(sound, "step.started", 0)]
    published = Move(first.row._replace(code=1000, type="x.done", attempt=9), first.after, first.after)
    assert list(invariants.attempts_are_fenced(replace(sound, moves=[*sound.moves, published])))
