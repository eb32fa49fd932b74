"""`why`: every reason for which something waits, in words and as data."""

from __future__ import annotations

import pytest

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.control import Control, decide_control, evolve_control
from tasker.domain.definition import MANUAL
from tasker.domain.task import SECOND
from tasker.domain.why import Reason, World, unreadable, why
from tasker.errors import UnknownStep, UnsupportedEvent
from tests.unit.domain.kit import START, Story, error, step

AT = "2023-11-14T22:13:20.000000Z"
LATER = "2023-11-14T22:14:20.000000Z"


def ask(story: Story, name: str | None = None, **world: object) -> list[Reason]:
    """Ask at the story's time."""
    return why(story.task, World(**{"now": story.now, **world}), name)


def only(reasons: list[Reason]) -> Reason:
    """Give the one reason there is."""
    (reason,) = reasons
    return reason


def paused(*scopes: str) -> Control:
    """Pause scopes."""
    control = Control()
    for scope in scopes:
        for event in decide_control(control, cmd.PauseScope(now=START, scope=scope, actor="ops", reason="drill")):
            control = evolve_control(control, event)
    return control


def test_parents() -> None:
    """A step behind open parents names them and where they stand; satisfied ones are not listed."""
    story = Story(step("a"), step("b"), step("c"), step("d", "a", "b", "c"))
    story.run("a").start("b")
    reason = only(ask(story, "d"))
    assert (reason.step, reason.code) == ("d", "parents")
    assert reason.details == {
        "parents": [{"name": "b", "status": "in_progress"}, {"name": "c", "status": "pending"}],
    }
    assert "'b' (in_progress) and 'c' (pending)" in reason.text


def test_a_failed_parent() -> None:
    """A step behind one in error says so, also when the task has ended; the step in error shows its message."""
    story = Story(step("charge"), step("mail", "charge"))
    story.start("charge")
    story.fail("charge", error=error(ev.PERMANENT, "card declined"))
    task, charge, mail = ask(story)
    assert (task.step, task.code, task.details["status"]) == (None, "finished", "error")
    assert "card declined" in task.text
    assert (charge.code, charge.details["error"]) == ("finished", {"type": "Boom", "message": "card declined"})
    assert "card declined" in charge.text
    assert "attempt 1 failed" in charge.text
    assert (mail.code, mail.details["parents"]) == ("parents", [{"name": "charge", "status": "error"}])
    assert "operator" in mail.text
    assert ask(story, "mail") == [mail]


def test_a_retry_that_is_not_due() -> None:
    """A step that waits for its retry says until when and which attempt it will be."""
    story = Story(step("a"))
    story.start("a")
    story.fail("a", retry_after=60)
    reason = only(ask(story, "a"))
    assert (reason.code, reason.details) == ("due", {"due": LATER, "delay_seconds": 60.0, "attempts": 1})
    assert f"until {LATER} for attempt 2 of 3" in reason.text
    ready = only(ask(story.after(61), "a"))
    assert ready.details["ready"] is True


def test_not_before() -> None:
    """Before the request's time a root names it; behind a parent, both reasons hold."""
    story = Story(step("a"), step("b", "a"), request={"not_before": START + 60 * SECOND})
    assert only(ask(story, "a")) == Reason(
        "a", "not_before", f"step 'a' waits for the task's not_before, {LATER}", {"not_before": LATER}
    )
    assert [reason.code for reason in ask(story, "b")] == ["parents", "not_before"]


@pytest.mark.parametrize(
    ("leases", "until", "words"),
    [
        ({"w1": START + 60 * SECOND}, LATER, f"runs until {LATER}"),
        ({"w1": None}, None, "has no end"),
        ({}, None, "is not known"),
        ({"w1": START - 1}, "2023-11-14T22:13:19.999999Z", "about to be abandoned"),
    ],
)
def test_running(leases: dict[str, int | None], until: str | None, words: str) -> None:
    """A running step names its attempt, its worker, and until when that worker is known to live."""
    story = Story(step("a"))
    story.start("a")
    reason = only(ask(story, "a", leases=leases))
    assert reason.code == "running"
    assert reason.details == {"attempt": 1, "since": AT, "worker_id": "w1", "lease_until": until}
    assert words in reason.text


@pytest.mark.parametrize(("seconds", "until"), [(60, LATER), (None, None)])
def test_outside(seconds: float | None, until: str | None) -> None:
    """A waiting step says that somebody outside must act, and until when."""
    story = Story(step("a"))
    story.start("a")
    story.wait("a", seconds)
    reason = only(ask(story, "a", waits={"a": "the bank decides"}))
    details = {"attempt": 1, "until": until, "reason": "the bank decides"}
    assert (reason.code, reason.details) == ("outside", details)
    assert (until or "without end") in reason.text
    assert reason.text.endswith("to complete it (reason: the bank decides)")


def test_outside_by_hand() -> None:
    """A step that only waits for a person says so once, and so does one whose reason nobody knows."""
    for handler, waits in ((MANUAL, {"a": "waits for somebody"}), ("shop:ask", {})):
        story = Story(step("a", handler_class=handler))
        story.start("a")
        story.wait("a")
        reason = only(ask(story, "a", waits=waits))
        assert reason.text.endswith("for somebody outside to complete it")
        assert reason.details["reason"] == waits.get("a")


def test_pauses_of_the_task_and_of_scopes() -> None:
    """Each pause over a step is named with scope, person and time, beside whatever else holds it up."""
    story = Story(step("a", dependent_system="bank"), step("b", "a"))
    story.ask(cmd.PauseTask)
    control = paused("system:bank", "task:default.plan", "namespace:other")
    reasons = ask(story, "a", control=control)
    assert [(reason.code, reason.details["scope"]) for reason in reasons] == [
        ("paused", "task"),
        ("paused", "task:default.plan"),
        ("paused", "system:bank"),
    ]
    assert reasons[0].details == {"scope": "task", "actor": "ann", "reason": "because", "at": AT}
    assert f"'system:bank' is paused by ops since {AT} (reason: drill)" in reasons[2].text
    assert [reason.code for reason in ask(story, "b", control=control)] == ["parents", "paused", "paused"]


@pytest.mark.parametrize(
    ("handlers", "codes"),
    [(None, ["due"]), (frozenset({"h"}), ["due"]), (frozenset({"x"}), ["no_worker_has_handler"])],
)
def test_no_worker_has_the_handler(handlers: frozenset[str] | None, codes: list[str]) -> None:
    """A handler that no live worker has is named; where nobody knows the workers, nothing is claimed."""
    story = Story(step("a"))
    reasons = ask(story, "a", handlers=handlers)
    assert [reason.code for reason in reasons] == codes
    assert codes == ["due"] or reasons[0].details == {"handler": "h"}


def test_a_manual_step_needs_any_worker() -> None:
    """`tasker.Manual` belongs to every worker; only without one does a manual step wait for a worker."""
    story = Story(step("a", handler_class="tasker.Manual"))
    assert only(ask(story, "a", handlers=frozenset({"h"}))).code == "due"
    assert only(ask(story, "a", handlers=frozenset())).code == "no_worker_has_handler"


def test_missing_environment() -> None:
    """Variables that are missing for the handler or the step are named, once each."""
    story = Story(step("a"))
    reason = only(ask(story, "a", missing_env={"h": ("KEY", "URL"), "a": ("KEY",)}))
    assert (reason.code, reason.details) == ("missing_env", {"handler": "h", "variables": ["KEY", "URL"]})
    assert "KEY, URL" in reason.text


def test_limits() -> None:
    """A full limit names its scope, its size and who holds it; one with room says nothing."""
    story = Story(step("a", dependent_system="bank"))
    limits = {"system:bank": (2, ("t7", "t8")), "namespace:default": (5, ("t7",)), "system:mail": (0, ())}
    reason = only(ask(story, "a", limits=limits))
    assert reason.code == "limit"
    assert reason.details == {"scope": "system:bank", "limit": 2, "holders": ["t7", "t8"]}
    assert "limit of 2" in reason.text
    assert "t7, t8" in reason.text


def test_a_turn_in_a_task_that_runs_one_step_at_a_time() -> None:
    """With `concurrent: false` a ready step names the one that runs or comes first."""
    story = Story(step("a"), step("b"), concurrent=False)
    assert only(ask(story, "a")).details["ready"] is True
    first = only(ask(story, "b"))
    assert (first.code, first.details["step"]) == ("limit", "a")
    story.start("a")
    assert "'a' comes first" in only(ask(story, "b")).text


def test_a_ready_step_waits_for_a_slot() -> None:
    """With nothing else in its way a step is ready since a time that is named."""
    reason = only(ask(Story(step("a")), "a"))
    assert (reason.code, reason.details) == ("due", {"due": AT, "ready": True, "attempts": 0})
    assert "free slot" in reason.text


def test_a_live_task_lists_what_is_not_finished() -> None:
    """Without a step, every unfinished step is explained in topological order, and steps in error too."""
    story = Story(step("c", "b"), step("b"), step("a"), step("bad"))
    story.run("a").start("bad")
    story.fail("bad", error=error(ev.PERMANENT))
    assert [(reason.step, reason.code) for reason in ask(story)] == [
        ("b", "due"),
        ("c", "parents"),
        ("bad", "finished"),
    ]


@pytest.mark.parametrize(
    ("end", "words", "outcomes"),
    [
        ("complete", "is complete at", ["failed", "completed"]),
        ("cancelled", "was cancelled at", ["failed", "cancelled"]),
        ("resolved", "was resolved by hand at", ["failed", "fenced"]),
    ],
)
def test_a_finished_step_tells_its_attempts(end: str, words: str, outcomes: list[str]) -> None:
    """A finished step says how it ended, when, and how each attempt did."""
    story = Story(step("a"))
    story.start("a")
    story.fail("a")
    story.after(5).start("a")
    if end == "complete":
        story.done("a")
    elif end == "cancelled":
        story.ask(cmd.CancelStep, step="a")
    else:
        story.ask(cmd.ResolveStep, step="a", results={})
    reason = only(ask(story, "a"))
    assert (reason.code, reason.details["ended_at"]) == ("finished", "2023-11-14T22:13:25.000000Z")
    assert [attempt["outcome"] for attempt in reason.details["attempts"]] == outcomes
    assert words in reason.text


def test_a_skipped_step() -> None:
    """A skipped step says that its request asked for it."""
    story = Story(step("a", skippable=True), step("b"), request={"bypass_steps": ("a",)})
    assert "skipped" in only(ask(story, "a")).text


def test_a_completed_task() -> None:
    """An ended task says how and when; nothing else is left to say."""
    reason = only(ask(Story(step("a")).run("a")))
    assert (reason.step, reason.code) == (None, "finished")
    assert reason.details == {"status": "complete", "ended_at": AT, "failed_steps": []}


def test_a_step_that_never_began() -> None:
    """A step that was ready when the task timed out says that it did not start, and what would start it."""
    story = Story(step("a"), step("b"), timeout_seconds=1)
    story.run("a").after(1).do(cmd.ExpireTask(now=story.now))
    reason = only(ask(story, "b"))
    assert (reason.code, reason.details["attempts"]) == ("finished", [])
    assert "retry the task" in reason.text
    story.ask(cmd.ResolveTask)
    assert "retry" not in only(ask(story, "b")).text


def test_an_erased_error_shows_its_type() -> None:
    """After erasure the message is gone and the type remains."""
    story = Story(step("a"))
    story.start("a")
    story.fail("a", error=error(ev.PERMANENT, "secret"))
    story.ask(cmd.EraseTask)
    texts = [reason.text for reason in ask(story)]
    assert not any("secret" in text for text in texts)
    assert all("Boom" in text for text in texts)


def test_an_unreadable_history() -> None:
    """An event of a newer release is a reason of its own, with its place."""
    reason = unreadable(UnsupportedEvent("newer", position=7, type="task.migrated"))
    assert (reason.code, reason.details) == ("unsupported_event", {"position": 7, "type": "task.migrated"})


def test_an_unknown_step() -> None:
    """Asking for a step that does not exist names near ones."""
    with pytest.raises(UnknownStep, match="'charge'"):
        ask(Story(step("charge")), "chrge")
