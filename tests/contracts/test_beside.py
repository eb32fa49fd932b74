"""Contract of what lives beside the log: live work, checkpoints, transactions, the runner's lock."""

from __future__ import annotations

from threading import Thread

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tasker.domain.work import TASK, WorkItem, WorkKind
from tasker.log.port import Appended
from tests.contracts.kit import more, new_id, start, started


def _item(step: int, kind: WorkKind = WorkKind.READY, **fields: object) -> WorkItem:
    """Give an item with plausible fields."""
    return WorkItem(step, kind, None, 5, 0, None)._replace(**fields)


class TestLiveWork:
    """The index of what waits or runs."""

    def test_with_the_append(self, store):
        """Changes of live work are stored with the events of a winner, and a loser's are not."""
        stream_id = new_id()
        ready, timer = _item(0), _item(TASK, WorkKind.TASK_TIMEOUT, due=99)
        store.log.append([start(stream_id)._replace(work=((0, ready), (TASK, timer)))])
        assert store.work.of(stream_id) == [timer, ready]
        running = _item(0, WorkKind.RUNNING, attempt=1, worker_id="w")
        won = more(stream_id, 1)._replace(work=((0, running), (TASK, None), (7, None)))
        lost = more(stream_id, 9)._replace(work=((0, None),))
        store.log.append([won, lost])
        assert list(store.work.all()) == [(stream_id, running)]

    def test_last_word(self, store):
        """Of two changes of one item in a group the later one holds."""
        one, two = started(store.log), started(store.log)
        store.log.append([
            more(one, 1)._replace(work=((0, _item(0)),)),
            more(one, 2)._replace(work=((0, None),)),
            more(two, 1)._replace(work=((0, None),)),
            more(two, 2)._replace(work=((0, _item(0)),)),
        ])  # fmt: skip
        assert (store.work.of(one), store.work.of(two)) == ([], [_item(0)])

    def test_replaced(self, store):
        """Replacing throws everything away and stores the new items, or changes nothing."""
        stream_id = started(store.log)
        store.work.replace([(stream_id, _item(0)), (stream_id, _item(1))])
        store.work.replace([(stream_id, _item(2, WorkKind.WAITING, due=4))])
        assert list(store.work.all()) == [(stream_id, _item(2, WorkKind.WAITING, due=4))]
        with pytest.raises(Exception, match=r"UNIQUE|duplicate"):
            store.work.replace([(stream_id, _item(3)), (stream_id, _item(3))])
        assert [item.step for item in store.work.of(stream_id)] == [2]


class TestCheckpoints:
    """Named positions of readers."""

    def test_compare_and_set(self, store):
        """A checkpoint moves only from where its reader believed it to be; an unknown one is at 0."""
        assert store.checkpoints.get("a") == 0
        assert not store.checkpoints.advance("a", expected=3, position=5)
        assert store.checkpoints.advance("a", expected=0, position=5)
        assert not store.checkpoints.advance("a", expected=0, position=7)
        assert store.checkpoints.advance("a", expected=5, position=9)
        assert (store.checkpoints.get("a"), store.checkpoints.get("b")) == (9, 0)

    def test_reopened(self, shared):
        """A checkpoint outlives its store."""
        store = shared.open()
        assert store.checkpoints.advance("a", expected=0, position=5)
        store.close()
        assert shared.open().checkpoints.get("a") == 5


class TestTransactions:
    """Tables of others in the same database."""

    @pytest.mark.parametrize("durable", [True, False])
    def test_commits(self, store, durable):
        """What a transaction wrote is there afterwards, for every reader."""
        with store.transaction(durable=durable) as connection:
            connection.execute(text("CREATE TABLE mine (a INTEGER PRIMARY KEY)"))
            connection.execute(text("INSERT INTO mine VALUES (1), (2)"))
        with store.reading() as connection:
            assert connection.execute(text("SELECT sum(a) FROM mine")).scalar_one() == 3

    def test_rolls_back(self, store):
        """An exception inside takes everything back and passes on as it is; the log works on."""
        with store.transaction() as connection:
            connection.execute(text("CREATE TABLE mine (a INTEGER PRIMARY KEY)"))
        with pytest.raises(IntegrityError), store.transaction() as connection:
            connection.execute(text("INSERT INTO mine VALUES (1), (1)"))
        with pytest.raises(ZeroDivisionError), store.transaction() as connection:
            print(connection.execute(text("INSERT INTO mine VALUES (1)")).rowcount // 0)
        with store.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM mine")).scalar_one() == 0
        assert store.log.append([start(new_id())]) == [Appended(1, 1)]

    def test_reading_writes_nothing(self, store):
        """What a reader writes is rolled back."""
        with store.transaction() as connection:
            connection.execute(text("CREATE TABLE mine (a INTEGER PRIMARY KEY)"))
        with store.reading() as connection:
            connection.execute(text("INSERT INTO mine VALUES (1)"))
        with store.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM mine")).scalar_one() == 0

    def test_beside_appends(self, store):
        """Appends and transactions of many threads wait for each other and lose nothing."""
        with store.transaction() as connection:
            connection.execute(text("CREATE TABLE mine (a INTEGER)"))

        def work() -> None:
            for _ in range(10):
                store.log.append([start(new_id())])
                with store.transaction() as connection:
                    connection.execute(text("INSERT INTO mine VALUES (1)"))
                with store.reading() as connection:
                    connection.execute(text("SELECT count(*) FROM mine"))

        threads = [Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        with store.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM mine")).scalar_one() == 40
        assert store.log.head() == 40

    def test_runner_lock(self, place, store):
        """The lock of the runner can be taken, given back, and taken again; SQLite's proves every other runner dead."""
        lock = store.runner_lock()
        assert lock.exclusive is place.adapter.sqlite
        lock.acquire()
        lock.acquire()
        lock.release()
        lock.release()
        again = store.runner_lock()
        again.acquire()
        again.release()
        assert store.log.head() == 0
