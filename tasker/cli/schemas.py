"""The command that writes JSON Schemas, the description of the topics and the document of all events: schemas."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasker.cli import DONE, FAILED
from tasker.cli.common import Cli, Folders, command
from tasker.errors import TaskerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasker.catalog.entry import CatalogEntry
    from tasker.catalog.publish.asyncapi import Topic
    from tasker.settings.sections import Kafka

_SHOWN = 20  # lines of a difference


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    command(app, "schemas")(schemas)


def schemas(
    cli: Cli,
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if something differs.")] = False,
    into: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the schemas.")] = Path("schemas"),
    document: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also the page about all events, in Markdown.")
    ] = None,
    definitions: Folders = None,
) -> int:
    """Write JSON Schemas of requests, definitions, events.

    Those of the system's events and of the custom ones that definitions declare; also what stands on Kafka's topics.
    """
    with cli.described(definitions) as app:
        wanted = published(app.catalog.all(), into, document, cli.settings().kafka)
    stale = _stale(into, wanted)
    return _check(cli, wanted, stale) if check else _write(cli, wanted, stale)


def published(
    entries: list[CatalogEntry], into: Path, document: Path | None, kafka: Kafka | None = None
) -> dict[Path, str]:
    """Give every file and its text.

    Args:
        entries: The catalogue.
        into: The folder of the schemas.
        document: The page about all events, or None for none.
        kafka: The topics as the settings name them; None for the defaults.
    """
    from tasker.catalog.publish.asyncapi import ASYNCAPI, asyncapi
    from tasker.catalog.publish.document import document as page
    from tasker.catalog.publish.files import schema_files
    from tasker.catalog.publish.request import Bounds, task_request
    from tasker.runtime.request import HIGHEST_PRIORITY, LONGEST_KEY, LONGEST_WORD

    request = task_request(Bounds(word=LONGEST_WORD, key=LONGEST_KEY, priority=HIGHEST_PRIORITY))
    files = {into / name: text for name, text in schema_files(entries, request).items()}
    files[into / ASYNCAPI] = asyncapi(entries, *_topics(kafka))
    if document is not None:
        there = Path(os.path.relpath(into, document.parent)).as_posix()
        files[document] = page(entries, there)
    return files


def _topics(kafka: Kafka | None) -> tuple[list[Topic], str]:
    """Give the topics, and the group of the workers."""
    from tasker.catalog.publish.asyncapi import Topic
    from tasker.kafka.topics import wanted
    from tasker.settings.sections import Kafka

    asked = kafka or Kafka()
    topics = [Topic(one.role, one.name, one.partitions, asked.replication, one.config) for one in wanted(asked)]
    return topics, asked.group


def _stale(into: Path, wanted: Mapping[Path, str]) -> list[Path]:
    """Give the schemas that an earlier call wrote and that nothing gives any more."""
    from tasker.catalog.publish.files import NOTE

    others = [path for path in sorted(into.glob("*.json")) if path not in wanted]
    return [path for path in others if NOTE.encode() in path.read_bytes()]


def _write(cli: Cli, wanted: Mapping[Path, str], stale: list[Path]) -> int:
    changed = [path for path, text in wanted.items() if _found(path) != text]
    for path in changed:
        _put(path, wanted[path])
        cli.out.one({"file": str(path), "written": True}, f"wrote {path}")
    for path in stale:
        path.unlink()
        cli.out.one({"file": str(path), "deleted": True}, f"deleted {path}: there is no such event any more")
    cli.out.say(f"{len(wanted)} files, {len(changed)} written, {len(stale)} deleted")
    return DONE


def _put(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="\n")
    except OSError as error:
        msg = f"expected to write {path}, found {error.strerror}; choose another folder with --into or --document"
        raise TaskerError(msg) from error


def _check(cli: Cli, wanted: Mapping[Path, str], stale: list[Path]) -> int:
    problems = {path: _problem(path, text) for path, text in wanted.items()}
    problems |= dict.fromkeys(stale, "there is no such event any more")
    wrong = {path: problem for path, problem in problems.items() if problem}
    for path, problem in wrong.items():
        cli.out.one({"file": str(path), "problem": problem}, f"{path}: {problem}")
    if wrong:
        cli.out.warn(f"{len(wrong)} of {len(problems)} files differ from the code: run the command without --check")
        return FAILED
    cli.out.say(f"{len(wanted)} files are as the code says")
    return DONE


def _problem(path: Path, text: str) -> str:
    """Say how a file differs from what it should be; nothing if it does not."""
    found = _found(path)
    if found is None:
        return "is missing"
    if found == text:
        return ""
    from difflib import unified_diff

    lines = list(unified_diff(found.splitlines(), text.splitlines(), "the file", "the code", lineterm="", n=1))
    more = [f"… and {len(lines) - _SHOWN} more lines"] if len(lines) > _SHOWN else []
    return "\n".join(["differs", *lines[:_SHOWN], *more])


def _found(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
