"""Erasing again: only what was noted since the last time makes it more than a repeat."""

from __future__ import annotations

import pytest

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tests.unit.domain.kit import Story, step


@pytest.fixture
def erased() -> Story:
    """Tell a task that was noted about, and then erased."""
    story = Story(step("a"))
    story.run("a")
    story.ask(cmd.AnnotateTask, annotation_type="person", annotation={"name": "Zoë"})
    story.ask(cmd.EraseTask)
    return story


def test_the_state_knows_when(erased):
    """The state has the version of the last erasure, so that it can tell what came later."""
    assert (erased.task.erased, erased.task.version) == (erased.task.version, len(erased.history))


def test_a_repeat_yields_nothing(erased):
    """Without anything new, erasing again yields no event, and neither does a mere update make it one."""
    assert erased.ask(cmd.EraseTask) == ()
    erased.ask(cmd.UpdateTask, reason="another", tags=None)
    assert erased.ask(cmd.EraseTask) == ()


def test_what_was_noted_since_is_erased(erased):
    """An annotation after the erasure can be erased as well, once."""
    erased.ask(cmd.AnnotateTask, annotation_type="person", annotation={"name": "Zoë"})
    assert [type(event) for event in erased.ask(cmd.EraseTask)] == [ev.TaskErased]
    assert erased.task.erased == erased.task.version
    assert erased.ask(cmd.EraseTask) == ()
