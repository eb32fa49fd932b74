"""Contract of the archive: what ended long ago goes to a file, whole and once, before the log forgets its contents."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tasker.errors import InvalidRequest
from tasker.testing import FrozenClock
from tests.contracts.shop import DAY, SECRET, Heard, shop, sold

FINAL = {"task.completed", "task.cancelled", "task.resolved_manually"}


@pytest.fixture
def clock():
    """Give a clock that stands still."""
    return FrozenClock()


@pytest.fixture
def app(place, clock):
    """Give a shop on a database of each adapter."""
    place.open()
    with shop(place.url, clock) as found:
        yield found


def lines(path):
    """Give the events of an archive."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def shown(app, task_id):
    """Give the events of a task as an export has them."""
    return [event.cloudevent() for event in app.events(task_id)]


def test_what_ended_long_ago_is_archived(app, clock, tmp_path):
    """The file has every event of the task as an export has it; the log keeps headers and positions, and verifies."""
    old = sold(app)
    before = shown(app, old)
    clock.advance(10 * DAY)
    young = sold(app)
    done = app.archive(7 * DAY, reason="retention", actor="ann", output=tmp_path / "old.jsonl")
    assert lines(tmp_path / "old.jsonl") == before
    assert (done.path, done.tasks, done.events) == (tmp_path / "old.jsonl", 1, len(before))
    after = list(app.events(old))
    assert [(one.position, one.type, one.time) for one in after][:-1] == [
        (one["position"], one["type"].removeprefix("tasker."), after[place].time) for place, one in enumerate(before)
    ]
    assert (after[-1].type, after[-1].actor, after[-1].body["reason"]) == ("task.erased", "ann", "retention")
    assert SECRET not in json.dumps(shown(app, old))
    assert (app.task(old).context, app.task(young).context["name"]) == (None, SECRET)
    assert app.audit.verify().events == sum(1 for _ in app.events())
    app.run_until_idle()
    assert app.replay().differences == []


def test_only_final_tasks_are_taken(app, clock, tmp_path):
    """Complete, cancelled and resolved tasks are; one in error may be retried, and a live or erased one is left too."""
    complete, failed, erased = sold(app), sold(app, fails=True), sold(app)
    resolved, cancelled = sold(app, fails=True), sold(app, fails=True)
    live = app.submit(name="order", context={"name": SECRET}).id
    app.resolve(resolved)
    app.cancel(cancelled)
    app.erase(erased, reason="asked for")
    app.pause(live)
    app.run_until_idle()
    clock.advance(DAY)
    assert app.archive(DAY, reason="r", output=tmp_path / "a.jsonl", dry_run=True).tasks == 3
    assert not (tmp_path / "a.jsonl").exists()
    app.archive(DAY, reason="r", output=tmp_path / "a.jsonl")
    found = lines(tmp_path / "a.jsonl")
    assert {one["subject"] for one in found} == {complete, resolved, cancelled}
    assert Counter(one["type"].removeprefix("tasker.") in FINAL for one in found)[True] == 3
    assert app.task(failed).context["name"] == app.task(live).context["name"] == SECRET


def test_nothing_to_archive_makes_no_file(app, tmp_path):
    """Where no task is old enough, there is no file, and the next call may use its name."""
    sold(app)
    done = app.archive("90d", reason="r", output=tmp_path / "a.jsonl")
    assert (done.path, done.tasks, done.events, list(tmp_path.glob("*.jsonl*"))) == (None, 0, 0, [])


def test_a_subscription_that_was_not_told_keeps_a_task(app, tmp_path):
    """As long as a subscription lags or holds a parked event, the task stays; retiring it lets the task go."""
    heard = Heard()
    app.subscribe(heard, start="beginning")
    heard.fails = True
    first = sold(app)
    app.subscriptions.pause("heard")
    second = sold(app)
    done = app.archive(0, reason="r", output=tmp_path / "a.jsonl")
    assert (done.path, done.waiting, dict(done.awaited)) == (None, 2, {"heard": 2})
    heard.fails = False
    app.subscriptions.resume("heard")
    parked = app.subscriptions.parked("heard")
    assert [one.stream_id for one in parked] == [first]
    app.run_until_idle()
    done = app.archive(0, reason="r", output=tmp_path / "b.jsonl")
    assert ({one["subject"] for one in lines(done.path)}, dict(done.awaited)) == ({second}, {"heard": 1})
    app.subscriptions.retire("heard")
    done = app.archive(0, reason="r", output=tmp_path / "c.jsonl")
    assert ({one["subject"] for one in lines(done.path)}, done.waiting) == ({first}, 0)


@pytest.mark.parametrize("age", ["90 years", "", "d", "-1", -1, float("nan"), float("inf"), None, True])
def test_an_age_that_is_none(app, age):
    """What is no age is refused before anything is written."""
    with pytest.raises(InvalidRequest, match="older_than"):
        app.archive(age, reason="r")


def test_a_folder_gets_a_new_file_each_time(app, clock, tmp_path):
    """In a folder each archive makes a file with the time in its name, also twice in a second; none is replaced."""
    folder = tmp_path / "archives"
    folder.mkdir()
    paths = []
    for _ in range(2):
        sold(app)
        paths.append(app.archive("0s", reason="r", output=folder).path)
    sold(app)
    with pytest.raises(InvalidRequest, match="expected no file"):
        app.archive(0, reason="r", output=paths[0])
    assert sorted(folder.iterdir()) == sorted(paths)
    assert len(set(paths)) == 2
