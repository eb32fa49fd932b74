"""The parts of the shell: inbox, agenda, crew and slots, each alone."""

from __future__ import annotations

import threading

import pytest

from tasker.domain.commands import CancelTask
from tasker.domain.work import WorkItem, WorkKind
from tasker.errors import Overloaded
from tasker.runtime import inbox as inbox_module
from tasker.runtime.agenda import Agenda
from tasker.runtime.crew import Crew
from tasker.runtime.inbox import Inbox
from tasker.runtime.slots import Running, Slots
from tasker.runtime.threads import Threads
from tasker.runtime.ticket import Ticket
from tests.integration.runner_kit import eventually
from tests.unit.domain.kit import Story, step

STREAM = bytes(16)


def ticket(*, report=False, size=0):
    """Make a ticket."""
    made = Ticket(STREAM, CancelTask(now=0, actor="a", reason="r"), size=size)
    made.report = report
    return made


def ready(number=0, *, rank=0, due=None):
    """Make an item that is ready."""
    return WorkItem(number, WorkKind.READY, due, rank, 0, None)


def numbers(agenda):
    """Take everything that is ready."""
    found = []
    while (entry := agenda.pop_ready()) is not None:
        found.append(entry.item.step)
    return found


def test_reports_come_before_requests_in_order():
    """A turn takes the reports first, then the requests, each in their order."""
    box = Inbox(Threads())
    given = [ticket(), ticket(report=True), ticket(), ticket(report=True)]
    for one in given:
        box.put(one)
    assert box.take() == [given[1], given[3], given[0], given[2]]
    assert not box.waiting


def test_what_is_given_back_comes_first():
    """Tickets that must be decided again stand in front, in their order."""
    box = Inbox(Threads())
    first, second, later = ticket(), ticket(), ticket()
    box.put(later)
    box.give_back([first, second])
    assert box.take() == [first, second, later]


@pytest.mark.parametrize(("bound", "value"), [("MOST_TICKETS", 2), ("MOST_BYTES", 20)])
def test_a_full_inbox_refuses_requests_and_takes_reports(monkeypatch, bound, value):
    """After its patience a full inbox raises Overloaded; reports always find room; a turn makes room."""
    monkeypatch.setattr(inbox_module, bound, value)
    monkeypatch.setattr(inbox_module, "PATIENCE_SECONDS", 0.02)
    box = Inbox(Threads())
    for _ in range(2):
        box.put(ticket(size=10))
    with pytest.raises(Overloaded):
        box.put(ticket(size=10))
    box.put(ticket(report=True, size=10))
    assert len(box.take()) == 3
    box.put(ticket(size=10))


def test_who_waits_for_room_gets_it(monkeypatch):
    """A put that waits goes on as soon as a turn has taken something."""
    monkeypatch.setattr(inbox_module, "MOST_TICKETS", 1)
    box = Inbox(Threads())
    box.put(ticket())
    thread = threading.Thread(target=box.put, args=[ticket()])
    thread.start()
    assert len(box.take()) == 1
    thread.join(10)
    assert len(box.take()) == 1


def test_ready_steps_come_by_rank_then_by_arrival():
    """Smaller rank first; among equals who came first."""
    agenda = Agenda()
    for number, rank in ((0, 5), (1, 1), (2, 5), (3, 0)):
        agenda.add(STREAM, ready(number, rank=rank), 0)
    assert numbers(agenda) == [3, 1, 0, 2]


def test_timers_fall_due():
    """What is due later waits; at its time a ready step becomes ready, anything else is given to the caller."""
    agenda = Agenda()
    agenda.add(STREAM, ready(0, due=10), 0)
    agenda.add(STREAM, WorkItem(1, WorkKind.WAITING, 5, 0, 1, None), 0)
    agenda.add(STREAM, WorkItem(2, WorkKind.WAITING, None, 0, 1, None), 0)
    assert (agenda.next_due, numbers(agenda)) == (5, [])
    assert [entry.item.step for entry in agenda.pop_due(9)] == [1]
    assert agenda.pop_due(10) == []
    assert (numbers(agenda), agenda.next_due) == ([0], None)


def test_held_steps_come_back_in_their_order():
    """A reason that is lifted makes its steps ready again, by rank; other reasons go on holding."""
    agenda = Agenda()
    for number, rank in ((0, 2), (1, 1), (2, 0)):
        agenda.add(STREAM, ready(number, rank=rank), 0)
    for reason in ("x", "x", "y"):
        agenda.hold(reason, agenda.pop_ready())
    assert (agenda.has_ready, sorted(agenda.reasons)) == (False, ["x", "y"])
    agenda.lift("x")
    assert numbers(agenda) == [2, 1]
    agenda.lift_all()
    assert numbers(agenda) == [0]


def test_a_crew_loses_no_job():
    """Ten thousand jobs given by four threads, some by jobs themselves, are each done once."""
    crew, done, lock = Crew(4, Threads()), [], threading.Lock()

    def job(number):
        with lock:
            done.append(number)
        if number % 2 == 0:
            crew.give([lambda: job(number + 1)])

    def giver(start):
        for number in range(start, start + 2500, 2):
            crew.give([lambda number=number: job(number)])

    threads = [threading.Thread(target=giver, args=[start]) for start in range(0, 10_000, 2500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert crew.wait(lambda: crew.at_rest and len(done) == 10_000, 20)
    assert sorted(done) == list(range(10_000))
    assert crew.close(5)


def test_blocking_jobs_get_a_thread_each():
    """As many jobs block at once as the crew has places; one place more is kept for leading."""
    crew, gate, inside = Crew(3, Threads()), threading.Event(), []
    crew.give([lambda: (inside.append(1), gate.wait(10))] * 8)
    eventually(lambda: len(inside) >= 3)
    assert len(inside) <= 4
    gate.set()
    assert crew.wait(lambda: crew.at_rest, 10)
    assert len(inside) == 8
    assert crew.close(5)


def test_waiting_for_a_crew_ends_in_time():
    """`wait` gives False when its time is over, and runs no job itself."""
    crew, gate, ran_by = Crew(2, Threads()), threading.Event(), []
    crew.give([lambda: (ran_by.append(threading.current_thread()), gate.wait(10))])
    assert not crew.wait(lambda: crew.at_rest, 0.05)
    gate.set()
    assert crew.wait(lambda: crew.at_rest, 10)
    assert threading.current_thread() not in ran_by
    assert crew.close(5)


def test_a_fault_in_a_job_costs_no_thread():
    """A job that raises is logged, and the crew goes on with all its threads."""
    crew, done = Crew(1, Threads()), []
    crew.give([lambda: 1 / 0] * 5 + [lambda: done.append(1)])
    assert crew.wait(lambda: crew.at_rest and done, 10)
    assert crew.close(5)


def running(slots, scopes=()):
    """Take a slot for an attempt."""
    story = Story(step("a"))
    story.start("a")
    slots.take(scopes)
    return Running(STREAM, story.task, 0, scopes, "w")


def test_slots_are_counted():
    """Free and busy add up; a limited scope is full at its limit."""
    slots = Slots(3, {"system:shop": 1}, Threads())
    running(slots, ("system:shop",))
    assert (slots.free, slots.busy, slots.full(("system:shop",))) == (2, 1, "system:shop")
    slots.release(("system:shop",))
    assert (slots.free, slots.full(("system:shop",))) == (3, None)


def test_half_of_the_slots_stuck_frees_none():
    """With half of its slots stuck a worker is unhealthy and claims nothing; when one returns it is well again."""
    slots = Slots(4, {}, Threads())
    both = [running(slots), running(slots)]
    assert slots.stick(both[0])
    assert (slots.unhealthy, slots.free) == (False, 2)
    assert slots.stick(both[1])
    assert (slots.unhealthy, slots.free) == (True, 0)
    slots.unstick(both[0])
    assert (slots.unhealthy, slots.stuck) == (False, 1)


def test_an_attempt_sticks_once_and_not_after_its_handler_returned():
    """Whoever comes first, the timeout or the handler, the count of stuck slots stays right."""
    slots = Slots(4, {}, Threads())
    late, early = running(slots), running(slots)
    assert slots.stick(late)
    assert not slots.stick(late)
    slots.unstick(early)
    assert not slots.stick(early)
    slots.unstick(late)
    slots.unstick(late)
    assert slots.stuck == 0


def test_what_finds_no_room_is_looked_for_later():
    """A full agenda leaves ready steps and timers to the live work, and says so."""
    agenda = Agenda(2)
    for number in range(3):
        agenda.add(STREAM, ready(number), 0)
    assert (agenda.more, agenda.unnoted, agenda.runs_low) == (True, 1, False)
    for number in range(3):
        agenda.add(STREAM, ready(number, due=10 + number), 0)
    assert (agenda.timers_from, agenda.next_due) == (12, 10)
    assert numbers(agenda) == [0, 1]
    assert agenda.runs_low


def test_a_step_is_noted_once():
    """What is ready, held or timed already is not noted again, until it has been taken."""
    agenda = Agenda()
    assert agenda.add(STREAM, ready(0), 0)
    assert not agenda.add(STREAM, ready(0), 0)
    agenda.hold("x", agenda.pop_ready())
    assert not agenda.add(STREAM, ready(0), 0)
    agenda.lift("x")
    assert numbers(agenda) == [0]
    assert agenda.add(STREAM, ready(0), 0)
    assert agenda.add(STREAM, ready(1, due=10), 0)
    assert not agenda.add(STREAM, ready(1, due=10), 0)
