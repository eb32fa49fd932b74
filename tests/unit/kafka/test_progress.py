"""The watchdog of progress: when it speaks, when it is silent, and that it does not accuse twice in vain."""

from __future__ import annotations

from tasker.kafka.progress import Lag, Progress

PLACE, OTHER = ("requests", 0), ("requests", 1)


class Watch:
    """A watchdog that speaks after 60 s, and its clock."""

    def __init__(self):
        """Begin at zero."""
        self.now = 0.0
        self.progress = Progress(60.0, monotonic=lambda: self.now)
        self.progress.begin()

    def after(self, seconds, lag, place=PLACE):
        """What it says, so much later, of a partition that stands so."""
        self.now += seconds
        return self.progress.judge({place: lag})


def test_a_standstill_is_named():
    """Messages wait and nothing is acknowledged for as long as it takes: it names the partition and how many wait."""
    watch = Watch()
    assert watch.after(0, Lag(5, 8)) is None
    assert watch.after(59, Lag(5, 9)) is None
    assert watch.after(1, Lag(5, 9)) == "requests/0 has not advanced for 60 s, and 4 messages wait"


def test_a_group_that_acknowledged_nothing_yet_stands_still_too():
    """Before its first acknowledgement a group has no offset; what lies there waits all the same."""
    watch = Watch()
    assert watch.after(0, Lag(-1, 3)) is None
    assert "3 messages" in (watch.after(60, Lag(-1, 3)) or "")


def test_what_advances_or_has_nothing_to_do_is_well():
    """An acknowledgement, the end of the partition, a partition that is new, an answer that fails: no standstill."""
    watch = Watch()
    for acknowledged in range(5):
        assert watch.after(50, Lag(acknowledged, 9)) is None
    assert watch.after(50, Lag(9, 9)) is None
    assert watch.after(500, Lag(9, 9)) is None
    assert watch.after(50, Lag(9, 10), OTHER) is None
    assert watch.progress.judge({}) is None
    assert watch.after(50, Lag(9, 10), OTHER) is None


def test_a_batch_in_hand_is_no_standstill():
    """However long a batch takes, for the log may not answer; after it the time begins anew."""
    watch = Watch()
    watch.after(0, Lag(5, 8))
    with watch.progress.holding():
        assert watch.after(500, Lag(5, 8)) is None
    assert watch.after(50, Lag(5, 8)) is None
    assert watch.after(59, Lag(5, 8)) is None
    assert watch.after(1, Lag(5, 8)) is not None


def test_it_does_not_accuse_twice_for_the_same():
    """A partition may end with marks of transactions that nobody consumes: one attempt to begin anew is enough."""
    watch = Watch()
    watch.after(0, Lag(5, 6))
    assert watch.after(60, Lag(5, 6)) is not None
    watch.progress.begin()
    assert all(watch.after(60, Lag(5, 6)) is None for _ in range(5))
    assert watch.after(0, Lag(5, 7)) is None
    assert watch.after(60, Lag(5, 7)) is not None


def test_it_looks_four_times_in_its_time():
    """Asking the broker costs something: not before a quarter of the time."""
    watch = Watch()
    assert not watch.progress.due
    watch.now = 15.0
    assert watch.progress.due
    watch.progress.judge({})
    assert not watch.progress.due
