"""What would become of a task: given a history, when its definition is changed, then a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasker.domain import commands as cmd
from tasker.domain.divergence import Divergence, Verdict, first_position, offered, worst
from tests.unit.domain.kit import Story, plan, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.domain.definition import TaskDefinition
    from tasker.domain.divergence import Difference

CHAIN = (step("a"), step("b", "a"), step("c", "b"))
FORK = (step("a"), step("b", "a"), step("c", "a"))
BESIDE = (step("a"), step("b"), step("c"))


def parted(story: Story, new: TaskDefinition) -> tuple[Difference, ...]:
    """Compare a history with a definition; the n-th event has the position 10 n."""
    divergence = Divergence("t", story.definition, new)
    for place, event in enumerate(story.history, 1):
        divergence.add(event, 10 * place)
    assert divergence.old == story.task
    return divergence.differences()


def told(found: tuple[Difference, ...]) -> list[tuple[str, str | None, int | None]]:
    """Show what is not text."""
    return [(str(one.verdict), one.step, one.position) for one in found]


def begun(story: Story) -> Story:
    """Bring a task to where `a` is complete, at 50 or so, and `b` runs."""
    story.run("a").start("b")
    return story


# created 10, task.started 20, a started 30, a completed 40, b started 50
TABLE = [
    ("nothing changed", CHAIN, CHAIN, []),
    ("only settings changed", CHAIN, (step("a", default_retry_limit=9), *CHAIN[1:]), []),
    ("declared in another order", FORK, (FORK[2], FORK[0], FORK[1]), []),
    ("a step added behind what is done", CHAIN, (*CHAIN, step("n", "a")), [("new_step", "n", 40)]),
    ("a step added at the beginning", CHAIN, (step("n"), *CHAIN), [("new_step", "n", 10)]),
    ("a step added at the end", CHAIN, (*CHAIN, step("n", "c")), [("new_step", "n", None)]),
    (
        "a step put before one that runs",
        CHAIN,
        (step("a"), step("n", "a"), step("b", "n"), step("c", "b")),
        [("new_step", "n", 40), ("reordered", "b", 40)],
    ),
    (
        "a step put before one that has not come",
        CHAIN,
        (step("a"), step("b", "a"), step("n", "b"), step("c", "n")),
        [("new_step", "n", None), ("reordered", "c", None)],
    ),
    ("a step removed that has not come", CHAIN, CHAIN[:2], [("orphaned_step", "c", None)]),
    (
        "a step removed that runs",
        CHAIN,
        (step("a"), step("c", "a")),
        [("reordered", "c", 40), ("orphaned_step", "b", 40)],
    ),
    (
        "a step removed that is done",
        CHAIN,
        (step("b"), step("c", "b")),
        [("reordered", "b", 10), ("orphaned_step", "a", 10)],
    ),
    ("a later step comes earlier", CHAIN, FORK, [("reordered", "c", 40)]),
    ("an earlier step comes later", FORK, CHAIN, [("reordered", "c", 40)]),
    (
        "a parent more that was done before",
        (step("a"), step("b", "a"), step("c", "b")),
        (step("a"), step("b", "a"), step("c", "a", "b")),
        [("reordered", "c", None)],
    ),
    (
        "only what is done is left",
        CHAIN,
        (step("a"),),
        [("orphaned_step", "b", 40), ("stuck", None, 50), ("orphaned_step", "c", None)],
    ),
    (
        "nothing is left",
        CHAIN,
        (),
        [("orphaned_step", "a", 10), ("orphaned_step", "b", 40), ("stuck", None, 50), ("orphaned_step", "c", None)],
    ),
]


@pytest.mark.parametrize(("old", "new", "then"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_history_and_a_definition_part(old: tuple, new: tuple, then: list) -> None:
    """Given a task whose first step is complete and whose second runs, each change is found where it first shows."""
    assert told(parted(begun(Story(*old)), plan(*new))) == then


def test_a_step_behind_a_failed_one_makes_a_task_stuck() -> None:
    """What lives under the old definition, and under the new one only waits for a failed step, would stand for ever."""
    story = Story(step("a", default_retry_limit=1), step("b"))
    story.start("a")
    story.fail("a")
    found = parted(story, plan(step("a"), step("b", "a")))
    assert worst(found) is Verdict.STUCK
    assert "b would wait for ever" in found[-1].text
    assert (first_position(found), found[-1].position) == (10, 10 * len(story.history))


def test_a_parent_that_was_satisfied_earlier_changes_nothing() -> None:
    """A step that is offered at the same event under both definitions is the same, whatever its parents are called."""
    story = Story(step("a"), step("b"), step("c", "b"))
    story.run("a", "b")
    assert parted(story, plan(step("a"), step("b"), step("c", "a", "b"))) == ()


def test_a_step_that_was_cancelled_before_its_turn_is_not_offered() -> None:
    """Where a step stands says nothing once it is cancelled."""
    story = Story(step("a"), step("b", "a"), step("n", "a"))
    story.ask(cmd.CancelStep, step="b")
    story.start("a")
    story.done("a")
    assert parted(story, plan(step("a"), step("b", "n"), step("n", "a"))) == ()


def test_an_event_of_a_step_that_is_gone_parts() -> None:
    """What an operator did to a step that is removed cannot stand in the history of a task without that step."""
    story = Story(*CHAIN)
    story.ask(cmd.UpdateStep, step="c", retry_limit=5)
    assert told(parted(story, plan(*CHAIN[:2]))) == [("orphaned_step", "c", 20)]


def test_a_bypassed_step_is_satisfied() -> None:
    """What is skipped lets its children come, as a completed step does."""
    story = Story(step("a"), step("b", "a", skippable=True), step("c", "b"), request={"bypass_steps": ("b",)})
    story.run("a")
    assert story.status("b") == "skipped"
    (found,) = parted(story, plan(step("a"), step("b", "a"), step("c", "a")))
    assert (found.verdict, found.step, found.position) == (Verdict.REORDERED, "c", 40)


LINES = [
    ("another order of what is done", {}, {}, (BESIDE[1], BESIDE[0], BESIDE[2]), 10),
    ("another order of what is to come", {}, {}, (BESIDE[0], BESIDE[2], BESIDE[1]), 40),
    ("side by side", {}, {"concurrent": True}, BESIDE, 10),
    ("one at a time", {"concurrent": True}, {}, BESIDE, 10),
]


@pytest.mark.parametrize(("old", "new", "steps", "place"), [row[1:] for row in LINES], ids=[row[0] for row in LINES])
def test_the_order_of_a_definition_that_is_not_concurrent(old: dict, new: dict, steps: tuple, place: int) -> None:
    """One step at a time: then the order of declaration says which comes first, and is part of the plan."""
    story = Story(*BESIDE, **{"concurrent": False, **old})
    story.run("a")
    found = parted(story, plan(*steps, **{"concurrent": False, **new}))
    assert told(found) == [("reordered", None, place)]


AHEAD: list[tuple[str, bool, bool, Callable[[], tuple]]] = [
    ("another order", False, False, lambda: (step("a"), step("c", "a"), step("b", "a"))),
    ("side by side", False, True, lambda: FORK),
    ("one at a time", True, False, lambda: FORK),
]


@pytest.mark.parametrize(("old", "new", "steps"), [row[1:] for row in AHEAD], ids=[row[0] for row in AHEAD])
def test_an_order_that_lies_ahead(old: bool, new: bool, steps: Callable[[], tuple]) -> None:
    """What would run in another order later is found before it does, without a position."""
    story = Story(*FORK, concurrent=old)
    story.start("a")
    assert told(parted(story, plan(*steps(), concurrent=new))) == [("reordered", None, None)]


@pytest.mark.parametrize("concurrent", [True, False])
def test_a_chain_has_one_order(concurrent: bool) -> None:
    """A chain runs one step after the other in any case."""
    story = begun(Story(*CHAIN, concurrent=concurrent))
    assert parted(story, plan(*CHAIN[::-1], concurrent=not concurrent)) == ()


def test_a_pause_hides_no_offer() -> None:
    """A paused task is compared by what it would do once it goes on."""
    story = Story(*BESIDE)
    story.ask(cmd.PauseTask)
    assert offered(story.task, story.now) == ("a", "b", "c")
    assert told(parted(story, plan(*BESIDE, step("n")))) == [("new_step", "n", 10)]
