"""What handlers and callers see of a task and its steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.errors import UnknownStep
from tasker.handlers.views import Task
from tests.unit.domain.kit import START, Story, error, step
from tests.unit.handlers.kit import Rows, view

BEGIN = datetime.fromtimestamp(START // 1_000_000, tz=UTC)


def failing() -> Story:
    """Tell of a step that failed once, was tried again and succeeded."""
    story = Story(step("a", skippable=True, description="first"), step("b", "a"), request={"context": {"k": [1]}})
    story.start("a")
    story.after(1).fail("a", error=ev.StepError("m.Boom", "broken", ev.RETRYABLE, "trace", 503, None, {"x": [1]}))
    story.after(5).start("a", "w2")
    return story


def test_a_task_shows_its_request_and_its_definition():
    """Every attribute of a task reads from its state; times are aware and in UTC."""
    parent = ev.Parent("t0", "s")
    request = {"context": {"k": 1}, "tags": ("x",), "priority": 3, "parent": parent, "initiator": "web", "reason": "r"}
    story = Story(step("b", "a"), step("a"), request=request)
    task = view(story.after(2).run("a", "b"), position=9, created=True)
    assert (task.id, task.name, task.namespace, task.version) == ("t", "plan", "default", "0.1.0")
    assert (task.full_name, task.status, task.paused) == ("default.plan@0.1.0", "complete", False)
    assert (task.tags, task.priority, task.parent, task.initiator, task.reason) == (("x",), 3, parent, "web", "r")
    assert (task.source_system, task.correlation_id, task.not_before) == ("unknown", "c", None)
    assert (task.created_at, task.started_at) == (BEGIN, BEGIN + timedelta(seconds=2))
    assert task.completed_at == BEGIN + timedelta(seconds=2)
    assert (task.created, task.position, task.stream_version) == (True, 9, len(story.history))
    assert (list(task.steps), len(task.steps)) == (["a", "b"], 2)
    assert task.graph is story.definition.graph
    assert (task.execution_status, task.health_status, task.completion_percentage) == ("all_complete", "healthy", 100.0)
    assert task.recommended_action is None


def test_values_are_copies():
    """Changing what a view gave changes neither another value of the task nor what is stored."""
    story = failing()
    rows = Rows(story)
    task = Task(story.task, rows)
    task.step("a").inputs["k"].append(2)
    assert task.context == {"k": [1]}
    task.context["k"].append(3)
    assert Task(story.task, rows).context == {"k": [1]}
    assert task.step("b").inputs == {"k": [1, 3]}


def test_nothing_is_loaded_before_it_is_asked_for():
    """A view reads no payload and no history for its state, and each payload once."""
    story = Story(step("a"), request={"context": {}})
    story.run("a")
    rows = Rows(story)
    task = Task(story.task, rows)
    assert (task.status, [one.status for one in task.sequence], task.step("a").attempts) == (
        "complete",
        ["complete"],
        1,
    )
    assert (rows.asked, rows.histories) == ([], 0)
    assert task.context == task.context == {}
    assert task.step("a").results == task.steps["a"].results == {}
    assert len(rows.asked) == 2
    assert task.step("a").history is task.step("a").history
    assert rows.histories == 1


def test_a_step_between_two_attempts():
    """A failed step shows its error whole, its delay and when it is due."""
    story = Story(step("a"), request={"context": {}})
    story.start("a")
    story.fail("a", error=ev.StepError("m.Boom", "broken", ev.RETRYABLE, "trace", 503, None, {"x": [1]}))
    one = view(story).step("a")
    assert (one.status, one.attempts, one.backoff) == ("waiting_for_retry", 1, 1.0)
    assert one.next_retry_at == BEGIN + timedelta(seconds=1)
    assert one.error == ev.StepError("m.Boom", "broken", "retryable", "trace", 503, None, {"x": [1]})
    assert (one.results, one.completed_at) == (None, None)
    assert [entry.outcome for entry in one.history] == ["failed"]
    assert one.history[0].error == one.error


def test_history_has_one_entry_per_attempt():
    """Each attempt has its worker, its times, its outcome and its error or results."""
    story = failing()
    story.after(1).done("a", results={"ok": True})
    one = view(story).step("a")
    first, second = one.history
    assert (first.number, first.worker_id, first.outcome, first.error.message, first.results) == (
        1, "w1", "failed", "broken", None,
    )  # fmt: skip
    assert (second.number, second.worker_id, second.outcome, second.error) == (2, "w2", "completed", None)
    assert second.results == one.results == {"ok": True}
    assert (first.started_at, first.ended_at) == (BEGIN, BEGIN + timedelta(seconds=1))
    assert (one.started_at, one.last_attempted_at, one.completed_at) == (BEGIN, second.started_at, second.ended_at)
    assert (one.error, one.backoff, one.next_retry_at, one.worker_id) == (None, None, None, "w2")


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (lambda story: None, None),
        (lambda story: story.abandon("a"), "abandoned"),
        (lambda story: story.wait("a"), "waiting"),
        (lambda story: story.ask(cmd.CancelStep, step="a"), "cancelled"),
        (lambda story: story.ask(cmd.ResolveStep, step="a", results=1), "fenced"),
        (lambda story: (story.wait("a"), story.ask(cmd.CompleteStep, step="a", results=1)), "waiting"),
    ],
    ids=["running", "abandoned", "waiting", "cancelled", "fenced", "waited"],
)
def test_outcomes_of_history(end, outcome):
    """The outcome of an attempt is what ended it first; None while it runs."""
    story = Story(step("a"))
    story.start("a")
    end(story)
    entry = view(story).step("a").history[0]
    assert (entry.outcome, entry.ended_at is None) == (outcome, outcome is None)


def test_resolved_and_skipped_steps_have_results():
    """A resolved step has the operator's results, a skipped one {}."""
    story = Story(step("a", skippable=True), step("b", "a"), request={"bypass_steps": ("a",)})
    story.ask(cmd.ResolveStep, step="b", results=[1])
    task = view(story)
    assert [one.results for one in task.sequence] == [{}, [1]]
    assert task.step("b").completed_at == BEGIN


def test_inputs_of_an_operator():
    """`inputs` is the context until an operator puts something in its place, null too."""
    story = Story(step("a"), request={"context": {"k": 1}})
    assert view(story).step("a").inputs == {"k": 1}
    story.ask(cmd.UpdateStep, step="a", inputs={"k": 2}, sets_inputs=True, retry_limit=9)
    assert (view(story).step("a").inputs, view(story).step("a").retry_limit) == ({"k": 2}, 9)


def test_a_step_shows_its_template():
    """What the template says is there, and the idempotency key changes with a rerun alone."""
    template = {
        "dependent_system": "shop",
        "timeout_seconds": None,
        "default_retryable": False,
        "default_retry_limit": 4,
    }
    story = Story(step("z"), step("a", "z", **template), request={"context": {}})
    one = view(story).step("a")
    assert (one.name, one.description, one.dependent_system, one.depends_on) == ("a", "a", "shop", ("z",))
    assert (one.timeout_seconds, one.retryable, one.retry_limit, one.skippable) == (None, False, 4, False)
    assert one.idempotency_key == "t:a"
    story.run("z")
    story.start("a")
    story.fail("a")
    story.ask(cmd.ResetStep, step="a", rerun=True)
    assert view(story).step("a").idempotency_key == "t:a:1"
    assert "a" in repr(view(story).step("a"))


def test_annotations():
    """An annotation has type, value, actor and time."""
    story = Story(step("a"))
    story.after(3).ask(cmd.AnnotateTask, annotation_type="note", annotation={"by": "eve"})
    (note,) = view(story).annotations
    assert note == ("note", {"by": "eve"}, "ann", BEGIN + timedelta(seconds=3))


def test_an_erased_task_reads_none():
    """Context, inputs, results, errors and annotations of an erased task are None; the rest stays."""
    story = Story(
        step("a"), step("b"), step("c", skippable=True), request={"context": {"k": 1}, "bypass_steps": ("c",)}
    )
    story.ask(cmd.AnnotateTask, annotation_type="note", annotation={"by": "eve"})
    story.run("a")
    story.start("b")
    story.fail("b", error=error(ev.PERMANENT))
    story.ask(cmd.EraseTask)
    task = view(story, erased=True)
    assert (task.erased, task.context, task.annotations[0].value) == (True, None, None)
    assert [(one.inputs, one.results, one.error) for one in task.sequence] == [(None, None, None)] * 3
    assert [(entry.results, entry.error) for name in "ab" for entry in task.step(name).history] == [(None, None)] * 2
    assert (task.status, task.step("b").history[0].outcome) == ("error", "failed")


def test_the_sequence():
    """A sequence goes in topological order and finds steps by name; an unknown one is None, or UnknownStep by index."""
    sequence = view(Story(step("last", "first"), step("first"))).sequence
    assert ([one.name for one in sequence], len(sequence)) == (["first", "last"], 2)
    assert sequence.find_step_by_name("first") is sequence["first"]
    assert sequence.find_step_by_name("nope") is None
    assert ("first" in sequence, "nope" in sequence, sequence["first"] in sequence) == (True, False, True)
    with pytest.raises(UnknownStep, match="first"):
        sequence["frist"]


def test_unknown_steps_of_a_task():
    """`task.step` offers near names; the mapping answers like a mapping."""
    task = view(Story(step("total")))
    with pytest.raises(UnknownStep, match="total"):
        task.step("totals")
    assert task.steps.get("totals") is None
    assert task.steps["total"].name == "total"


def test_views_are_read_only():
    """A caller cannot assign to what it sees."""
    task = view(Story(step("a")))
    for target, name in ((task, "status"), (task.step("a"), "results"), (task.step("a"), "status")):
        with pytest.raises(AttributeError):
            setattr(target, name, 1)
    with pytest.raises(AttributeError):
        task.colour = "red"
