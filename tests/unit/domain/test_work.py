"""What a task asks of runners."""

from __future__ import annotations

import pytest

from tasker.domain import commands as cmd
from tasker.domain.task import SECOND
from tasker.domain.work import RANK_PER_PRIORITY, WorkItem, WorkKind, work
from tests.unit.domain.kit import START, Story, step


def items(story: Story) -> dict[int, tuple[WorkKind, int | None]]:
    """Show kinds and due times."""
    return {number: (item.kind, item.due) for number, item in work(story.task).items()}


def test_a_step_through_its_life() -> None:
    """Ready, running, ready at its due time, waiting until its end, and nothing once it has finished."""
    story = Story(step("a"), step("b", "a"))
    assert items(story) == {0: (WorkKind.READY, None)}
    story.start("a")
    assert work(story.task)[0] == WorkItem(0, WorkKind.RUNNING, None, 0, 1, "w1")
    story.fail("a")
    assert items(story) == {0: (WorkKind.READY, START + SECOND)}
    story.after(1).start("a")
    story.wait("a", 60)
    assert items(story) == {0: (WorkKind.WAITING, story.now + 60 * SECOND)}
    story.ask(cmd.CompleteStep, step="a", results={})
    assert items(story) == {1: (WorkKind.READY, None)}


def test_a_pause_hides_what_could_start() -> None:
    """A paused task keeps its running and waiting items, and gets the ready ones back when it is resumed."""
    story = Story(step("a"), step("b"), step("c"))
    story.start("a")
    story.start("b")
    story.wait("b", 60)
    story.ask(cmd.PauseTask)
    assert set(items(story)) == {0, 1}
    story.ask(cmd.ResumeTask)
    assert set(items(story)) == {0, 1, 2}


def test_not_before_is_the_due_time_of_a_fresh_step() -> None:
    """Until the request's time comes, ready steps are due then."""
    story = Story(step("a"), request={"not_before": START + 9})
    assert items(story) == {0: (WorkKind.READY, START + 9)}


@pytest.mark.parametrize(("priority", "older", "first"), [(1, 29, "new"), (1, 31, "old"), (100, 2999, "new")])
def test_priority_weighs_thirty_seconds_a_point(priority: int, older: int, first: str) -> None:
    """Higher priority goes first, but each 30 s of waiting are worth a point, so that nothing starves."""
    old, new = Story(step("a")), Story(step("a"), request={"priority": priority, "now": START + older * SECOND})
    ranks = {"old": work(old.task)[0].rank, "new": work(new.task)[0].rank}
    assert min(ranks, key=ranks.__getitem__) == first
    assert RANK_PER_PRIORITY == 30 * SECOND
