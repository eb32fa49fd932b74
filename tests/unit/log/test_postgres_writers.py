"""Many writers of one PostgreSQL log: positions are gapless and visible in order, whoever is slow."""

from __future__ import annotations

from contextlib import ExitStack, closing
from threading import Event, Thread

from tasker.log.open import open_store
from tasker.log.port import Appended
from tests.contracts.kit import broken, event, new_id, start, started
from tests.proxy import Proxy, slow


def follow(url, stop, seen):
    """Note positions as a reader sees them that never looks back."""
    with closing(open_store(url)) as store:
        while not stop.is_set() or store.log.head() > len(seen):
            seen += [stored.position for stored in store.log.tail(seen[-1] if seen else 0, limit=7)]


def test_positions_become_visible_in_order(postgres_url):
    """While two writers and a slow one append, a reader that only moves on misses nothing."""
    seen, stop, lost = [], Event(), []
    with ExitStack() as stack:
        proxy = stack.enter_context(closing(Proxy(postgres_url)))
        proxy.always = slow(0.05)
        stores = [stack.enter_context(closing(open_store(url))) for url in (postgres_url, postgres_url, proxy.url)]

        def write(store, rounds):
            results = [store.log.append([start(new_id(), event(), event())])[0] for _ in range(rounds)]
            lost.extend(result for result in results if type(result) is not Appended)

        reader = Thread(target=follow, args=(postgres_url, stop, seen))
        reader.start()
        writers = [
            Thread(target=write, args=(store, rounds)) for store, rounds in zip(stores, (60, 60, 12), strict=True)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        stop.set()
        reader.join(60)
        assert lost == []
        assert seen == list(range(1, 2 * 132 + 1))
        assert broken(stores[0].log) == []


def test_memory_gives_way(postgres_url):
    """A writer that relied on its memory notices another one, and relies on it again when it is alone."""
    with closing(open_store(postgres_url)) as mine, closing(open_store(postgres_url)) as other:
        for _ in range(6):
            started(mine.log)
        assert mine.log._appender._unmoved == 3
        started(other.log)
        stream_id = started(mine.log)
        assert mine.log._appender._unmoved == 0
        for _ in range(4):
            started(mine.log)
        assert mine.log._appender._unmoved == 3
        assert mine.log.append([start(stream_id)])[0].actual == 1
        assert broken(other.log) == []


def test_guards_and_identities_from_memory(postgres_url):
    """A guard that does not exist, a taken identity and a taken stream are found by who relies on memory, too."""
    guard = b"g" * 16
    with closing(open_store(postgres_url)) as mine, closing(open_store(postgres_url)) as other:
        taken = started(other.log)
        other.log.append([start(new_id(), identity=b"i" * 32)])
        for _ in range(5):
            mine.log.append([start(new_id())._replace(guard=(guard, 0))])
        assert mine.log._appender._unmoved == 3
        assert mine.log.append([start(new_id(), identity=b"i" * 32)])[0].stream_id is not None
        assert mine.log.append([start(taken)])[0].actual == 1
        assert type(mine.log.append([start(guard)])[0]) is Appended
        assert mine.log.append([start(new_id())._replace(guard=(guard, 0))])[0].actual == 1


def test_a_log_that_was_restored_is_not_continued_from_memory(postgres_url):
    """After the tail of the log was replaced by another of the same length, memory does not decide."""
    with closing(open_store(postgres_url)) as store:
        for _ in range(4):
            stream_id = started(store.log)
        with store.transaction() as connection:
            for table, trigger in (("events", "delete"), ("streams", "delete"), ("log_head", "update")):
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER {table}_{trigger}")
            connection.exec_driver_sql("DELETE FROM events WHERE position = 4")
            connection.exec_driver_sql("DELETE FROM streams WHERE stream_id = %s", (stream_id,))
            connection.exec_driver_sql("UPDATE log_head SET position = 3")
        with closing(open_store(postgres_url)) as other:
            started(other.log)
        assert store.log.append([start(stream_id)]) == [Appended(5, 5)]
        assert broken(store.log) == []
