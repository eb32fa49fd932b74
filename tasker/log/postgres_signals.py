"""Hints through NOTIFY: said after an append, many appends at once, and heard on a connection of its own.

A NOTIFY inside of an append would make all commits of the server wait for each other, so a thread says it afterwards.
"""

from __future__ import annotations

import logging
import secrets
import select
import socket
from threading import Condition, Lock, Thread
from typing import TYPE_CHECKING

import psycopg

from tasker.errors import TaskerError
from tasker.log.postgres_errors import lost

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.log.postgres_connect import Connection, Database

POLL_SECONDS = 1.0
"""How often a waiter looks, whether hints come or not."""

_QUIET = 0.02  # seconds between two hints of one process
_RETRY = 1.0
_JOIN = 5.0
_logger = logging.getLogger(__name__)


class Notifier:
    """Says that the log has grown, and under which name; its thread starts with the first append."""

    def __init__(self, database: Database, channel: Callable[[], str]) -> None:
        """Take the database, and what gives the name of the channel."""
        self.name = secrets.token_hex(8)
        self._database = database
        self._channel = channel
        self._changed = Condition()
        self._grown = False
        self._closing = False
        self._thread: Thread | None = None

    def notify(self) -> None:
        """Have it said soon."""
        with self._changed:
            if self._closing:
                return
            if self._thread is None:
                self._thread = Thread(target=self._run, name="tasker-notify", daemon=True)
                self._thread.start()
            self._grown = True
            self._changed.notify()

    def close(self) -> None:
        """Say what is left to say, and stop; safe to repeat."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_JOIN)

    def _run(self) -> None:
        connection: Connection | None = None
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(lambda: self._grown or self._closing)
                grown, self._grown, closing = self._grown, False, self._closing
            if grown:
                connection = self._say(connection)
            with self._changed:
                self._changed.wait_for(lambda: self._closing, _QUIET)
        if connection is not None:
            connection.close()

    def _say(self, connection: Connection | None) -> Connection | None:
        """Send one hint; give the connection for the next one."""
        try:
            if connection is None or lost(connection):
                connection = self._database.connect()
            connection.execute(f"NOTIFY {self._channel()}, '{self.name}'")
        except (psycopg.Error, TaskerError) as error:
            _logger.debug("no hint was sent: %s", error)
            if connection is not None:
                connection.close()
            return None
        return connection


class Listener:
    """Hears that the log has grown; connects again by itself. See `tasker.log.port.Signals`."""

    poll_seconds = POLL_SECONDS

    def __init__(self, database: Database, channel: Callable[[], str], own: str) -> None:
        """Take the database to listen on, and whose hints are not news.

        Args:
            database: The database, without a pooler in front.
            channel: Gives the name of the channel.
            own: The name under which this store says hints itself.
        """
        self._own = own
        self._database = database
        self._channel = channel
        self._starting = Lock()
        self._closed, self._wake = socket.socketpair()
        self._heard: tuple[Callable[[], None], ...] = ()
        self._thread: Thread | None = None

    def listen(self, heard: Callable[[], None]) -> None:
        """Call a function, from a thread of its own, when the log may have grown; it must return at once."""
        with self._starting:
            self._heard = (*self._heard, heard)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="tasker-listen", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Hear nothing any more; safe to repeat."""
        with self._starting:
            if self._wake.fileno() < 0:
                return
            self._wake.close()
        if self._thread is not None:
            self._thread.join(_JOIN)
        self._closed.close()

    def _run(self) -> None:
        while not self._stopped(0):
            try:
                self._follow()
            except (psycopg.Error, TaskerError) as error:
                _logger.debug("hints are not heard, polling goes on: %s", error)
                if self._stopped(_RETRY):
                    return

    def _follow(self) -> None:
        """Listen until the connection is lost or this is closed."""
        connection = self._database.connect()
        try:
            connection.execute(f"LISTEN {self._channel()}")
            self._tell()  # what was said meanwhile was not heard
            while True:
                ready, _, _ = select.select([connection.fileno(), self._closed.fileno()], [], [])
                if self._closed.fileno() in ready:
                    return
                if any(hint.payload != self._own for hint in connection.notifies(timeout=0)):
                    self._tell()
        finally:
            connection.close()

    def _tell(self) -> None:
        for heard in self._heard:
            heard()

    def _stopped(self, seconds: float) -> bool:
        """Wait, and tell whether this was closed."""
        return bool(select.select([self._closed], [], [], seconds)[0])
