"""What all commands share: the options `--url`, `--json` and `--debug`, the opened `Tasker`, and forms of values."""

from __future__ import annotations

import getpass
import inspect
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Concatenate, ParamSpec

import typer

from tasker.cli.output import Output

if TYPE_CHECKING:
    from tasker.app.tasker import Tasker
    from tasker.runtime.position import Position
    from tasker.settings import Settings

P = ParamSpec("P")

Url = Annotated[str | None, typer.Option(metavar="URL", help="The log; default: the setting url (TASKER_URL).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]
TaskId = Annotated[str, typer.Argument(metavar="ID", help="The id of the task.", show_default=False)]
StepName = Annotated[str, typer.Argument(metavar="STEP", help="The name of the step.", show_default=False)]
Reason = Annotated[str | None, typer.Option(help="Why; it is recorded.")]
Actor = Annotated[str | None, typer.Option(help="Who; default: the user of this process.")]
At = Annotated[
    str | None, typer.Option(metavar="WHEN", help="A version (7), a position (@42) or a time (2026-11-21T14:00:00Z).")
]
Folders = Annotated[list[Path] | None, typer.Option(metavar="PATH", help="YAML definitions: a file or a folder.")]

_COMMON = (("url", Url, None), ("as_json", Json, False), ("debug", Debug, False))


@dataclass(frozen=True, slots=True)
class Cli:
    """One call of the command: where the log is, and how to print."""

    url: str | None
    out: Output

    def settings(self) -> Settings:
        """Read the settings; `--url` wins over them."""
        from tasker.settings import Settings

        settings = Settings.load()
        return settings if self.url is None else settings.model_copy(update={"url": self.url})

    @contextmanager
    def existing(self) -> Iterator[Tasker]:
        """Open a log that must be there; handlers and definitions are not needed and not loaded."""
        from tasker.app.tasker import Tasker
        from tasker.log.open import open_store

        settings = self.settings()
        open_store(settings.url, check_only=True).close()
        with Tasker(settings=settings) as app, told_once():
            yield app

    @contextmanager
    def described(self, folders: Sequence[Path] | None = None) -> Iterator[Tasker]:
        """Give handlers and definitions on an empty log in memory: for commands that only describe them."""
        from tasker.app.tasker import Tasker
        from tasker.cli.loading import load

        settings = self.settings()
        with Tasker(settings=settings.model_copy(update={"url": "memory://"})) as app:
            load(app, settings, folders or ())
            yield app

    @contextmanager
    def loaded(self, folders: Sequence[Path] | None = None, *, concurrency: int | None = None) -> Iterator[Tasker]:
        """Open a log, made where it is missing, with the handlers and definitions of the settings and of `folders`."""
        from tasker.app.tasker import Tasker
        from tasker.cli.loading import load

        settings = self.settings()
        if concurrency is not None:
            settings = settings.model_copy(update={"concurrency": concurrency})
        with Tasker(settings=settings) as app:
            load(app, settings, folders or ())
            yield app


@contextmanager
def told_once() -> Iterator[None]:
    """Keep the engine from logging that the log failed, where the command is about to say so itself."""
    log = logging.getLogger("tasker.runtime")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def command(
    group: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Cli, P], int | None]], Callable[Concatenate[Cli, P], int | None]]:
    """Add a function to a group of commands, with the options that all commands have.

    Args:
        group: The group.
        name: How the command is called.

    Returns:
        A decorator for a function of a `Cli` and its own arguments and options; what it returns is the exit code.
    """

    def add(body: Callable[Concatenate[Cli, P], int | None]) -> Callable[Concatenate[Cli, P], int | None]:
        own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]
        shared = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for key, kind, default in _COMMON
        ]
        named = [*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *shared]

        def call(*places: P.args, **values: P.kwargs) -> int | None:
            url, json_lines = values.pop("url"), values.pop("as_json")
            values.pop("debug")
            cli = Cli(url if isinstance(url, str) else None, Output(json_lines=bool(json_lines)))
            return body(cli, *places, **values)

        call.__doc__, call.__name__ = body.__doc__, body.__name__
        call.__annotations__ = {p.name: p.annotation for p in named}
        call.__dict__["__signature__"] = inspect.Signature(named)  # what inspect.signature reads
        group.command(name)(call)
        return body

    return add


def group(app: typer.Typer, name: str, text: str, *, alone: Callable[[Cli], int | None] | None = None) -> typer.Typer:
    """Add a group of commands to the command.

    Args:
        app: The command.
        name: How the group is called.
        text: What its help says.
        alone: What runs where no command of the group is named; default: its help is shown.
    """
    made = typer.Typer(help=text, rich_markup_mode=None, no_args_is_help=alone is None)
    if alone is not None:
        made.callback(invoke_without_command=True, help=text)(_alone(alone))
    app.add_typer(made, name=name)
    return made


def _alone(body: Callable[[Cli], int | None]) -> Callable[..., int | None]:
    """Give what runs before the commands of a group, or without any."""

    def call(context: typer.Context, *, url: Url = None, as_json: Json = False, debug: Debug = False) -> int | None:
        if context.invoked_subcommand is None:
            return body(Cli(url, Output(json_lines=as_json)))
        if url is not None or as_json or debug:
            msg = f"--url, --json and --debug stand behind {context.invoked_subcommand!r}, found them before it"
            raise typer.BadParameter(msg)
        return None

    return call


def actor_or_user(actor: str | None) -> str | None:
    """Give the actor, else the user of this process, else None."""
    if actor is not None:
        return actor
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def parse_at(text: str | None) -> int | Position | datetime | None:
    """Read a point of the past: `7` is a version, `@42` a position, anything else a time with its offset."""
    from tasker.runtime.position import Position

    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    if text[:1] == "@" and text[1:].isdecimal():
        return Position(int(text[1:]))
    return parse_time(text, "a version (7), a position (@42) or a time")


def parse_time(text: str, expected: str = "a time") -> datetime:
    """Read a time that says its offset from UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        msg = f"expected {expected} with its offset, such as 2026-11-21T14:00:00Z; found {text!r}"
        raise typer.BadParameter(msg)
    return moment


def parse_json(text: str, what: str) -> object:
    """Read JSON as it is given to an option: the text itself, `@file`, or `@-` for the standard input."""
    source, content = what, text
    if text.startswith("@"):
        source, content = f"{what} from {text[1:]}", _content(text[1:], what)
    try:
        return json.loads(content)
    except ValueError as error:
        msg = f"{source}: expected JSON ({error}), found {content[:60]!r}"
        raise typer.BadParameter(msg) from error


def parse_object(text: str, what: str) -> dict[str, object]:
    """Read a JSON object as it is given to an option."""
    value = parse_json(text, what)
    if not isinstance(value, dict):
        msg = f"{what}: expected a JSON object, found {json.dumps(value)[:60]}"
        raise typer.BadParameter(msg)
    return value


def _content(name: str, what: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, ValueError) as error:
        msg = f"{what}: cannot read {name!r} ({error})"
        raise typer.BadParameter(msg) from error
