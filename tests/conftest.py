"""Hypothesis profiles: random at a desk, the same examples on every run in CI. No deadlines: machines are shared.

And the end of the PostgreSQL server that the first test that asks for one starts, one in each process of a run; and a
look at every event that a test has recorded.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import emitted, postgres

# In the background of a shell without job control SIGINT is ignored, and so it would be by what the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("local", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """Give the URL of a PostgreSQL database with an empty log."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def bare_url() -> Iterator[str]:
    """Give the URL of a PostgreSQL database with nothing in it."""
    with postgres.database(ready=False) as url:
        yield url


@pytest.fixture(autouse=True)
def quiet_afterwards() -> Iterator[None]:
    """Undo what a command that a test calls in its own process does to the root logger: elsewhere the process ends."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    root.handlers[:] = [handler for handler in root.handlers if type(handler).__module__ != "tasker.telemetry.lines"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Let every event that the engine records in a test fit its schema."""
    emitted.watch()
    result = yield
    emitted.check()
    return result


def pytest_unconfigure() -> None:
    """Stop the server, if a test of this process has started one."""
    postgres.stop()
