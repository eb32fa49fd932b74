"""The laws of the core, on random graphs of up to sixty steps and random histories of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.decide import decide
from tasker.domain.status import ACTIVE, FINAL, LIVE, SATISFIED, StepStatus
from tasker.domain.task import blank, evolve, fold
from tasker.domain.why import World, why
from tasker.domain.work import changes, next_in_line, work
from tasker.errors import NotAllowed
from tests.properties.histories import Run, definitions, finish, runs

LAW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
REPORTS = (cmd.ReportStepCompleted, cmd.ReportStepFailed, cmd.ReportStepWaiting)
AFTERWARDS = {"task.annotated", "task.updated", "task.erased"}


def stamped(events: tuple[ev.TaskStreamEvent, ...]) -> list[tuple[int, ev.TaskStreamEvent]]:
    """Show events with their times, which comparison leaves out."""
    return [(event.at, event) for event in events]


@LAW
@given(runs(), st.integers(0, 2**16))
def test_every_history_folds_to_the_live_state(run: Run, cut: int) -> None:
    """Laws 1 and 4: evolve takes every history; snapshot and tail give what the whole gives; versions count events."""
    start = blank("t", run.definition)
    assert fold(start, run.history) == run.task
    place = cut % (len(run.history) + 1)
    assert fold(fold(start, run.history[:place]), run.history[place:]) == run.task
    assert run.task.version == len(run.history)


@LAW
@given(runs())
def test_decide_is_deterministic_and_changes_nothing(run: Run) -> None:
    """Law 2: the same state and command give the same events at the same times, also later, when all is over."""
    for before, command, events, after in run.seen:
        assert stamped(decide(before, command)) == stamped(events)
        assert fold(before, events) == after


@LAW
@given(runs())
def test_a_repeated_report_yields_no_event(run: Run) -> None:
    """Law 3: what a report brought is recorded once."""
    for _, command, _, after in run.seen:
        if isinstance(command, REPORTS):
            assert decide(after, command) == ()


@LAW
@given(runs())
def test_nothing_but_notes_follows_a_final_status(run: Run) -> None:
    """Law 5 and invariant 11: after a final status only annotated, updated and erased; in error nothing starts."""
    for before, _, events, after in run.seen:
        if before.status in FINAL:
            assert {event.type for event in events} <= AFTERWARDS
            assert after.status is before.status


@LAW
@given(runs(), st.integers(0, 2**31))
def test_every_history_ends(run: Run, code: int) -> None:
    """With no operator left asleep every task reaches an end, and then no step runs or waits."""
    finish(run, code)
    assert run.task.status not in LIVE
    assert not any(state.status in ACTIVE for state in run.task.steps)
    assert run.task.ended_at is not None
    assert [event.type for event in run.history].count("task.started") <= 1


@LAW
@given(runs(), st.integers(0, 2**31))
def test_a_step_completes_once_a_budget_and_only_by_its_running_attempt(run: Run, code: int) -> None:
    """Invariant 5: a step completes once a budget, by the attempt that runs or waits; attempts never repeat."""
    finish(run, code)
    completed: set[str] = set()
    task = blank("t", run.definition)
    for event in run.history:
        if isinstance(event, ev.StepReset):
            completed.discard(event.step)
        if isinstance(event, ev.StepCompleted):
            state = task.step(event.step)
            assert event.step not in completed
            assert event.attempt == state.attempt
            assert state.status in {StepStatus.IN_PROGRESS, StepStatus.WAITING}
            completed.add(event.step)
        if isinstance(event, ev.StepStarted):
            assert event.attempt == task.step(event.step).attempt + 1
        task = evolve(task, event)


@LAW
@given(runs(), st.integers(0, 2**31))
def test_nothing_starts_too_early_or_too_late(run: Run, code: int) -> None:
    """Invariants 6 and 11: parents first, also for skips; no start while paused, before its time, or after the end."""
    finish(run, code)
    task = blank("t", run.definition)
    for event in run.history:
        if isinstance(event, ev.StepStarted | ev.StepSkipped):
            parents = run.definition.graph.parents(event.step)
            assert all(task.step(parent).status in SATISFIED for parent in parents)
        if isinstance(event, ev.StepStarted):
            assert task.pause is None
            assert task.status in LIVE
            assert max(task.step(event.step).due or 0, task.request.not_before or 0) <= event.at
            if not run.definition.concurrent:
                assert next_in_line(task, event.at) == task.number(event.step)
        task = evolve(task, event)


@LAW
@given(runs())
def test_a_bypassed_step_is_skipped_as_soon_as_its_parents_are_satisfied(run: Run) -> None:
    """Between two decisions no bypassed step stands ready in a task that was created to skip it."""
    for _, _, _, after in run.seen:
        for name in after.request.bypass_steps:
            assert not after.step(name).ready


@LAW
@given(runs())
def test_every_unfinished_thing_has_a_waker(run: Run) -> None:
    """Invariant 7: in a live task each unfinished step has an item of work, or a pause or an open parent instead."""
    for _, _, _, after in run.seen:
        if after.status not in LIVE:
            assert work(after) == {}
            continue
        assert after.stirring
        items = work(after)
        for number, state in enumerate(after.steps):
            if state.status in {StepStatus.IN_PROGRESS, StepStatus.WAITING}:
                assert number in items
            elif state.status is StepStatus.WAITING_FOR_RETRY or state.ready:
                assert number in items or after.pause is not None
            elif state.status is StepStatus.PENDING:
                parents = after.definition.graph.parent_ordinals[number]
                assert any(after.steps[parent].status not in SATISFIED for parent in parents)


@LAW
@given(runs())
def test_changes_of_work_are_the_difference_of_work(run: Run) -> None:
    """What `changes` says turns the work before into the work after, and names nothing that stays."""
    for before, _, events, after in run.seen:
        old = work(before) if before.version else {}
        new = work(after)
        expected = {number: new.get(number) for number in old.keys() | new.keys() if old.get(number) != new.get(number)}
        found = changes(before, after, events)
        assert dict(found) == expected
        assert len(found) == len(expected)


@LAW
@given(runs())
def test_changes_over_several_decisions_are_the_difference_too(run: Run) -> None:
    """Reports that are decided in one append have one list of changes."""
    states = [run.seen[0][0], *(after for _, _, _, after in run.seen)]
    for place in range(1, len(states) - 4):
        before, after = states[place], states[place + 3]
        events = [event for _, _, made, _ in run.seen[place : place + 3] for event in made]
        old, new = work(before), work(after)
        expected = {number: new.get(number) for number in old.keys() | new.keys() if old.get(number) != new.get(number)}
        assert dict(changes(before, after, events)) == expected


@LAW
@given(runs())
def test_counters_equal_a_recount(run: Run) -> None:
    """`counts`, `ready`, `blockers` and `outcomes` are kept right; only what waits has a due time."""
    for _, _, _, after in run.seen:
        for status in StepStatus:
            assert after.count(status) == sum(state.status is status for state in after.steps)
        assert after.ready == sum(state.ready for state in after.steps)
        for number, state in enumerate(after.steps):
            parents = after.definition.graph.parent_ordinals[number]
            assert state.blockers == sum(after.steps[parent].status not in SATISFIED for parent in parents)
            assert len(state.outcomes) == state.attempt
            assert state.due is None or state.status in {StepStatus.WAITING_FOR_RETRY, StepStatus.WAITING}


@LAW
@given(runs())
def test_times_never_go_back(run: Run) -> None:
    """Within a stream time never goes back, though commands come late and out of order."""
    assert all(before.at <= after.at for before, after in pairwise(run.history))
    assert run.task.last_at == run.history[-1].at


@LAW
@given(runs())
def test_why_has_an_answer_for_everything(run: Run) -> None:
    """For every unfinished step one reason at least, for every finished one exactly one, at any point of a history."""
    world = World(now=run.now)
    for _, _, _, after in run.seen[-12:]:
        told = {reason.step for reason in why(after, world)}
        for name in run.definition.graph.names:
            reasons = why(after, world, name)
            assert reasons
            assert all(reason.text for reason in reasons)
            live = after.step(name).status in ACTIVE | {StepStatus.PENDING, StepStatus.ERROR}
            assert (name in told) == live
        assert (None in told) == (after.status not in LIVE)


@LAW
@given(definitions())
def test_the_order_of_a_graph_puts_parents_first(definition: object) -> None:
    """Topological order: every step once, of those whose parents are placed the earliest declared."""
    graph = definition.graph
    placed: set[str] = set()
    for name in graph.topological_order:
        free = [one for one in graph.names if one not in placed and set(graph.parents(one)) <= placed]
        assert name == free[0]
        placed.add(name)
    assert placed == set(graph.names)
    assert all(graph.levels[name] > graph.levels[parent] for name in graph.names for parent in graph.parents(name))


@LAW
@given(runs())
def test_a_refusal_says_what_and_why(run: Run) -> None:
    """Starting what must not start is refused with the step and both statuses."""
    for number, name in enumerate(run.definition.graph.names):
        if run.task.steps[number].status in ACTIVE | {StepStatus.PENDING} and run.task.status in LIVE:
            continue
        with pytest.raises(NotAllowed) as refusal:
            decide(run.task, cmd.StartStep(now=run.now, step=name, worker_id="w"))
        assert repr(name) in str(refusal.value)
        assert run.task.status in str(refusal.value)
