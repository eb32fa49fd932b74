"""PostgreSQL behind a transaction pooler: nothing depends on a session, and nothing stays in one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tasker.domain.work import WorkItem, WorkKind
from tasker.log.open import open_store
from tasker.log.signals import Polling
from tasker.projections.models import Projections
from tests.contracts.kit import broken, event, more, new_id, start, started
from tests.contracts.lives import populate, states
from tests.contracts.subscribing import Notes, Process, task
from tests.pooler import Pooler

SESSION_STATE = (
    "SELECT 'statement', name FROM pg_prepared_statements UNION ALL "
    "SELECT 'setting', name FROM pg_settings WHERE source = 'session' "
    "AND name NOT IN ('client_encoding', 'application_name', 'transaction_isolation') UNION ALL "
    "SELECT 'channel', pg_listening_channels() UNION ALL "
    "SELECT 'lock', objid::text FROM pg_locks WHERE locktype = 'advisory'"
)


@contextmanager
def pgbouncer(url):
    """Run the system's pgbouncer with two connections to the server; gives the URL that leads through it."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        assert not os.environ.get("CI"), "no pgbouncer here: `make system` brings one"
        pytest.skip("no pgbouncer here: `make system`, or a package of your system, brings one")
    parts = urlsplit(url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = (
        f"[databases]\n* = host={parts.hostname} port={parts.port} user={parts.username}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 100\n"
    )
    user = {"user": 65_534, "group": 65_534, "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(f"/tmp/tasker-pgbouncer-{os.getpid()}")
    folder.mkdir()
    (folder / "pgbouncer.ini").write_text(settings)
    running = subprocess.Popen([program, "pgbouncer.ini"], cwd=folder, stderr=subprocess.DEVNULL, **user)
    through = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(through.replace("+psycopg", ""), connect_timeout=2).close()
                break
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield f"{through}?pooler=true"
    finally:
        running.terminate()
        running.wait(20)
        shutil.rmtree(folder)


@contextmanager
def own(url):
    """Run the pooler of the tests; gives the URL that leads through it."""
    with closing(Pooler(url)) as pooler:
        yield pooler.url
        assert pooler.transactions > 100


every_pooler = pytest.mark.parametrize("pooled", [own, pgbouncer], ids=["own", "pgbouncer"])


@every_pooler
def test_threads_of_two_stores(postgres_url, pooled):
    """Appends, reads and transactions of two stores and four threads share two connections."""
    with pooled(postgres_url) as url, closing(open_store(url)) as one, closing(open_store(url)) as other:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, [one, other] * 4))
        assert one.log.head() == 8 * 21
        assert broken(other.log) == []
        assert isinstance(one.signals(), Polling)


@every_pooler
def test_readers(postgres_url, pooled):
    """Read models and subscriptions work, on other connections than what they follow."""
    with pooled(postgres_url) as url, closing(open_store(url)) as one, closing(open_store(url)) as other:
        populate(one.log, Random(1), [], rounds=60)
        models = Projections(other, states(other))
        while models.serve(limit=30):
            pass
        assert models.compare().differences == ()
        notes, process = Notes(), Process(one)
        process.subscriptions.subscribe(notes, start="beginning")
        task(other.log, "order.paid")
        process.pump()
        assert len(notes.positions) == 1
        process.bus.close()
        process.subscriptions.close()


def work(store):
    """Do a bit of everything."""
    stream_id = started(store.log)
    for number in range(10):
        item = WorkItem(0, WorkKind.READY, None, number, 0, None)
        store.log.append([more(stream_id, 2 * number + 1, event(), event())._replace(work=((0, item),))])
        assert len(store.log.stream(stream_id)) == 2 * number + 3
        assert store.work.of(stream_id)[0].rank == number
        store.checkpoints.advance(stream_id.hex(), expected=number, position=number + 1)
        with store.transaction(durable=number % 2 == 0) as connection:
            connection.exec_driver_sql("SELECT 1")


def test_sessions_stay_clean(postgres_url):
    """After all of it no session has settings, prepared statements, channels or locks of its own."""
    with closing(open_store(postgres_url)) as store:
        work(store)
        store.log.append([start(new_id())])
        database = store._database
        with store.reading() as connection:
            found = list(connection.exec_driver_sql(SESSION_STATE))
        for connection in (database._writer, *database._idle):
            found += connection.execute(SESSION_STATE).fetchall()
        assert found == []
