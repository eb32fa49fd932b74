"""Offers of steps: what a worker offers to others, and what it takes up of what others offer."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace

import pytest

from tasker.domain.work import WorkItem, WorkKind
from tasker.runtime.agenda import Agenda
from tasker.runtime.dispatch import Dispatch, Reference

NOW = 1_000
MINE, OTHERS = bytes(15) + b"\x00", bytes(15) + b"\x01"


def ready(step, *, attempt=0, due=None):
    """An item of a step that may start."""
    return WorkItem(step, WorkKind.READY, due, 0, attempt, None)


def running(step):
    """An item of a step that runs."""
    return WorkItem(step, WorkKind.RUNNING, None, 0, 1, "me")


class Post:
    """A dispatch among fakes: two workers of whom this one prefers even streams, free slots, and what is ready."""

    def __init__(self, *, share=(0, 2), free=2, work=()):
        """Make it; `work` is what the live work holds."""
        self.offered, self.noted, self.asked, self.woken = [], [], [], 0
        self.agenda = Agenda()
        self.claiming = SimpleNamespace(share=share, agenda=self.agenda, on=True)
        self.office = SimpleNamespace(is_stalled=False, inbox=SimpleNamespace(errands=deque()))
        self.work = list(work)
        store = SimpleNamespace(work=SimpleNamespace(at=self._at))
        self.dispatch = Dispatch(
            lambda: store, self.office, self.claiming, SimpleNamespace(free=free), self.noted.extend
        )
        self.dispatch.listener = self.offered.extend
        self.dispatch.wake = self._wake

    def _at(self, places):
        self.asked.append(list(places))
        return [one for one in self.work if (one[0], one[1].step) in places]

    def _wake(self):
        self.woken += 1

    def offer(self, *items, concurrent=True, claimed=()):
        """Commit a turn that left these items of one task."""
        definition = SimpleNamespace(concurrent=concurrent)
        staged = SimpleNamespace(
            task=SimpleNamespace(definition=definition), claimed=list(claimed), changes=dict(enumerate(items))
        )
        self.dispatch.offer({MINE: staged}, NOW)
        return self.offered

    def take(self, *references):
        """Take offers up; give what the leader then notes."""
        number = self.dispatch.take(references)
        while self.office.inbox.errands:
            self.office.inbox.errands.popleft()()
        assert number == len(self.noted)
        return self.noted


def test_what_is_ready_and_was_not_started_is_offered():
    """Not what runs, waits, is gone, or has its time to come; what fell due is."""
    post = Post()
    waiting = WorkItem(3, WorkKind.WAITING, None, 0, 1, None)
    items = (ready(0), running(1), None, waiting, ready(4, due=NOW + 1), ready(5, attempt=2, due=NOW))
    assert post.offer(*items) == [Reference(MINE, 0, 0), Reference(MINE, 5, 2)]


@pytest.mark.parametrize(("claimed", "number"), [((0,), 0), ((), 1)])
def test_a_task_that_is_not_concurrent_is_offered_while_nothing_of_it_starts(claimed, number):
    """One of its steps at a time: with one started nobody can start another."""
    assert len(Post().offer(ready(1), concurrent=False, claimed=claimed)) == number


def test_who_is_alone_offers_nothing():
    """Nobody else could start it; nor does one offer to whom nobody listens."""
    assert Post(share=None).offer(ready(0)) == []
    silent = Post()
    silent.dispatch.listener = None
    assert silent.offer(ready(0)) == []


def test_what_one_prefers_is_taken_up_as_a_whole():
    """Whether a slot is free or not; once, and only if the live work says the same as the offer."""
    post = Post(free=0, work=[(MINE, ready(0)), (MINE, ready(1)), (MINE, ready(2, attempt=1)), (MINE, running(3))])
    found = post.take(*[Reference(MINE, number, 0) for number in (0, 0, 1, 2, 3, 4)])
    assert found == [(MINE, ready(0)), (MINE, ready(1))]
    assert post.woken == 1


def test_of_others_one_takes_as_much_as_there_are_free_slots():
    """The newest first, for who offered it begins with the oldest; nothing without a slot or with work of one's own."""
    offers = [Reference(OTHERS, number, 0) for number in range(5)]
    work = [(OTHERS, ready(number)) for number in range(5)]
    assert Post(work=work, free=2).take(*offers) == work[3:]
    assert Post(work=work, free=0).take(*offers) == []
    busy = Post(work=work)
    busy.agenda.add(MINE, ready(9), NOW)
    assert busy.take(*offers) == []
    off = Post(work=work)
    off.claiming.on = False
    assert off.take(*offers) == []


def test_nothing_is_asked_in_vain():
    """The log is not asked for what is not wanted, nor while it does not answer; what is noted is not noted again."""
    post = Post(free=0)
    post.take(Reference(OTHERS, 0, 0))
    post.office.is_stalled = True
    post.take(Reference(MINE, 0, 0))
    assert post.asked == []
    known = Post(work=[(MINE, ready(0))])
    known.agenda.add(MINE, ready(0), NOW)
    assert known.take(Reference(MINE, 0, 0)) == []
    assert known.woken == 0
