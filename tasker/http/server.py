"""The API on a socket, with a worker beside it in the same process: what `tasker serve` runs."""

from __future__ import annotations

import gc
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from tasker.errors import TaskerError
from tasker.http.auth import check_address
from tasker.http.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from tasker.http.call import Service
    from tasker.settings import Settings

_GRACE_SECONDS = 5
_KEEP_ALIVE_SECONDS = 30
_BACKLOG = 2_048
_TURN_SECONDS = 0.0005
"""How long a thread keeps the interpreter while another wants it: a request changes threads three times, and beside a
busy worker each time costs a turn. With Python's own 5 ms the slowest hundredth took twice as long."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Server(uvicorn.Server):
    """One socket that answers until SIGTERM or SIGINT, or until the worker of this process gives up.

    Event streams end first, so that stopping waits for nobody.

    Attributes:
        on_ready: Called once it answers.
    """

    def __init__(self, app: FastAPI, settings: Settings, host: str, port: int) -> None:
        """Take the address at once.

        Args:
            app: From `build`.
            settings: Say whether anybody may call.
            host: Address to listen on.
            port: Port; 0 takes a free one.

        Raises:
            InvalidDefinition: The address is public and nobody would have to say who they are.
            TaskerError: The address is taken, or is none of this machine.
        """
        check_address(settings, host)
        config = uvicorn.Config(
            app,
            http=Connection,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            ws="none",
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        super().__init__(config)
        self.on_ready: Callable[[], None] = lambda: None
        self._service: Service = app.state.service
        self._socket = _bound(host, port)

    @property
    def url(self) -> str:
        """Give where it answers."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def healthy(self) -> bool:
        """Say whether the worker of this process, if there is one, can go on."""
        runner = self._service.engine.runner
        return runner is None or not runner.slots.unhealthy

    def listen(self) -> None:
        """Answer until it is asked to stop."""
        if threading.current_thread() is not threading.main_thread():
            self.run(sockets=[self._socket])
            return
        gc.collect()  # the process is this server's
        gc.freeze()  # looking again and again through what was imported would hold answers up for 0.1 s
        before = sys.getswitchinterval()
        sys.setswitchinterval(min(before, _TURN_SECONDS))
        try:
            self.run(sockets=[self._socket])
        finally:
            sys.setswitchinterval(before)

    def close(self) -> None:
        """Give the address back; safe to repeat."""
        self._socket.close()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at the first signal, at once at the second; what the caller does afterwards is not interrupted."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: object) -> None:
        """Take a signal."""
        del frame
        if self.should_exit:
            raise SystemExit(128 + sig)
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self.on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Say, now and then, whether it is time to stop."""
        runner = self._service.engine.runner
        given_up = runner is not None and (runner.slots.unhealthy or runner.drained)
        return await super().on_tick(counter) or given_up

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the event streams, answer what was asked, and close."""
        self._service.feed.close()
        await super().shutdown(sockets)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only where a socket says that it is TCP does asyncio send small pieces at once; else each answer waits for 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(_BACKLOG)
        return made
    except OSError as error:
        made.close()
        message = f"expected a free address to listen on, found {host}:{port}: {error}; choose another --host or --port"
        raise TaskerError(message) from error
