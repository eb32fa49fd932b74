"""Commands around the HTTP API: serve, auth new-key."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tasker.cli import DONE, FAILED
from tasker.cli.common import Cli, Folders, command, group
from tasker.errors import InvalidRequest, TaskerError, near

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasker.app.tasker import Tasker
    from tasker.http.server import Server


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    command(app, "serve")(serve)
    auth = group(app, "auth", "Who may call the HTTP API.")
    command(auth, "new-key")(new_key)


def serve(
    cli: Cli,
    *,
    host: Annotated[str | None, typer.Option(help="Address; default: the setting http.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = None,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run tasks in this process, too.")] = True,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Slots; default: the setting.")] = None,
    definitions: Folders = None,
) -> int:
    """Answer over HTTP and run tasks, until SIGTERM or Ctrl-C.

    What runs is finished first; a second signal stops at once.
    """
    from tasker.cli.loading import subscribe
    from tasker.cli.logs import observe, to_stderr

    settings = cli.settings()
    to_stderr(settings.telemetry.log_level, settings.telemetry.log_format)
    place = (settings.http.host if host is None else host, settings.http.port if port is None else port)
    with cli.loaded(definitions, concurrency=concurrency) as app:
        server = _server(app, *place)
        try:
            observe(app)
            subscribe(app, settings)
            if worker:
                app.start()
            server.on_ready = lambda: _say(cli, app, server, works=worker)
            server.listen()
            healthy = server.healthy
            clean = app.stop() and healthy
        finally:
            server.close()
    cli.out.one({"server": os.getpid(), "stopped": True, "healthy": clean}, "Stopped")
    return DONE if clean else FAILED


def _server(app: Tasker, host: str, port: int) -> Server:
    api = app.asgi  # says so if the extra is missing
    with _extra_needed():
        from tasker.http.server import Server
    return Server(api, app.settings, host, port)


@contextmanager
def _extra_needed() -> Iterator[None]:
    """Name the line that installs what is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"this command needs {error.name}, which is not installed; pip install 'tasker-engine[http]'"
        raise TaskerError(message) from error


def _say(cli: Cli, app: Tasker, server: Server, *, works: bool) -> None:
    """Tell that the server answers."""
    names = [one.full_name for one in app.definitions()]
    facts = {"server": os.getpid(), "address": server.url, "worker": works, "definitions": names}
    beside = "with a worker" if works else "without a worker"
    known = ", ".join(names) or "no definitions"
    cli.out.one(facts, f"Server {os.getpid()} answers on {server.url} (see {server.url}/docs), {beside}: {known}")


def new_key(
    cli: Cli,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who it is for; recorded as actor.", show_default=False)],
    *,
    permission: Annotated[
        list[str] | None, typer.Option(help="What it may; repeat it. Default: task:create, task:read, event:read.")
    ] = None,
    namespace: Annotated[
        list[str] | None, typer.Option(help="Where; repeat it, * is everywhere. Default: default.")
    ] = None,
) -> int:
    """Make an API key.

    The key is shown once; the settings hold its hash.
    """
    with _extra_needed():
        from tasker.http.auth import PERMISSIONS, new_key

    permissions = permission or ["task:create", "task:read", "event:read"]
    for one in permissions:
        if one not in PERMISSIONS:
            message = f"expected as permission one of {', '.join(sorted(PERMISSIONS))}; found {one!r}."
            raise InvalidRequest(message + near(one, PERMISSIONS), problems={"$.permission": message})
    key, hashed = new_key()
    entry = {"name": name, "hash": hashed, "permissions": permissions, "namespaces": namespace or ["default"]}
    cli.out.one({"key": key, "settings": entry}, f"Key (shown once): {key}\n\n{_settings(entry)}")
    return DONE


def _settings(entry: Mapping[str, object]) -> str:
    from tasker.cli.output import as_json

    first, *others = [f"{name}: {as_json(value)}" for name, value in entry.items()]
    return "\n".join(
        ["For tasker.yaml:", "", "http:", "  keys:", f"    - {first}", *(f"      {one}" for one in others)]
    )
