"""How often a worker looks for work: a tenth of the time over all workers, unless what it started has paid for it."""

from __future__ import annotations

import threading
from collections import deque
from types import SimpleNamespace

from tasker.runtime.agenda import Agenda
from tasker.runtime.lookout import Lookout

WORKERS = 3


class Post:
    """A lookout among fakes: one of three workers, with free slots, and looks that take as long as is said."""

    def __init__(self):
        """Make it, with one look behind it."""
        self.now, self.takes, self.looks = 0.0, 0.001, 0
        self.claiming = SimpleNamespace(
            share=(0, WORKERS), agenda=Agenda(), on=True, begun=0, full_elsewhere=set(), left_to_others={}
        )
        office = SimpleNamespace(
            is_stalled=False, inbox=SimpleNamespace(errands=deque()), now=lambda: 0, refresh_control=lambda: None,
            log=lambda: SimpleNamespace(head=lambda: 0), ids=SimpleNamespace(jitter=lambda: 0.0),
        )  # fmt: skip
        work = SimpleNamespace(ready=self._ready, timers=lambda **_: [])
        threads = SimpleNamespace(condition=threading.Condition, lock=threading.Lock, monotonic=lambda: self.now)
        self.lookout = Lookout(
            lambda: SimpleNamespace(work=work), office, self.claiming, SimpleNamespace(free=4),
            SimpleNamespace(all=list), threads,
        )  # fmt: skip
        self.lookout.begin()

    def _ready(self, *, share, **_):
        if share is not None:  # the other query of a look is for what lies in the shares of others
            self.now += self.takes
            self.looks += 1
        return []

    def told(self):
        """Hear at once that others have appended, and go round; gives whether that was a look."""
        before = self.looks
        self.lookout._hear()
        self.lookout._round()
        return self.looks > before

    def rest(self):
        """Hear of others until there is another look; gives the seconds until it, to a millisecond."""
        began = self.now
        while not self.told():
            self.now += 0.001
        return self.now - self.takes - began


def test_all_workers_together_look_a_tenth_of_the_time():
    """What a look takes, nine times and for each worker, passes before the next one, whatever is heard."""
    post = Post()
    post.takes = 0.02
    for _ in range(60):
        post.rest()
    assert abs(post.rest() - 9 * WORKERS * 0.02) < 0.01


def test_a_look_that_waited_for_others_does_not_put_a_worker_to_rest():
    """One look of a hundred milliseconds among quick ones is followed by less than a sixth of the rest it asks for."""
    post = Post()
    for _ in range(20):
        post.rest()
    post.takes = 0.1
    post.rest()
    post.takes = 0.001
    assert post.rest() < 9 * WORKERS * 0.1 / 6
    for _ in range(60):
        post.rest()
    assert post.rest() < 0.05


def test_what_was_started_pays_for_a_look():
    """A worker that has started a hundred steps since it looked and hears of others looks at once; one fewer rests."""
    post = Post()
    post.takes = 0.1
    post.rest()
    post.claiming.begun += 99
    assert not post.told()
    post.claiming.begun += 1
    assert post.told()
    assert not post.told()
