"""Durable subscriptions over real processes that are killed, frozen and stopped: invariant 8, on both stores."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests import postgres
from tests.integration.subscriptions_kit import MOST_AT_ONCE, Stage

pytestmark = pytest.mark.slow
LEASE = 2.0
SLACK = 30.0
"""Seconds that a busy machine may add to what is promised."""


@pytest.fixture
def stage(tmp_path, postgres_url):
    """Give what makes a stage on PostgreSQL."""
    made = []

    def make(**options) -> Stage:
        made.append(Stage(tmp_path, postgres_url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    """Give what makes a stage on each store."""
    made = []
    url = f"sqlite:///{tmp_path}/log.db" if request.param == "sqlite" else postgres.databases().new()

    def make(**options) -> Stage:
        made.append(Stage(tmp_path, url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
    if request.param == "postgres":
        postgres.databases().drop(url)


def test_killed_between_sending_and_storing(place):
    """A worker that is killed after it has sent and before that is stored: the next one goes on, and sends that again.

    What arrives twice is of the last batch; nothing is lost, and each task's events arrive in order.
    """
    stage = place(lease=LEASE, config="kill_at: 60")
    with stage.watched(), stage.worker("a") as first:
        stage.submit(20)
        assert first.child.wait(60) == -signal.SIGKILL
        with stage.worker("b"):
            stage.submit(5)
            stage.until_told()
    again = stage.check()
    told_first = [note.position for note in stage.notes() if note.pid == first.child.pid]
    repeated = [note.position for note in again]
    assert told_first[-1] == 60
    assert repeated == told_first[-len(repeated) :]
    assert 1 <= len(repeated) <= MOST_AT_ONCE


def test_another_takes_over_from_a_killed_owner(stage):
    """With two workers, the subscription of the one that is killed goes on in the other within lease + 2 s."""
    stage = stage(lease=LEASE)
    with stage.watched(), stage.worker("a") as a, stage.worker("b") as b:
        stage.submit(5)
        stage.until_told()
        dead, living = (a, b) if stage.owner() == a.child.pid else (b, a)
        dead.child.kill()
        dead.child.wait()
        died = time.monotonic()
        stage.submit(5)
        stage.until(lambda: stage.owner() == living.child.pid, seconds=LEASE + 2 + SLACK)
        took = time.monotonic() - died
        stage.until_told()
    assert len(stage.check()) <= MOST_AT_ONCE
    assert took >= LEASE / 2, "it was taken over while its owner could have lived"


def test_a_frozen_owner_comes_back_late(stage):
    """Frozen in the middle of a batch for longer than its lease, an owner sends, and stores, nothing more afterwards.

    The checkpoint never goes back, and no task's order is broken.
    """
    stage = stage(lease=LEASE, config="pause: 0.01")
    with stage.watched(), stage.worker("a") as a, stage.worker("b") as b:
        stage.submit(40)
        stage.until(lambda: len(stage.notes()) > 30)
        frozen, living = (a, b) if stage.owner() == a.child.pid else (b, a)
        os.kill(frozen.child.pid, signal.SIGSTOP)
        before = len(own(stage, frozen))
        stage.until(lambda: stage.owner() == living.child.pid, seconds=LEASE + 2 + SLACK)
        stage.until(lambda: bool(own(stage, living)))
        os.kill(frozen.child.pid, signal.SIGCONT)
        stage.until(lambda: "taken over" in frozen.err)
        stage.until_told()
        assert len(own(stage, frozen)) - before <= 1, "beside the event in hand, the late owner sent more"
        stage.submit(3)
        stage.until_told()
    again = stage.check()
    assert len(again) <= MOST_AT_ONCE


def test_a_frozen_worker_of_a_file(tmp_path):
    """On SQLite nobody takes over from a frozen worker, for it holds the file; it goes on, and sends nothing twice."""
    stage = Stage(tmp_path, f"sqlite:///{tmp_path}/log.db", lease=0.5, config="pause: 0.01")
    with stage.watched(), stage.worker("a") as worker:
        stage.submit(20)
        stage.until(lambda: len(stage.notes()) > 30)
        os.kill(worker.child.pid, signal.SIGSTOP)
        time.sleep(1.0)  # longer than its lease: that is the case
        os.kill(worker.child.pid, signal.SIGCONT)
        stage.until_told()
    assert stage.check() == []
    stage.close()


def test_a_stopped_owner_hands_over_at_once(stage):
    """A worker that is stopped gives its subscription up: another goes on long before the lease would end."""
    stage = stage(lease=60.0)
    with stage.watched(), stage.worker("a") as a, stage.worker("b") as b:
        stage.submit(5)
        stage.until_told()
        stopped, living = (a, b) if stage.owner() == a.child.pid else (b, a)
        assert stopped.stop() == 0
        stage.submit(5)
        stage.until(lambda: stage.owner() == living.child.pid, seconds=2 + SLACK)
        stage.until_told()
    assert stage.check() == []
    assert (stage.folder / f"closed-{stopped.child.pid}").exists(), "the subscriber was not closed"


def test_a_long_delivery_keeps_the_lease(stage):
    """A delivery that takes three leases is waited for: nobody else takes the subscription, or sends the event."""
    stage = stage(lease=1.0, config="long_at: 20, long: 3.0")
    with stage.watched(), stage.worker("a"), stage.worker("b"):
        stage.submit(5)
        stage.until_told()
    assert stage.check() == []
    assert len({note.pid for note in stage.notes()}) == 1


def own(stage, worker):
    """Give what a worker has noted."""
    return [note for note in stage.notes() if note.pid == worker.child.pid]
