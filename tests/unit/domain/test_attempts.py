"""Attempts: budgets, fences, delays, abandonment, waits, and what a report records."""

from __future__ import annotations

import math

import pytest

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.decide import decide
from tasker.domain.retry import backoff
from tasker.domain.task import END_OF_TIME, SECOND, blank
from tasker.domain.work import next_in_line
from tasker.errors import InvalidRequest, NotAllowed, StaleAttempt, UnknownTask
from tests.unit.domain.kit import START, Story, create, error, plan, step, types

RETRIED = ["step.failed a", "step.retry_scheduled a"]
FINAL = ["step.failed a", "task.failed"]


@pytest.mark.parametrize(
    ("keys", "kind", "expected"),
    [
        ({}, ev.RETRYABLE, RETRIED),
        ({}, ev.TIMEOUT, RETRIED),
        ({}, ev.PERMANENT, FINAL),
        ({}, ev.TOO_LARGE, FINAL),
        ({"default_retry_limit": 1}, ev.RETRYABLE, FINAL),
        ({"default_retryable": False}, ev.RETRYABLE, FINAL),
        ({"default_retryable": False}, ev.TIMEOUT, FINAL),
    ],
)
def test_which_failures_are_final(keys: dict[str, object], kind: str, expected: list[str]) -> None:
    """Permanent and too_large are final at once, others when the budget is used; a retry follows in the same append."""
    story = Story(step("a", **keys))
    story.start("a")
    events = story.fail("a", error=error(kind))
    assert types(events) == expected
    assert events[0].final == (expected is FINAL)


def test_the_budget_counts_all_attempts() -> None:
    """`default_retry_limit: 3` is three attempts; the third failure is final; delays double."""
    story = Story(step("a"))
    delays = []
    for attempt in (1, 2, 3):
        assert story.start("a")[-1].attempt == attempt
        events = story.fail("a")
        delays += [event.delay_seconds for event in events if isinstance(event, ev.StepRetryScheduled)]
        story.after(60)
    assert (story.status("a"), story.task.status, delays) == ("error", "error", [1.0, 2.0])
    assert story.task.step("a").outcomes == "fff"


def test_a_new_limit_counts_at_the_next_failure() -> None:
    """`update_step(retry_limit=)` widens the running budget."""
    story = Story(step("a", default_retry_limit=1))
    story.ask(cmd.UpdateStep, step="a", retry_limit=2)
    story.start("a")
    assert types(story.fail("a")) == RETRIED
    assert story.history[-1].retry_limit == 2


def test_a_reset_gives_a_new_budget_and_leaves_the_counter() -> None:
    """After `reset_step` the first delay comes again and the attempt number goes on."""
    story = Story(step("a", default_retry_limit=2))
    story.start("a")
    story.fail("a")
    story.ask(cmd.ResetStep, step="a")
    assert story.start("a")[-1].attempt == 2
    assert story.fail("a")[-1].delay_seconds == 1.0


def test_events_show_the_limit_that_people_set() -> None:
    """`retry_limit` in events is the template's number also where the step is not retryable."""
    story = Story(step("a", default_retryable=False))
    assert story.start("a")[-1].retry_limit == 3


def test_a_retry_is_not_taken_before_it_is_due() -> None:
    """A step that waits for a retry starts at its due time, not a microsecond before."""
    story = Story(step("a"))
    story.start("a")
    story.fail("a")
    story.now += SECOND - 1
    with pytest.raises(NotAllowed, match="its time has not come"):
        story.start("a")
    story.now += 1
    assert story.start("a")[-1].attempt == 2
    assert story.task.step("a").due is None


@pytest.mark.parametrize(
    ("keys", "failures", "jitter", "seconds", "kind"),
    [
        ({}, 1, 0.5, 1.0, "exponential"),
        ({}, 4, 0.5, 8.0, "exponential"),
        ({}, 10, 0.5, 300.0, "exponential"),
        ({}, 5000, 0.5, 300.0, "exponential"),
        ({"jitter": 0.1}, 2, 0.0, 1.8, "exponential"),
        ({"jitter": 0.1}, 2, 1.0, 2.2, "exponential"),
        ({"jitter": 0.1}, 20, 1.0, 330.0, "exponential"),
        ({"jitter": 0}, 2, 1.0, 2.0, "exponential"),
        ({"retry_delay": 0}, 3, 1.0, 0.0, "exponential"),
        ({"retry_delay": 5, "max_delay": 7}, 2, 0.5, 7.0, "exponential"),
        ({"enable_exponential_backoff": False, "retry_delay": 4}, 7, 0.5, 4.0, "constant"),
        ({"enable_exponential_backoff": False, "retry_delay": 4, "jitter": 0.5}, 7, 0.0, 2.0, "constant"),
    ],
)
def test_the_delay(keys: dict[str, object], failures: int, jitter: float, seconds: float, kind: str) -> None:
    """min(max_delay, retry_delay * 2^(n-1)), then plus or minus the jitter; constant where backoff is off."""
    found = backoff(step("a", **keys), failures=failures, jitter=jitter, retry_after=None, max_server_delay=3600)
    assert found.seconds == pytest.approx(seconds)
    assert found.type == kind


@pytest.mark.parametrize(
    ("asked", "jitter", "seconds"),
    [(30, 0.0, 30.0), (30, 1.0, 33.0), (0, 1.0, 0.0), (-5, 1.0, 0.0), (1e9, 0.0, 3600.0), (math.inf, 0.0, 3600.0)],
)
def test_a_delay_that_the_server_asked_for(asked: float, jitter: float, seconds: float) -> None:
    """It replaces the backoff, is capped, and jitter only lengthens it; 0 and less mean at once."""
    found = backoff(step("a", jitter=0.1), failures=3, jitter=jitter, retry_after=asked, max_server_delay=3600)
    assert found.seconds == pytest.approx(seconds)
    assert found.type == "server_requested"


def test_a_delay_that_is_no_number_is_ignored() -> None:
    """Rubbish from a server leaves the step's own backoff."""
    found = backoff(step("a"), failures=1, jitter=0.5, retry_after=math.nan, max_server_delay=3600)
    assert found == (1.0, "exponential")


def test_no_instant_lies_behind_the_year_9999() -> None:
    """A wait or a delay beyond every calendar ends with it, so that each can be stored and shown."""
    story = Story(step("a"), step("b"))
    story.start("a")
    assert story.fail("a", retry_after=1e300, max_server_delay=1e300)[-1].not_before == END_OF_TIME
    story.start("b")
    assert story.wait("b", math.inf)[-1].until == END_OF_TIME


@pytest.mark.parametrize("first", ["done", "fail", "wait"])
@pytest.mark.parametrize("second", ["done", "fail", "wait"])
def test_a_second_report_of_an_attempt(first: str, second: str) -> None:
    """The same kind of outcome yields nothing, whatever it carries; another kind is stale."""
    story = Story(step("a"), step("b"))
    story.start("a")
    getattr(story, first)("a")
    if first == second:
        assert getattr(story, second)("a") == ()
        return
    with pytest.raises(StaleAttempt, match="attempt 1"):
        getattr(story, second)("a")


@pytest.mark.parametrize("attempt", [-1, 0, 2, 3])
def test_a_report_of_an_attempt_that_does_not_run_is_stale(attempt: int) -> None:
    """Only the running attempt is heard, and never a number that was not given out."""
    story = Story(step("a"))
    story.start("a")
    story.fail("a")
    with pytest.raises(StaleAttempt, match="drop the report"):
        story.done("a", attempt=attempt)


def test_a_late_report_of_an_earlier_attempt() -> None:
    """While attempt 2 runs, a repeat of attempt 1's outcome is nothing new, and any other report of it is stale."""
    story = Story(step("a"))
    story.start("a")
    story.fail("a")
    story.after(5).start("a")
    assert story.fail("a", attempt=1) == ()
    with pytest.raises(StaleAttempt):
        story.done("a", attempt=1)
    assert story.status("a") == "in_progress"


@pytest.mark.parametrize(
    ("keys", "reason", "expected", "status"),
    [
        ({}, ev.WORKER_LOST, ["step.abandoned a", "step.retry_scheduled a"], "waiting_for_retry"),
        ({}, ev.WORKER_STOPPED, ["step.abandoned a"], "pending"),
        ({"default_retry_limit": 1}, ev.WORKER_LOST, ["step.abandoned a", *FINAL], "error"),
        ({"default_retry_limit": 1}, ev.WORKER_STOPPED, ["step.abandoned a"], "pending"),
        ({"default_retryable": False}, ev.WORKER_LOST, ["step.abandoned a", *FINAL], "error"),
        ({"default_retryable": False}, ev.WORKER_STOPPED, ["step.abandoned a", *FINAL], "error"),
    ],
)
def test_abandonment(keys: dict[str, object], reason: str, expected: list[str], status: str) -> None:
    """A lost attempt counts, a stopped one does not; one that may run at most once fails for good."""
    story = Story(step("a", **keys))
    story.start("a")
    events = story.abandon("a", reason)
    assert types(events) == expected
    assert story.status("a") == status
    assert (events[0].worker_id, story.task.step("a").outcomes) == ("w1", "a")
    assert story.task.step("a").failures == (reason == ev.WORKER_LOST)
    assert story.abandon("a", reason) == ()
    with pytest.raises(StaleAttempt):
        story.done("a")
    if status == "error":
        assert events[1].error.kind == ev.ABANDONED
        assert f"was {'lost' if reason == ev.WORKER_LOST else 'stopped'}" in events[1].error.message


def test_a_stopped_step_starts_again_without_delay_on_the_next_number() -> None:
    """After `worker_stopped` the step is pending, without a schedule, and the attempt number goes on."""
    story = Story(step("a"))
    story.start("a")
    story.abandon("a", ev.WORKER_STOPPED)
    assert story.task.step("a").due is None
    assert story.start("a")[-1].attempt == 2


def test_a_wait_is_ended_from_outside() -> None:
    """A waiting step ends by `complete_step`; its results release the dependents; equal results are a repeat."""
    story = Story(step("a"), step("b", "a"))
    story.start("a")
    (event,) = story.wait("a", 60)
    assert (event.until, event.reason) == (START + 60 * SECOND, "approval")
    story.after(3)
    (event,) = story.ask(cmd.CompleteStep, step="a", results={"ok": True})
    assert (event.results, event.actor, event.duration) == ({"ok": True}, "ann", 3.0)
    assert types(story.start("b")) == ["step.started b"]
    assert story.ask(cmd.CompleteStep, step="a", results={"ok": True}, repeated=True) == ()


def test_a_wait_runs_out() -> None:
    """At `until` a wait fails with kind timeout and is retried within the limit; before, it cannot be expired."""
    story = Story(step("a", default_retry_limit=2))
    for expected in (RETRIED, FINAL):
        story.start("a")
        story.wait("a", 10)
        with pytest.raises(NotAllowed, match="has not run out"):
            story.expire_wait("a")
        events = story.after(10).expire_wait("a")
        assert types(events) == expected
        assert events[0].error.kind == ev.TIMEOUT
        assert story.expire_wait("a") == ()
        story.after(60)


def test_a_wait_without_end_never_runs_out() -> None:
    """Without a timeout `until` is None, and nothing expires the wait."""
    story = Story(step("a"))
    story.start("a")
    assert story.wait("a")[0].until is None
    with pytest.raises(NotAllowed, match="has not run out"):
        story.after(10**9).expire_wait("a")


@pytest.mark.parametrize(("outcome", "names"), [("done", ["a.b", "c.d"]), ("fail", ["c.d"])])
def test_custom_events_are_recorded_with_the_outcome(outcome: str, names: list[str]) -> None:
    """What an attempt published is recorded with its completion; with its failure only what asked for `always`."""
    story = Story(step("a"))
    story.start("a")
    published = (cmd.Publication("a.b", 1), cmd.Publication("c.d", 2, always=True))
    events = [event for event in getattr(story, outcome)("a", published=published) if isinstance(event, ev.CustomEvent)]
    assert [event.name for event in events] == names
    assert [event.number for event in events] == [0, 1][-len(names) :], "a number does not depend on the outcome"
    assert all((event.step, event.attempt) == ("a", 1) for event in events)


def test_a_fenced_attempt_publishes_nothing() -> None:
    """A report that is refused records none of its custom events."""
    story = Story(step("a"))
    story.start("a")
    story.abandon("a")
    with pytest.raises(StaleAttempt):
        story.done("a", published=(cmd.Publication("a.b", 1, always=True),))
    assert not any(isinstance(event, ev.CustomEvent) for event in story.history)


@pytest.mark.parametrize(("outcome", "end"), [("done", "task.completed"), ("fail", "task.failed")])
def test_annotations_stand_before_the_end_that_an_outcome_brings(outcome: str, end: str) -> None:
    """The hook's annotations are recorded before the ending event in the same append, and only there."""
    story = Story(step("a", default_retry_limit=1), step("b", default_retry_limit=1))
    notes = (cmd.Annotation("note", {"n": 1}),)
    story.start("a")
    story.start("b")
    assert "task.annotated" not in types(story.done("a", annotations=notes))
    events = getattr(story, outcome)("b", annotations=notes)
    assert types(events)[1:] == ["task.annotated", end]
    assert (events[1].status, events[1].annotation) == ("in_progress", {"n": 1})
    assert len(story.task.annotations) == 1


def test_times_never_go_back() -> None:
    """A command whose clock is behind is recorded at the time of the event before it."""
    story = Story(step("a"))
    story.now -= 5 * SECOND
    assert {event.at for event in story.start("a")} == {START}


def test_a_step_that_does_not_fit_is_not_started() -> None:
    """A start is refused behind open parents, before `not_before`, twice, and after the end."""
    story = Story(step("a"), step("b", "a"), request={"not_before": START + SECOND})
    with pytest.raises(NotAllowed, match="its time has not come"):
        story.start("a")
    story.after(1).start("a")
    with pytest.raises(NotAllowed, match="1 of its parents are not satisfied"):
        story.start("b")
    with pytest.raises(NotAllowed, match="only a pending step"):
        story.start("a")
    story.ask(cmd.CancelTask)
    with pytest.raises(NotAllowed, match="the task has ended"):
        story.start("b")


def test_one_step_at_a_time() -> None:
    """With `concurrent: false` steps run one at a time, in topological order; a retry holds nobody up."""
    story = Story(step("z", "b"), step("b"), step("a"), concurrent=False)
    for wrong in ("a", "z"):
        with pytest.raises(NotAllowed):
            story.start(wrong)
    story.start("b")
    with pytest.raises(NotAllowed, match="another step runs"):
        story.start("a")
    story.fail("b")
    assert types(story.start("a")) == ["step.started a"]
    story.done("a")
    assert next_in_line(story.task, story.now) is None
    assert next_in_line(story.task, story.now + SECOND) == story.task.number("b")


def test_a_task_that_was_not_created_takes_no_command() -> None:
    """Every command but the creation asks for a task that exists."""
    with pytest.raises(UnknownTask, match="'t'"):
        decide(blank("t", plan(step("a"))), cmd.StartStep(now=START, step="a", worker_id="w"))


def test_a_task_is_created_once() -> None:
    """A second creation yields nothing."""
    assert Story(step("a")).do(create()) == ()


@pytest.mark.parametrize(("name", "match"), [("b", "Did you mean 'bb'"), ("a", "not skippable")])
def test_a_wrong_bypass_is_refused(name: str, match: str) -> None:
    """Bypassing a step that is unknown or not skippable is refused with the path in the request."""
    with pytest.raises(InvalidRequest, match=match) as refusal:
        Story(step("a"), step("bb", skippable=True), request={"bypass_steps": ("bb", name)})
    assert list(refusal.value.problems) == ["$.bypass_steps[1]"]
