"""How tasks end, how they time out, and how bypassed steps are skipped."""

from __future__ import annotations

import pytest

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.task import blank, fold
from tasker.domain.work import TASK, WorkKind, work
from tasker.errors import NotAllowed
from tests.unit.domain.kit import START, Story, error, step, types

SKIP = {"skippable": True}


def test_no_steps_means_complete_at_once() -> None:
    """A task without steps is complete with its creation."""
    assert types(Story().history) == ["task.created", "task.completed"]


def test_a_chain_completes() -> None:
    """`task.started` once, with the first attempt; `task.completed` with duration and counts, with the last."""
    story = Story(step("a"), step("b", "a"))
    story.after(2).run("a").after(3).run("b")
    assert types(story.history) == [
        "task.created", "task.started", "step.started a", "step.completed a", "step.started b", "step.completed b",
        "task.completed",
    ]  # fmt: skip
    end = story.history[-1]
    assert (end.duration, end.status, end.counts) == (5.0, "complete", ev.Counts(2, 2, 0, 0, 0, 0, 0))


def test_a_failing_branch_does_not_stop_another() -> None:
    """Steps behind a failure stay pending, the other branch runs on, then the task is in error and says what failed."""
    story = Story(step("a"), step("behind", "a"), step("b"), step("c", "b"))
    story.start("a")
    story.fail("a", error=error(ev.PERMANENT, "card declined"))
    assert story.task.status == "in_progress"
    story.run("b", "c")
    end = story.history[-1]
    assert (end.type, end.reason, end.status) == ("task.failed", "steps_failed", "error")
    assert end.failed_steps == (ev.FailedStep("a", "Boom", "card declined"),)
    assert (end.error_type, end.error_message) == ("Boom", "card declined")
    assert (end.counts.error, end.counts.complete, end.counts.pending) == (1, 2, 1)
    assert story.status("behind") == "pending"


def test_error_weighs_more_than_cancelled_and_cancelled_more_than_complete() -> None:
    """`error` if any step is in error, else `cancelled` if any is cancelled."""
    story = Story(step("a"), step("b"), step("c"))
    story.ask(cmd.CancelStep, step="b")
    story.run("c").start("a")
    story.fail("a", error=error(ev.PERMANENT))
    assert story.task.status == "error"
    story.ask(cmd.ResolveStep, step="a", results={})
    assert story.task.status == "cancelled"


@pytest.mark.parametrize("hold", ["waiting", "waiting_for_retry"])
def test_a_task_does_not_end_while_a_step_waits(hold: str) -> None:
    """Waiting and waiting_for_retry can still run."""
    story = Story(step("a"), step("b"))
    story.start("a")
    _ = story.wait("a") if hold == "waiting" else story.fail("a")
    story.run("b")
    assert story.task.status == "in_progress"


def test_a_task_times_out() -> None:
    """On expiry every step that has begun fails for good (kind timeout), then the task; pending steps stay."""
    story = Story(step("runs"), step("waits"), step("retries"), step("p"), step("q", "p"), timeout_seconds=30)
    assert story.task.timeout_at is None, "the timeout runs from task.started"
    for name in ("runs", "waits", "retries"):
        story.start(name)
    story.wait("waits")
    story.fail("retries")
    assert work(story.task)[TASK] == (TASK, WorkKind.TASK_TIMEOUT, START + 30_000_000, 0, 0, None)
    with pytest.raises(NotAllowed, match="has not run out"):
        story.do(cmd.ExpireTask(now=story.now))
    events = story.after(30).do(cmd.ExpireTask(now=story.now))
    assert types(events) == ["step.failed runs", "step.failed waits", "step.failed retries", "task.failed"]
    assert all(event.final and event.error.kind == ev.TIMEOUT for event in events[:-1])
    assert (events[-1].reason, story.status("p"), story.status("q")) == ("timeout", "pending", "pending")
    assert story.task.step("retries").failures == 1, "its one attempt counts once"
    assert story.do(cmd.ExpireTask(now=story.now)) == ()


def test_a_timeout_without_a_failed_step_speaks_for_itself() -> None:
    """With nothing but pending steps the error type is `timeout` and the message names the task's timeout."""
    story = Story(step("a"), step("b"), timeout_seconds=30)
    story.run("a")
    (event,) = story.after(31).do(cmd.ExpireTask(now=story.now))
    assert (event.error_type, event.failed_steps) == ("timeout", ())
    assert "30 seconds" in event.error_message


def test_a_paused_task_times_out_as_well() -> None:
    """Timeouts run on while a task is paused."""
    story = Story(step("a"), timeout_seconds=1)
    story.start("a")
    story.ask(cmd.PauseTask)
    story.after(1).do(cmd.ExpireTask(now=story.now))
    assert (story.task.status, work(story.task)) == ("error", {})


def test_a_task_without_a_timeout_never_expires() -> None:
    """Nothing happens to a task whose definition sets no timeout."""
    story = Story(step("a"))
    story.start("a")
    assert story.after(10**8).do(cmd.ExpireTask(now=story.now)) == ()


def test_bypassed_roots_are_skipped_with_the_creation() -> None:
    """Bypassed roots, and bypassed steps behind them, are skipped in the append of `task.created`, once each."""
    story = Story(
        step("a", **SKIP), step("b", **SKIP), step("c", "a", "b", **SKIP), step("d", "c"),
        request={"bypass_steps": ("c", "b", "a")},
    )  # fmt: skip
    assert types(story.history) == ["task.created", "step.skipped a", "step.skipped b", "step.skipped c"]
    story.run("d")
    assert story.history[-1].counts.skipped == 3


def test_a_task_whose_steps_are_all_bypassed_is_complete() -> None:
    """Skipped steps satisfy: nothing is left to run."""
    story = Story(step("a", **SKIP), step("b", "a", **SKIP), request={"bypass_steps": ("a", "b")})
    assert types(story.history)[-1] == "task.completed"


@pytest.mark.parametrize("how", ["report", "complete", "resolve"])
def test_a_bypassed_step_is_skipped_when_its_parents_are_satisfied(how: str) -> None:
    """However the last parent is satisfied, the skip and what follows from it stand in the same append."""
    story = Story(
        step("a"), step("b"), step("c", "a", "b", **SKIP), step("d", "c", **SKIP), step("e", "d"),
        request={"bypass_steps": ("c", "d")},
    )  # fmt: skip
    assert types(story.run("a").history)[-1] == "step.completed a"
    story.start("b")
    if how == "report":
        events = story.done("b")
    elif how == "resolve":
        events = story.ask(cmd.ResolveStep, step="b", results={})
    else:
        story.wait("b")
        events = story.ask(cmd.CompleteStep, step="b", results={})
    assert types(events)[1:] == ["step.skipped c", "step.skipped d"]
    assert types(story.start("e")) == ["step.started e"]


def test_a_cancelled_bypass_is_not_skipped() -> None:
    """A bypassed step that was cancelled before its parents were satisfied stays cancelled."""
    story = Story(step("a"), step("b", "a", **SKIP), request={"bypass_steps": ("b",)})
    story.ask(cmd.CancelStep, step="b")
    story.run("a")
    assert (story.status("b"), story.task.status) == ("cancelled", "cancelled")


def test_a_fold_after_erasure_equals_the_live_state() -> None:
    """Once the user's bytes are gone from the log, a fold of it still gives what the running process knows."""
    story = Story(step("a"))
    story.start("a")
    story.fail("a", error=error(ev.PERMANENT, "the name of a person"))
    story.ask(cmd.EraseTask)
    left = [
        ev.StepFailed(
            at=event.at, step="a", attempt=1, retry_limit=3, error=ev.StepError("Boom", None, "permanent"), final=True
        )
        if isinstance(event, ev.StepFailed)
        else event
        for event in story.history
    ]
    assert fold(blank("t", story.definition), left) == story.task
    assert "person" not in repr(story.task)


def test_steps_compare_by_content() -> None:
    """Two folds of one history are equal and hash alike; another history is not."""
    story = Story(*(step(f"s{number}") for number in range(70)))
    again = fold(blank("t", story.definition), story.history)
    assert (again.steps, hash(again.steps)) == (story.task.steps, hash(story.task.steps))
    story.start("s69")
    assert again.steps != story.task.steps
    assert again.steps != "steps"
    assert len(list(again.steps)) == len(again.steps) == 70
    assert repr(again.steps).startswith("ChunkedSteps([StepState(")
