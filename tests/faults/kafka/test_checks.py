"""Each check of a history with a broker finds what it is for, planted into evidence that is as it must be."""

from __future__ import annotations

import pytest

from tasker.kafka.reading import Reason
from tests.faults.kafka.checks import CHECKS, Evidence, Letter, Made, violations
from tests.faults.kafka.script import KINDS, LOST, Script, draw
from tests.faults.kafka.shop import PARENTS

SCRIPT = Script(1, 1, (), {0: "chain", 1: "alone"}, ((2, 3),), {4: Reason.NOT_JSON}, 0.0, ())


def event(task: str, version: int, kind: str = "task.updated", step: str | None = None) -> dict[str, object]:
    """Give an event."""
    return {
        "id": f"{task}-{version}",
        "subject": task,
        "streamversion": version,
        "type": f"tasker.{kind}",
        "step": step,
    }


def stream(task: Made) -> list[dict[str, object]]:
    """Give the events of a task in which every step completed."""
    steps = [event(task.id, number, "step.completed", step) for number, step in enumerate(PARENTS[task.name], 2)]
    return [event(task.id, 1, "task.created"), *steps]


def evidence() -> Evidence:
    """Give evidence in which nothing is wrong."""
    tasks = [Made("t0", "chain", 0, "complete"), Made("t1", "alone", 1, "complete"), Made("t2", "alone", 3, "complete")]
    events = [one for task in tasks for one in stream(task)]
    letters = [Letter(4, Reason.NOT_JSON), Letter(4, Reason.NOT_JSON), Letter(2, Reason.CONFLICT)]
    effects = frozenset((task.id, step) for task in tasks for step in PARENTS[task.name])
    return Evidence(tasks, events, [*events, *events[:2]], letters, effects)


def broken(**changes: object) -> set[str]:
    """Name the checks that find something in changed evidence."""
    return {text.partition(":")[0] for text in violations(SCRIPT, evidence()._replace(**changes))}


def test_nothing_is_found_where_nothing_is_wrong():
    """Evidence that is as it must be breaks no check; repeats of messages are no fault."""
    assert violations(SCRIPT, evidence()) == []


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"tasks": evidence().tasks[1:]}, "one_task_each"),
        ({"tasks": [*evidence().tasks, Made("t9", "alone", 1, "complete")]}, "one_task_each"),
        ({"tasks": [*evidence().tasks, Made("t9", "alone", 2, "complete")]}, "one_task_each"),
        ({"tasks": [*evidence().tasks, Made("t9", "alone", 4, "complete")]}, "one_task_each"),
        ({"tasks": [evidence().tasks[0]._replace(status="error"), *evidence().tasks[1:]]}, "everything_completes"),
        ({"events": evidence().events[:1] + evidence().events[2:]}, "each_step_once"),
        ({"events": [*evidence().events, event("t0", 5, "step.completed", "a")]}, "each_step_once"),
        ({"events": [*evidence().events, event("t0", 5, "step.completed", "z")]}, "each_step_once"),
        ({"effects": frozenset()}, "each_step_once"),
        ({"published": evidence().events[:-1]}, "everything_is_published"),
        ({"published": [*evidence().events, event("t8", 1)]}, "everything_is_published"),
        ({"published": [*evidence().events, evidence().events[0] | {"type": "other"}]}, "everything_is_published"),
        ({"published": evidence().events[1:] + evidence().events[:1]}, "published_in_order"),
        ({"letters": evidence().letters[2:]}, "letters_are_right"),
        ({"letters": [*evidence().letters, Letter(0, Reason.REFUSED)]}, "letters_are_right"),
        ({"letters": [*evidence().letters, Letter(4, Reason.TOMBSTONE)]}, "letters_are_right"),
    ],
)
def test_each_check_finds_what_it_is_for(changes, check):
    """What is planted is found by the check that is for it."""
    assert check in broken(**changes)


def test_every_check_is_named():
    """The table above has a case for every check."""
    assert len({one.__name__ for one in CHECKS}) == len(CHECKS) == 6


def test_a_script_is_drawn_from_its_seed():
    """The same seed draws the same history, another one another; every kind of fault and of letter is drawn."""
    assert draw(7) == draw(7) != draw(8)
    scripts = [draw(seed) for seed in range(200)]
    assert {fault.kind for one in scripts for fault in one.faults} == {*KINDS, LOST}
    assert {reason for one in scripts for reason in one.poison.values()} == {
        Reason.TOMBSTONE, Reason.NOT_UTF8, Reason.NOT_JSON, Reason.INVALID_REQUEST, Reason.UNKNOWN_DEFINITION,
    }  # fmt: skip
