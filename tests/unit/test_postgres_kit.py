"""The PostgreSQL of the tests: never skipped silently in CI, and never left behind."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests import postgres


def test_missing_binaries(monkeypatch):
    """Without a PostgreSQL a test is skipped with what to do; in CI it fails."""
    monkeypatch.setattr(postgres, "_found", lambda: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="make test"):
        postgres.binaries()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI may not skip"):
        postgres.binaries()


def test_databases_are_used_again():
    """A database that was given back is given again, empty, whoever was still connected."""
    databases = postgres.databases()
    url = databases.new()
    left = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
    left.execute("CREATE TABLE mine (a integer)")
    databases.drop(url)
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
    left.close()
    again = databases.new(ready=False)
    assert again == url
    with psycopg.connect(again.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT to_regclass('mine'), to_regclass('events')").fetchone() == (None, None)
    databases.drop(again)


def test_a_crash_and_a_new_start():
    """A server that is stopped as if it crashed starts again on its port, with its data."""
    server = postgres.Server(postgres.binaries(), {"fsync": "on"})
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE mine (a integer)")
        server.stop("QUIT")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url, connect_timeout=2)
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT count(*) FROM mine").fetchone() == (0,)
    finally:
        server.close()
    assert not server.folder.exists()


def test_nothing_is_left_of_a_killed_run():
    """When the tests are killed, their server stops and its folder goes."""
    program = "from tests.postgres import Server, binaries; s = Server(binaries()); print(s.pid, s.folder, flush=True)"
    command = [sys.executable, "-c", f"{program}; input()"]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid, folder = running.stdout.readline().split()
    running.kill()
    running.communicate()
    deadline = time.monotonic() + 20
    while Path(folder).exists() or Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
