"""The parts of serving: threads that run jobs, pages that are shared, and entries that are stored together."""

from __future__ import annotations

import threading

import pytest

from tasker.catalog.patterns import Patterns
from tasker.log.open import open_store
from tasker.subscriptions.clock import elapsed
from tasker.subscriptions.crew import Crew
from tasker.subscriptions.pages import PAGE, Pages
from tasker.subscriptions.recorder import Recorder
from tasker.subscriptions.values import Entry
from tests.contracts.subscribing import task

PATIENCE = 20.0


def test_jobs_run_at_once_and_threads_are_used_again():
    """Each job has a thread at once, also while others have not returned; one that has nothing to do takes the next."""
    crew, go, ran = Crew(), threading.Event(), threading.Semaphore(0)
    threads: list[str] = []

    def job() -> None:
        threads.append(str(threading.get_ident()))
        ran.release()
        go.wait(PATIENCE)

    for _ in range(3):
        crew.run(job)
    assert all(ran.acquire(timeout=PATIENCE) for _ in range(3))
    go.set()
    deadline = elapsed() + PATIENCE
    while crew._idle < 3:
        assert elapsed() < deadline
    crew.run(job)
    assert ran.acquire(timeout=PATIENCE)
    assert threads[3] in threads[:3]
    crew.close()
    crew.close()
    crew.run(job)
    assert ran.acquire(timeout=PATIENCE)
    crew.close()


class CountedLog:
    """A log that counts its reads."""

    def __init__(self, log) -> None:
        """Take the log."""
        self.reads = 0
        self._log = log

    def tail(self, after, *, limit):
        """Read a page."""
        self.reads += 1
        return self._log.tail(after, limit=limit)


@pytest.fixture
def log():
    """Give a log of 1,100 events that counts its reads."""
    store = open_store("memory://")
    for _ in range(550):
        task(store.log, "order.a")
    yield CountedLog(store.log)
    store.close()


def positions(wanted) -> list[int]:
    """Give where the events of a page are that somebody wants."""
    return [] if wanted is None else [stored.position for stored in wanted.events]


def test_a_page_is_read_once(log):
    """Whoever stands anywhere on a page that was read gets its rest, without another read."""
    pages, everything = Pages(), Patterns("*")
    page = pages.after(0, log)
    assert (page.first, page.last, log.reads) == (1, PAGE, 1)
    assert pages.after(PAGE - 1, log) is page
    assert positions(page.wanted(everything, 0)) == list(range(1, PAGE + 1))
    assert positions(page.wanted(everything, PAGE - 2)) == [PAGE - 1, PAGE]
    assert page.wanted(everything, PAGE) is None
    assert pages.after(PAGE, log).first == PAGE + 1
    assert pages.after(1_099, log).last == 1_100
    assert pages.after(1_100, log) is None
    assert log.reads == 4
    pages.forget()
    assert pages.after(0, log).first == 1
    assert log.reads == 5


def test_what_is_wanted_of_a_page(log):
    """A page gives the events that match, and its end, up to which nothing else does."""
    page = Pages().after(0, log)
    wanted = page.wanted(Patterns("order.*"), 2)
    assert (positions(wanted), wanted.last) == (list(range(4, PAGE + 1, 2)), PAGE)
    assert page.wanted(Patterns(["cart.*", "x.y"]), 0) is None


def test_what_was_appended_here_is_known():
    """What this process appended is known by its names, in stretches that have no gaps and end where they are used."""
    pages, orders = Pages(), Patterns("order.*")
    pages.appended(3, 5, {"cart.a"})
    pages.appended(6, 9, {"cart.b"})
    pages.appended(12, 13, {"order.a"})
    stretch = pages.known(4)
    assert (stretch.first, stretch.last, stretch.wanted(orders)) == (3, 9, False)
    assert stretch.wanted(Patterns(["cart.b"]))
    pages.appended(14, 15, {"cart.a"})
    assert (pages.known(0), pages.known(9), pages.known(10)) == (None, None, None)
    assert (pages.known(11).last, pages.known(11).wanted(orders)) == (13, True)
    assert (pages.known(13).first, pages.known(13).wanted(orders), pages.known(15)) == (14, False, None)
    pages.appended(16, 16, {"cart.a"})
    pages.forget()
    assert pages.known(15) is None


class SlowLedger:
    """Rows whose first commit waits until others have come."""

    def __init__(self, fails: bool) -> None:
        """Start with nothing."""
        self.commits: list[list[object]] = []
        self.begun, self.go = threading.Event(), threading.Event()
        self._fails = fails

    def commit(self, entries):
        """Store entries, or fail."""
        self.commits.append([entry.row for entry in entries])
        self.begun.set()
        assert self.go.wait(PATIENCE)
        if self._fails and len(self.commits) > 1:
            raise ValueError("no")
        return [f"state of {entry.row}" for entry in entries]


@pytest.mark.parametrize("fails", [False, True])
def test_entries_that_come_together_are_stored_together(fails):
    """What comes while something is being stored is stored next, in one go; if that fails, each of them hears of it."""
    ledger = SlowLedger(fails)
    recorder, found = Recorder(ledger), {}

    def record(number: int) -> None:
        try:
            found[number] = recorder.record(Entry(number, None))
        except ValueError as error:
            found[number] = str(error)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(5)]
    threads[0].start()
    assert ledger.begun.wait(PATIENCE)
    for thread in threads[1:]:
        thread.start()
    deadline = elapsed() + PATIENCE
    while len(recorder._waiting) < 4:
        assert elapsed() < deadline
    ledger.go.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert [sorted(rows) for rows in ledger.commits] == [[0], [1, 2, 3, 4]]
    assert found == {0: "state of 0"} | {n: "no" if fails else f"state of {n}" for n in range(1, 5)}
