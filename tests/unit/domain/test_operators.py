"""The operators' table: every command in every status of a task and a step is legal, already done, or refused."""

from __future__ import annotations

import pytest

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.status import FINISHED, StepStatus, TaskStatus
from tasker.errors import InvalidRequest, NotAllowed, UnknownStep
from tests.unit.domain.kit import Story, error, step, types

#: "!" something is recorded, "." it is so already and nothing is, "x" refused.
TASK_TABLE = """
          pending in_progress paused error paused_error complete cancelled resolved_manually erased
cancel    !       !           !      !     !            x        .         x                 x
pause     !       !           .      x     .            x        x         x                 x
resume    .       .           !      .     x            .        .         .                 x
retry     x       x           x      !     !            x        x         x                 x
resolve   x       x           x      !     !            x        x         .                 x
erase     x       x           x      !     !            !        !         !                 .
update    !       !           !      !     !            !        !         !                 !
annotate  !       !           !      !     !            !        !         !                 !
"""

STEP_TABLE = """
                                      reset resolve complete repeat cancel update
in_progress        blocked            .     x       x        x      !      !
in_progress        pending            .     !       x        x      !      !
in_progress        in_progress        x     !       x        x      !      !
in_progress        waiting_for_retry  !     !       x        x      !      !
in_progress        waiting            x     !       !        !      !      !
in_progress        complete           x     x       x        .      x      x
in_progress        error              !     !       x        x      x      !
in_progress        cancelled          x     x       x        x      .      x
in_progress        skipped            x     x       x        x      x      x
in_progress        resolved_manually  x     .       x        x      x      x
error              blocked            .     x       x        x      !      !
error              pending            .     !       x        x      !      !
error              complete           x     x       x        .      x      x
error              error              !     !       x        x      x      !
error              cancelled          x     x       x        x      .      x
error              skipped            x     x       x        x      x      x
error              resolved_manually  x     .       x        x      x      x
resolved_manually  blocked            .     x       x        x      x      x
resolved_manually  pending            .     x       x        x      x      x
resolved_manually  complete           x     x       x        .      x      x
resolved_manually  error              x     x       x        x      x      x
resolved_manually  resolved_manually  x     .       x        x      x      x
cancelled          cancelled          x     x       x        x      .      x
cancelled          complete           x     x       x        .      x      x
cancelled          error              x     x       x        x      x      x
complete           complete           x     x       x        .      x      x
complete           skipped            x     x       x        x      x      x
complete           resolved_manually  x     .       x        x      x      x
"""

TASK_COMMANDS = {
    "cancel": (cmd.CancelTask, {}),
    "pause": (cmd.PauseTask, {}),
    "resume": (cmd.ResumeTask, {}),
    "retry": (cmd.RetryTask, {}),
    "resolve": (cmd.ResolveTask, {}),
    "erase": (cmd.EraseTask, {}),
    "update": (cmd.UpdateTask, {"tags": ("new",)}),
    "annotate": (cmd.AnnotateTask, {"annotation_type": "note", "annotation": {}}),
}
STEP_COMMANDS = {
    "reset": (cmd.ResetStep, {}),
    "resolve": (cmd.ResolveStep, {"results": {}}),
    "complete": (cmd.CompleteStep, {"results": {}}),
    "repeat": (cmd.CompleteStep, {"results": {}, "repeated": True}),
    "cancel": (cmd.CancelStep, {}),
    "update": (cmd.UpdateStep, {"retry_limit": 9}),
}
FIRST = {
    "cancel": "step.cancelled x",
    "reset": "step.reset x",
    "resolve": "step.resolved_manually x",
    "complete": "step.completed x",
    "repeat": "step.completed x",
    "update": "step.updated x",
}


def task_cases() -> list[tuple[str, str, str]]:
    """Read the table of task commands."""
    head, *rows = (line.split() for line in TASK_TABLE.strip().splitlines())
    return [(name, status, mark) for name, *marks in rows for status, mark in zip(head, marks, strict=True)]


def step_cases() -> list[tuple[str, str, str, str]]:
    """Read the table of step commands."""
    head, *rows = (line.split() for line in STEP_TABLE.strip().splitlines())
    return [(t, s, name, mark) for t, s, *marks in rows for name, mark in zip(head, marks, strict=True)]


def task_in(status: str) -> Story:
    """Tell a task into a status."""
    story = Story(step("a"), step("b"))
    if status == "pending":
        return story
    story.start("a")
    if status.startswith("paused"):
        story.ask(cmd.PauseTask)
    if status in {"in_progress", "paused"}:
        return story
    if status == "cancelled":
        story.ask(cmd.CancelTask)
    elif status in {"complete", "erased"}:
        story.done("a")
        story.run("b")
    else:
        story.fail("a", error=error(ev.PERMANENT))
        story.ask(cmd.ResolveStep, step="b", results={})
    if status == "resolved_manually":
        story.ask(cmd.ResolveTask)
    if status == "erased":
        story.ask(cmd.EraseTask)
    return story


def step_in(task: str, status: str) -> Story:
    """Tell the step x, behind p and before child, into a status; the step other keeps the task alive until then."""
    request = {"bypass_steps": ("x",)} if status == "skipped" else {}
    x = step("x", "p", skippable=True)
    story = Story(step("p"), x, step("child", "x"), step("other"), request=request, timeout_seconds=1000)
    story.start("other")
    if status == "cancelled":
        story.ask(cmd.CancelStep, step="x")
    elif status != "blocked":
        story.run("p")
    {
        "in_progress": lambda: story.start("x"),
        "waiting_for_retry": lambda: (story.start("x"), story.fail("x")),
        "waiting": lambda: (story.start("x"), story.wait("x")),
        "complete": lambda: story.run("x"),
        "error": lambda: (story.start("x"), story.fail("x", error=error(ev.PERMANENT))),
        "resolved_manually": lambda: story.ask(cmd.ResolveStep, step="x", results={}),
    }.get(status, lambda: None)()
    if task == "cancelled":
        story.ask(cmd.CancelTask)
    elif task == "complete":
        story.done("other")
        story.run("child")
    elif task != "in_progress":
        story.after(2000).do(cmd.ExpireTask(now=story.now))
    if task == "resolved_manually":
        story.ask(cmd.ResolveTask)
    assert story.task.status == task
    assert story.status("x") == ("pending" if status == "blocked" else status)
    return story


@pytest.mark.parametrize(("name", "status", "mark"), task_cases())
def test_the_table_of_task_commands(name: str, status: str, mark: str) -> None:
    """Each task command is legal, already done or refused as the table says; events carry actor and reason."""
    story = task_in(status)
    kind, keys = TASK_COMMANDS[name]
    if mark == "x":
        with pytest.raises(NotAllowed, match=f"task t while it is {story.task.status}"):
            story.ask(kind, **keys)
        return
    events = story.ask(kind, **keys)
    assert bool(events) == (mark == "!")
    assert all((event.actor, event.reason) == ("ann", "because") for event in events)


@pytest.mark.parametrize(("task", "status", "name", "mark"), step_cases())
def test_the_table_of_step_commands(task: str, status: str, name: str, mark: str) -> None:
    """Each step command is legal, already done or refused as the table says; in error `task.retried` comes first."""
    story = step_in(task, status)
    kind, keys = STEP_COMMANDS[name]
    if mark == "x":
        with pytest.raises(NotAllowed, match=f"step 'x' of task t .*the task {task}"):
            story.ask(kind, step="x", **keys)
        return
    events = story.ask(kind, step="x", **keys)
    expected = [] if mark == "." else [FIRST[name]]
    if mark == "!" and task == "error" and name in {"reset", "resolve"}:
        expected.insert(0, "task.retried")
    if mark == "!" and name == "cancel":
        expected.append("step.cancelled child")
    assert types(events) == expected
    assert all((event.actor, event.reason) == ("ann", "because") for event in events)


def test_cancel_takes_all_that_has_not_finished() -> None:
    """`cancel`: what has not finished becomes cancelled, steps in error keep it, late reports are refused."""
    story = Story(step("ok"), step("bad"), step("runs"), step("waits"), step("retries"), step("later", "runs"))
    story.run("ok")
    for name in ("bad", "runs", "waits", "retries"):
        story.start(name)
    story.fail("bad", error=error(ev.PERMANENT))
    story.wait("waits")
    story.fail("retries")
    events = story.ask(cmd.CancelTask)
    cancelled = [f"step.cancelled {name}" for name in ("runs", "waits", "retries", "later")]
    assert types(events) == [*cancelled, "task.cancelled"]
    assert (story.status("ok"), story.status("bad")) == ("complete", "error")
    assert story.task.step("retries").error, "what the last attempt said can still be read"
    with pytest.raises(NotAllowed, match="drop the report"):
        story.done("runs")


def test_pause_stops_starts_only() -> None:
    """While paused nothing starts, outcomes are recorded, and the task may end."""
    story = Story(step("a"), step("b"))
    story.start("a")
    story.ask(cmd.PauseTask)
    with pytest.raises(NotAllowed, match="paused by ann"):
        story.start("b")
    story.fail("a")
    assert story.status("a") == "waiting_for_retry"
    story.ask(cmd.ResolveStep, step="a", results={})
    story.ask(cmd.ResolveStep, step="b", results={})
    assert story.task.status == "complete"


def test_resume_lets_steps_start_again() -> None:
    """After `resume` what fell due in between starts at once."""
    story = Story(step("a"))
    story.ask(cmd.PauseTask)
    assert types(story.after(60).ask(cmd.ResumeTask)) == ["task.resumed"]
    assert types(story.start("a")) == ["task.started", "step.started a"]


def test_retry_reopens_every_step_in_error_and_keeps_the_rest() -> None:
    """`retry`: one `step.reset` for each step in error, a new budget, attempts counted on, finished steps kept."""
    story = Story(step("a"), step("b"), step("c"), default_dependent_system="x")
    story.run("a")
    for name in ("b", "c"):
        story.start(name)
        story.fail(name, error=error(ev.PERMANENT))
    assert story.task.status == "error"
    assert types(story.ask(cmd.RetryTask)) == ["task.retried", "step.reset b", "step.reset c"]
    assert (story.task.status, story.status("a"), story.task.step("b").failures) == ("in_progress", "complete", 0)
    assert story.start("b")[-1].attempt == 2


def test_retry_after_a_timeout_with_pending_steps_only() -> None:
    """A task that timed out with nothing but pending steps is retried without any reset, on a new timeout."""
    story = Story(step("a"), step("b"), timeout_seconds=10)
    story.run("a")
    story.after(11).do(cmd.ExpireTask(now=story.now))
    assert types(story.ask(cmd.RetryTask)) == ["task.retried"]
    assert story.task.timeout_at == story.now + 10_000_000


def test_reset_leaves_other_errors() -> None:
    """`reset_step` in a task in error opens that one step; another error brings the task back to error."""
    story = Story(step("a"), step("b"))
    for name in ("a", "b"):
        story.start(name)
        story.fail(name, error=error(ev.PERMANENT))
    story.ask(cmd.ResetStep, step="a", rerun=True)
    assert (story.task.step("a").reruns, story.status("b")) == (1, "error")
    story.run("a")
    assert story.task.status == "error"


def test_cancel_step_takes_its_descendants_and_may_end_the_task() -> None:
    """`cancel_step` cancels what can no longer run; a task whose last steps were cancelled is cancelled."""
    story = Story(step("a"), step("b", "a"), step("c", "b"), step("d"))
    assert types(story.ask(cmd.CancelStep, step="b")) == ["step.cancelled b", "step.cancelled c"]
    assert types(story.ask(cmd.CancelStep, step="a")) == ["step.cancelled a"]
    assert types(story.run("d").history)[-1] == "task.cancelled"
    assert story.task.status is TaskStatus.CANCELLED


def test_resolving_fences_the_running_attempt_and_lets_dependents_run() -> None:
    """`resolve_step` of a running step: its late report is refused, its dependents are ready."""
    story = Story(step("a"), step("b", "a"))
    story.start("a")
    story.ask(cmd.ResolveStep, step="a", results={"by": "hand"})
    assert story.task.step("a").outcomes == "z"
    with pytest.raises(NotAllowed):
        story.done("a")
    assert types(story.start("b")) == ["step.started b"]


@pytest.mark.parametrize("retryable", [True, False])
def test_an_equal_update_is_a_repeat(retryable: bool) -> None:
    """`update_step` with the values that are there yields nothing, also for a step that is not retryable."""
    story = Story(step("a", default_retryable=retryable))
    assert story.ask(cmd.UpdateStep, step="a", retry_limit=3) == ()
    (event,) = story.ask(cmd.UpdateStep, step="a", retry_limit=5)
    assert (event.retry_limit, event.sets_limit, event.sets_inputs) == (5, True, False)
    assert story.ask(cmd.UpdateStep, step="a", retry_limit=5) == ()
    assert story.task.limit(0) == (5 if retryable else 1)
    (event,) = story.ask(cmd.UpdateStep, step="a", inputs=None, sets_inputs=True, retry_limit=5)
    assert (event.sets_limit, event.sets_inputs, story.task.step("a").inputs) == (False, True, 3)
    assert story.ask(cmd.UpdateStep, step="a", inputs=None, sets_inputs=True, repeated=True) == ()


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    """A step has at least one attempt; the refusal names the field."""
    with pytest.raises(InvalidRequest, match=f"retry_limit: expected .* at least 1 .* found {limit}") as refusal:
        Story(step("a")).ask(cmd.UpdateStep, step="a", retry_limit=limit)
    assert list(refusal.value.problems) == ["$.retry_limit"]


def test_update_keeps_what_is_not_named() -> None:
    """`update`: None keeps the reason or the tags, equal values are a repeat, the reason is also the recorded one."""
    story = Story(step("a"), request={"reason": "old", "tags": ("t",)})
    story.ask(cmd.UpdateTask, reason="new")
    assert (story.task.request.reason, story.task.request.tags) == ("new", ("t",))
    story.ask(cmd.UpdateTask, reason=None, tags=())
    assert (story.task.request.reason, story.task.request.tags) == ("new", ())
    assert story.ask(cmd.UpdateTask, reason="new", tags=()) == ()


@pytest.mark.parametrize("name", STEP_COMMANDS)
def test_an_unknown_step_is_named_with_near_ones(name: str) -> None:
    """A command on a step that the task does not have offers the names that resemble it."""
    kind, keys = STEP_COMMANDS[name]
    with pytest.raises(UnknownStep, match="Did you mean 'charge'"):
        Story(step("charge")).ask(kind, step="chrage", **keys)


@pytest.mark.parametrize("status", sorted(FINISHED))
def test_the_table_covers_every_finished_status(status: StepStatus) -> None:
    """No status of a step is missing from the table."""
    assert any(case[1] == status for case in step_cases())
