"""Live tasks of a log are compared with a changed definition, on every store, read in pages."""

from __future__ import annotations

import pytest

from tasker import StepTemplate, TaskDefinition, Tasker, Wait
from tasker.domain.divergence import Verdict
from tasker.errors import InvalidRequest, ProjectionBehind
from tasker.runtime import comparing


def go(task, sequence, step):
    """Succeed, where the context does not say otherwise."""
    return {}


def wait(task, sequence, step):
    """Wait for somebody."""
    return Wait(3600, "a signature")


def order(version="1.0.0", *more, name="order", **keys):
    """Declare a task that waits behind its first step."""
    steps = [
        StepTemplate(name="check", handler_class=go),
        StepTemplate(name="sign", handler_class=wait, depends_on_step="check"),
        StepTemplate(name="ship", handler_class=go, depends_on_step="sign"),
        *more,
    ]
    return TaskDefinition(name=name, version=version, step_templates=steps, **keys)


def added(parent="check"):
    """Declare one more step."""
    return StepTemplate(name="fraud", handler_class=go, depends_on_step=parent)


@pytest.fixture(params=["sqlite", "postgres"])
def app(request, tmp_path):
    """Give an application on each kind of store."""
    url = f"sqlite:///{tmp_path / 'a.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with Tasker(url, settings={}) as made:
        yield made


@pytest.fixture
def memory():
    """Give an application in memory."""
    with Tasker("memory://", settings={}) as made:
        yield made


def verdicts(found):
    """Map each task to its verdict and position."""
    return {one.id: (one.verdict, one.position) for one in found}


def test_each_live_task_is_decided(app):
    """A task that waits, a fresh one and a paused one are decided by their own events; an ended one is not."""
    old, new = order(), order("2.0.0", added())
    app.register(old)
    waiting, ended = app.submit(name="order"), app.submit(name="order")
    app.run_until_idle()
    app.cancel(ended.id)
    fresh, paused = app.submit(name="order"), app.submit(name="order")
    app.pause(paused.id)
    completed = next(event for event in app.events(waiting.id) if event.type == "step.completed")
    found = list(app.diff([old], [new]))
    assert verdicts(found) == {
        waiting.id: (Verdict.NEW_STEP, completed.position),
        fresh.id: (Verdict.NEW_STEP, None),
        paused.id: (Verdict.NEW_STEP, None),
    }
    told = next(one for one in found if one.id == waiting.id)
    assert (told.definition, told.status) == ("default.order@1.0.0", "in_progress")
    assert (told.offers, told.would_offer) == ((), ("fraud",))
    assert [one.text for one in told.changes if one.step == "fraud"] == ["added, behind check"]


def test_nothing_is_appended_and_no_task_is_touched(app):
    """Comparing reads: the log ends where it ended, and every task keeps its definition."""
    old, new = order(), order("2.0.0", added())
    app.register(old)
    task = app.submit(name="order")
    app.run_until_idle()
    head = [event.position for event in app.events()][-1]
    assert len(list(app.diff([old], [new]))) == 1
    assert [event.position for event in app.events()][-1] == head
    assert app.task(task.id).full_name == "default.order@1.0.0"


def test_a_task_of_the_new_definition_is_the_same(memory):
    """A task that was created with NEW already changes nothing, and its events are not even read."""
    new = order("2.0.0", added())
    memory.register(new)
    task = memory.submit(name="order")
    assert verdicts(memory.diff([order()], [new])) == {task.id: (Verdict.SAME, None)}


def test_settings_alone_need_no_history(memory, monkeypatch):
    """Where at most settings differ every task is the same, with what changed, and no event is read."""
    old, new = order(), order("1.0.1", timeout_seconds=60)
    memory.register(old)
    task = memory.submit(name="order")
    monkeypatch.setattr(comparing, "Divergence", None)
    (found,) = memory.diff([old], [new])
    assert (found.id, found.verdict) == (task.id, Verdict.SAME)
    assert [one.text for one in found.changes] == [
        "version is 1.0.1; it was 1.0.0",
        "timeout_seconds is 60; it was none",
    ]


def test_a_task_of_another_definition_is_not_decided(memory):
    """A task pinned to neither OLD nor NEW is told with its definition; without OLD each is compared with its own."""
    other = order("0.9.0")
    memory.register(other)
    task = memory.submit(name="order")
    memory.run_until_idle()
    (found,) = memory.diff([order()], [order("2.0.0", added())])
    assert (found.verdict, found.definition) == (None, "default.order@0.9.0")
    assert "neither the old nor the new" in found.reason
    (found,) = memory.diff(None, [order("2.0.0", added())])
    assert (found.id, found.verdict) == (task.id, Verdict.NEW_STEP)


def test_the_same_version_with_another_content_is_another_definition(memory):
    """Definitions are told by what they say and not by their version."""
    memory.register(order())
    memory.submit(name="order")
    (found,) = memory.diff([order("1.0.0", added("ship"))], [order("2.0.0")])
    assert found.verdict is None


def test_the_highest_version_is_what_tasks_are_compared_with(memory):
    """Of several versions in NEW the highest counts, in OLD each of them."""
    memory.register(order("0.9.0"))
    memory.register(order("1.0.0", added("ship")))
    tasks = [memory.submit(name="order", version=version) for version in ("0.9.0", "1.0.0")]
    new = order("1.10.0", added())
    found = verdicts(
        memory.diff([order("0.9.0"), order("1.0.0", added("ship"))], [new, order("1.9.0"), order("0.9.0")])
    )
    assert {one: verdict for one, (verdict, _) in found.items()} == {
        tasks[0].id: Verdict.NEW_STEP,
        tasks[1].id: Verdict.REORDERED,
    }


def test_a_definition_that_is_removed_leaves_its_tasks_stuck(memory):
    """Under a project without their definition nothing of its tasks could run."""
    memory.register(order())
    task = memory.submit(name="order")
    kept = order(name="kept")
    (found,) = memory.diff([order(), kept], [kept])
    assert (found.id, found.verdict, found.position) == (task.id, Verdict.STUCK, 1)


def test_sides_without_a_common_definition_are_refused(memory):
    """What shares no name is a wrong path, and not a removal of everything."""
    with pytest.raises(InvalidRequest, match=r"found default\.order in the old and default\.other in the new"):
        memory.diff([order()], [order(name="other")])


def test_an_empty_log_has_no_live_task(memory):
    """A log without a task, and one without a task of these definitions, give nothing."""
    assert list(memory.diff([order()], [order("2.0.0", added())])) == []


def test_many_tasks_and_long_streams_are_read_in_pieces(memory, monkeypatch):
    """Whatever is read at once, every task comes once and is decided by all of its events."""
    old, new = order(), order("2.0.0", added())
    memory.register(old)
    tasks = [memory.submit(name="order") for _ in range(7)]
    memory.run_until_idle()
    tasks += [memory.submit(name="order") for _ in range(4)]
    for number in range(12):
        memory.annotate(tasks[3].id, "note", {"number": number})
    whole = list(memory.diff([old], [new]))
    assert {one.id for one in whole} == {task.id for task in tasks}
    for name, size in {"MAX_LIMIT": 3, "_TOGETHER": 13, "_LONG": 8}.items():
        monkeypatch.setattr(comparing, name, size)
    assert list(memory.diff([old], [new])) == whole


def test_a_task_that_starts_meanwhile_comes_once(memory, monkeypatch):
    """A task that leaves pending while pages are read is neither missed nor told twice."""
    old = order()
    memory.register(old)
    tasks = {memory.submit(name="order").id for _ in range(3)}
    monkeypatch.setattr(comparing, "MAX_LIMIT", 2)
    found = memory.diff([old], [order("2.0.0", added())])
    ids = [next(found).id]
    memory.run_until_idle()
    ids += [one.id for one in found]
    assert sorted(ids) == sorted(tasks)


def test_read_models_that_cannot_follow_are_told(memory, monkeypatch):
    """Live tasks are known from the read models: where these stopped, the comparison says so and decides nothing."""
    memory.register(order())
    memory.submit(name="order")
    monkeypatch.setattr(memory._engine.context.projections, "serve", lambda: False)
    with pytest.raises(ProjectionBehind, match="projections rebuild"):
        list(memory.diff([order()], [order("2.0.0")]))
