"""The words for how a task stands."""

from __future__ import annotations

import pytest

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.summary import completion_percentage, execution_status, health_status, recommended_action
from tests.unit.domain.kit import START, Story, error, step


def failed(*steps, **keys):
    """Tell of a task whose step a has failed for good."""
    story = Story(step("a"), *steps, **keys)
    story.start("a")
    story.fail("a", error=error(ev.PERMANENT))
    return story


def started(*steps, **keys):
    """Tell of a task whose step a is running."""
    story = Story(step("a"), *steps, **keys)
    story.start("a")
    return story


def told(story, *commands):
    """Give commands of an operator."""
    for command in commands:
        story.ask(command)
    return story


def retrying():
    """Tell of a step that waits for its retry."""
    story = started(step("b", "a"))
    story.fail("a")
    return story


def waiting():
    """Tell of a step that waits for somebody."""
    story = started(step("b", "a"))
    story.wait("a")
    return story


@pytest.mark.parametrize(
    ("story", "status", "health", "action"),
    [
        (told(started(), cmd.CancelTask), "cancelled", "healthy", None),
        (Story(step("a")).run("a"), "all_complete", "healthy", None),
        (Story(), "all_complete", "healthy", None),
        (failed(), "blocked_by_failures", "blocked", "retry"),
        (failed(step("b")), "blocked_by_failures", "blocked", "reset_step"),
        (told(failed(), cmd.ResolveTask), "blocked_by_failures", "blocked", None),
        (told(started(), cmd.PauseTask), "paused", "healthy", "resume"),
        (Story(step("a")), "has_ready_steps", "healthy", None),
        (started(step("b")), "has_ready_steps", "healthy", None),
        (started(step("b"), concurrent=False), "processing", "healthy", None),
        (started(step("b", "a")), "processing", "healthy", None),
        (retrying(), "waiting_for_retry", "recovering", None),
        (waiting(), "waiting", "healthy", "complete_step"),
        (Story(step("a"), request={"not_before": START + 1}), "waiting_for_dependencies", "healthy", None),
    ],
)
def test_words(story, status, health, action):
    """The first word that is true, in the order of the contract; the health; and the command that helps."""
    found = (execution_status(story.task), health_status(story.task), recommended_action(story.task))
    assert found == (status, health, action)


def test_time_makes_steps_ready():
    """A retry that is due and a task whose time has come have ready steps."""
    later = Story(step("a"), request={"not_before": START + 5}).task
    assert execution_status(later, START + 5) == "has_ready_steps"
    assert execution_status(retrying().task, START + 10_000_000) == "has_ready_steps"


def test_percentage():
    """Complete, skipped and resolved steps count; two decimals; a task without steps is whole."""
    story = Story(step("a", skippable=True), step("b"), step("c"), request={"bypass_steps": ("a",)})
    assert completion_percentage(story.task) == 33.33
    story.run("b")
    assert completion_percentage(story.task) == 66.67
    story.ask(cmd.ResolveStep, step="c", results={})
    assert completion_percentage(story.task) == 100.0
    assert completion_percentage(Story().task) == 100.0
