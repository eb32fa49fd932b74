"""A server for the measures of HTTP: `python -m bench.http_server URL [--worker]` answers until its input ends."""

from __future__ import annotations

import sys
import threading

from bench import handlers
from tasker import Tasker
from tasker.http.server import Server


def main() -> None:
    """Say where it answers, and answer."""
    url, *more = sys.argv[1:]
    with Tasker(url, settings={}) as app:
        app.register(handlers.chain(1))
        server = Server(app.asgi, app.settings, "127.0.0.1", 0)
        server.on_ready = lambda: print(server.url, flush=True)
        threading.Thread(target=_until_end, args=(server,), daemon=True).start()
        if "--worker" in more:
            app.start()
        server.listen()
        server.close()


def _until_end(server: Server) -> None:
    """Stop when whoever started this process goes."""
    sys.stdin.read()
    server.should_exit = True


if __name__ == "__main__":
    main()
