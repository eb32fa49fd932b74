"""The invariants themselves: each finds the fault that is planted for it, and nothing in a sound log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasker import StepTemplate, TaskDefinition, testing
from tasker.codec.rows import StoredEvent
from tasker.domain.status import StepStatus
from tasker.errors import ChainBroken
from tasker.fold import implementation
from tests.faults import invariants
from tests.faults import invariants_effects as effects
from tests.faults import invariants_states as states
from tests.faults import invariants_workers as workers
from tests.faults.evidence import Evidence, Move, read, show
from tests.faults.handlers import Line


def give(task, sequence, step):
    """Complete."""
    return {}


REQUEST = {"name": "two", "context": {"number": 0}}


@pytest.fixture
def application():
    """Give an application whose log has one task of two steps, and one of the same that waits."""
    steps = [
        StepTemplate(name="a", handler_class=give),
        StepTemplate(name="b", handler_class=give, depends_on_step="a", default_retryable=False),
    ]
    with testing.app(TaskDefinition(name="two", step_templates=steps)) as app:
        app.submit(**REQUEST)
        app.run_until_idle()
        app.submit(name="two", context={"number": 1})
        yield app


@pytest.fixture
def store(application):
    """Give its store."""
    return application._engine.context.store


@pytest.fixture
def sound(store):
    """Give the evidence of its log."""
    return read(store)


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


def test_a_sound_log_breaks_no_invariant(sound, store):
    """Nothing is found where nothing is wrong."""
    ledger, task = lines(sound), sound.moves[0].after.id
    requests = {str(number): {"name": "two", "context": {"number": number}} for number in range(2)}
    found = [
        *invariants.broken(sound),
        *states.work_matches(sound),
        *states.everything_has_a_waker(sound),
        *states.folds_agree(sound, store),
        *states.chain_verifies(store),
        *workers.lost_workers_are_silent(sound),
        *workers.dead_workers_are_silent(sound, {"w": 0}),
        *workers.limits_hold(sound, {"all": 1}),
        *workers.slots_hold(ledger, 1),
        *effects.effects_agree(sound, ledger),
        *effects.once_means_once(sound, ledger),
        *effects.nothing_is_lost(sound, [("k", task)]),
        *effects.requests_are_kept(sound, requests),
    ]
    assert found == []
    assert len(list(show(sound))) == len(sound.rows)


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
    """An attempt beyond a limit is found, over all workers; so is a handler beyond the slots of its worker."""
    started = place(sound, "step.started", 0)
    twice = replace(sound, moves=[*sound.moves[: started + 1], sound.moves[started], *sound.moves[started + 1 :]])
    assert list(workers.limits_hold(twice, {"system:unknown": 1}))
    assert not list(workers.limits_hold(twice, {"system:unknown": 2}))
    ledger = lines(sound)
    both = [ledger[0], ledger[0]._replace(attempt=("x", "a", "1", ledger[0].attempt[3])), *ledger[1:]]
    assert len(list(workers.slots_hold(both, 1))) >= 1
    assert not list(workers.slots_hold(both, 2))


def test_two_steps_of_a_serial_task_at_once_are_found(sound):
    """A task that is not concurrent runs one step at a time."""
    number = place(sound, "step.started", 1)
    move = sound.moves[number]
    serial = replace(move.after.definition, concurrent=False)
    running = {n: move.after.steps[n]._replace(status=StepStatus.IN_PROGRESS) for n in range(2)}
    after = move.after._replace(definition=serial, steps=move.after.steps.put(running))
    moves = [*sound.moves[:number], move._replace(after=after)]
    assert len(list(invariants.serial_tasks_hold(replace(sound, moves=moves)))) == 1


def test_a_lost_worker_that_goes_on_is_found(sound):
    """After a worker was lost, a start and a report of it are found."""
    number = place(sound, "step.started", 0)
    worker = sound.moves[number].after.steps[0].worker_id
    row = sound.moves[0].row._replace(
        type="step.abandoned", data=f'{{"worker_id":"{worker}","reason":"worker_lost"}}'.encode()
    )
    lost = replace(sound, moves=[sound.moves[0]._replace(row=row), *sound.moves[1:]])
    assert len(list(workers.lost_workers_are_silent(lost))) == 4  # it starts and completes two steps


def test_a_dead_worker_that_goes_on_is_found(sound):
    """What a worker appends behind the position at which it was dead is found; what it appended before is not."""
    first, last = place(sound, "step.started", 0), place(sound, "step.completed", 1)
    worker = str(sound.moves[first].after.steps[0].worker_id)
    assert len(list(workers.dead_workers_are_silent(sound, {worker: sound.moves[first].row.position}))) == 3
    assert not list(workers.dead_workers_are_silent(sound, {worker: sound.moves[last].row.position}))


def test_wrong_live_work_is_found(sound):
    """Live work that is missing is found, and so is work of an ended task."""
    assert list(states.work_matches(replace(sound, work={})))
    ended = next(task for task in sound.states if task not in sound.work)
    assert list(states.work_matches(replace(sound, work={**sound.work, ended: next(iter(sound.work.values()))})))


def test_a_task_without_a_waker_is_found(sound):
    """A live task in which nothing can ever happen is found, and one that has not ended."""
    waiting = next(task for task in sound.work)
    stuck = sound.states[waiting]
    numbers = range(len(stuck.steps))
    dead = stuck._replace(
        steps=stuck.steps.put({n: stuck.steps[n]._replace(status=StepStatus.COMPLETE) for n in numbers})
    )
    assert list(states.everything_has_a_waker(replace(sound, states={waiting: dead})))
    assert len(list(states.everything_ended(sound))) == 1


def test_another_fold_is_found(sound, store):
    """A state that is not what the compiled fold gives is found, where there is a compiled fold."""
    number = len(sound.moves) - 1
    other = sound.moves[number]._replace(after=sound.moves[0].before)
    wrong = replace(sound, moves=[*sound.moves[:number], other])
    assert list(states.folds_agree(wrong, store)) if implementation() == "rust" else True


def test_a_broken_chain_is_found(store, monkeypatch):
    """A chain that does not verify is found."""

    def verify(self):
        raise ChainBroken("changed", position=1, expected="a", found="b")

    monkeypatch.setattr("tests.faults.invariants_states.Audit.verify", verify)
    assert len(list(states.chain_verifies(store))) == 1


def test_lost_and_doubled_requests_are_found(sound):
    """An acknowledged task that the log does not have is found, and a key with two tasks."""
    task = sound.moves[0].after.id
    assert len(list(effects.nothing_is_lost(sound, [("k", task), ("k", "another")]))) == 2


def test_changed_and_doubled_requests_are_found(sound):
    """A task that is not what was asked for is found, and two tasks of one request."""
    asked = {"0": REQUEST, "1": {"name": "two", "context": {"number": "one"}}}
    assert len(list(effects.requests_are_kept(sound, asked))) == 1
    doubled = replace(sound, moves=[*sound.moves, sound.moves[0]])
    assert len(list(effects.requests_are_kept(doubled, {**asked, "1": {**REQUEST, "context": {"number": 1}}}))) == 1


def test_wrong_effects_are_found(sound):
    """An effect that happened twice, one of an attempt nobody recorded, and one that is missing are found."""
    ledger = lines(sound)
    foreign = ledger[0]._replace(attempt=("x", "a", "1", "w"))
    elsewhere = ledger[0]._replace(attempt=(*ledger[0].attempt[:3], "another worker"))
    assert list(effects.effects_agree(sound, [*ledger, ledger[0]]))
    assert list(effects.effects_agree(sound, [*ledger, foreign]))
    assert len(list(effects.effects_agree(sound, [*ledger, elsewhere]))) == 2
    assert list(effects.effects_agree(sound, [line for line in ledger if line.word != "effect"]))


def test_a_second_execution_of_what_may_not_be_retried_is_found(sound):
    """A step that must not be retried runs once, whatever the number of the attempt."""
    ledger = lines(sound)
    again = [line._replace(attempt=(*line.attempt[:2], "2", line.attempt[3])) for line in ledger]
    assert len(list(effects.once_means_once(sound, [*ledger, *again]))) == 1  # step b, and not step a


def test_a_published_event_of_a_lost_attempt_is_found(sound):
    """A custom event of an attempt that did not complete is found."""
    first = sound.moves[place(sound, "step.started", 0)]
    published = Move(first.row._replace(code=1000, type="x.done", attempt=9), first.after, first.after)
    assert list(invariants.attempts_are_fenced(replace(sound, moves=[*sound.moves, published])))
