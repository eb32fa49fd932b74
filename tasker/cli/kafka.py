"""Commands about Kafka: kafka worker, kafka topics, kafka publish, kafka dlq list, kafka dlq replay."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasker.cli import DONE, FAILED, Ending, leave
from tasker.cli.common import Cli, Folders, command, group, parse_json, parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasker.kafka.dead import Letter

_AT_ONCE = 500
_LOST = "Stopped: consuming from Kafka could not go on in this process; start the worker again"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    kafka = group(app, "kafka", "Requests from a topic, events to a topic.")
    command(kafka, "worker")(worker)
    command(kafka, "topics")(topics)
    command(kafka, "publish")(publish)
    dlq = group(kafka, "dlq", "The dead letters: requests that could not be accepted.")
    command(dlq, "list")(listed)
    command(dlq, "replay")(replay)


def worker(
    cli: Cli,
    *,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Slots; default: the setting.")] = None,
    definitions: Folders = None,
) -> int:
    """Run tasks, take requests from Kafka and publish events there, until SIGTERM or Ctrl-C.

    What runs is finished first; a second signal stops at once. Start as many as you like on PostgreSQL.
    """
    from tasker.cli.logs import to_stderr
    from tasker.cli.running import farewell, serve

    settings = cli.settings()
    to_stderr(settings.telemetry.log_level, settings.telemetry.log_format)
    with cli.loaded(definitions, concurrency=concurrency) as app:
        beside = app.kafka_worker()
        beside.prepare()
        try:
            code = serve(cli, app, concurrency or settings.concurrency, beside=beside)
        except SystemExit as ended:  # a second signal
            leave(ended.code)
        finally:
            Ending.at_once = beside.stuck or beside.lost
            app.stop()
            beside.close()
    farewell(cli, code, _LOST) if beside.lost else farewell(cli, code)
    return code


def topics(
    cli: Cli, *, check: Annotated[bool, typer.Option("--check", help="Make nothing, only look.")] = False
) -> int:
    """Make the topics that are missing, and check all.

    Those that are there are not changed.
    """
    from tasker.kafka.topics import create, look

    settings = cli.settings().kafka
    found = (look if check else create)(settings)
    rows = [one._asdict() for one in found]
    cli.out.table(("role", "name", "partitions", "state"), rows, rows)
    problems = [one.problem for one in found if one.problem is not None]
    for problem in problems:
        cli.out.warn(problem)
    return FAILED if problems else DONE


def publish(
    cli: Cli,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The name of the definition.")] = None,
    *,
    context: Annotated[str, typer.Option(metavar="JSON", help="A JSON object, @file, or @- for stdin.")] = "{}",
    idempotency_key: Annotated[str | None, typer.Option(help="The same key is the same task.")] = None,
    namespace: Annotated[str | None, typer.Option(help="The namespace.")] = None,
    version: Annotated[str | None, typer.Option(help="The version; default: the highest.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; repeat it.")] = None,
    options: Annotated[
        str, typer.Option(metavar="JSON", help="Further fields of the request: priority, bypass_steps, …")
    ] = "{}",
    lines: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Requests instead, one JSON object a line; - for stdin.")
    ] = None,
) -> int:
    """Publish a request; a worker makes a task of it.

    It is on the topic, on every replica, when this returns.
    """
    from tasker.kafka.publisher import Publisher
    from tasker.kafka.publishing import outgoing

    if (name is None) == (lines is None):
        msg = "expected a NAME or --lines FILE, and not both"
        raise typer.BadParameter(msg)
    if lines is not None:
        requests = list(_read(lines))
    else:
        given = {"name": name, "namespace": namespace, "version": version, "reason": reason, "tags": tag}
        given |= {"idempotency_key": idempotency_key, "source_system": "cli"}
        fields = {key: value for key, value in given.items() if value is not None}
        requests = [{**fields, "context": parse_object(context, "context"), **parse_object(options, "options")}]
    settings = cli.settings()
    messages = [outgoing(one, settings.kafka.topics, settings.sizes) for one in requests]
    with closing(Publisher(settings.kafka)) as publisher:
        pages = (messages[first : first + _AT_ONCE] for first in range(0, len(messages), _AT_ONCE))
        places = [place for page in pages for place in publisher.publish(page)]
    if len(places) == 1:
        [place] = places
        cli.out.one(place._asdict(), f"published to {place.topic}/{place.partition}/{place.offset}")
    else:
        cli.out.one({"published": len(places)}, f"published {len(places)} requests")
    return DONE


def listed(
    cli: Cli,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were replayed.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
) -> int:
    """List the dead letters that were not replayed yet."""
    from tasker.kafka.dead import DeadLetters

    found = DeadLetters(cli.settings().kafka).letters(everything=everything, limit=limit)
    _show(cli, found)
    return DONE


def replay(
    cli: Cli,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Which, as partition/offset; default: all.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be published.")] = False,
) -> int:
    """Publish dead letters as requests again.

    Each keeps its identity: what was accepted meanwhile stays one task.
    """
    from tasker.kafka.dead import DeadLetters
    from tasker.kafka.publisher import Publisher

    settings = cli.settings().kafka
    publisher = Publisher(settings)
    try:
        found = DeadLetters(settings).replay(publisher, ids=ids or (), dry_run=dry_run)
    finally:
        publisher.close()
    _show(cli, found)
    cli.out.say(f"{len(found)} {'would be ' if dry_run else ''}published again")
    return DONE


def _read(lines: Path) -> Iterator[dict[str, object]]:
    """Read requests, one a line; blank lines are passed over."""
    try:
        text = sys.stdin.read() if str(lines) == "-" else lines.read_text("utf-8")
    except (OSError, ValueError) as error:
        msg = f"--lines: cannot read {str(lines)!r} ({error})"
        raise typer.BadParameter(msg) from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            value = parse_json(line.lstrip("@"), f"{lines}:{number}")
            if not isinstance(value, dict):
                msg = f"{lines}:{number}: expected a JSON object, found {line[:60]!r}"
                raise typer.BadParameter(msg)
            yield value


def _show(cli: Cli, letters: list[Letter]) -> None:
    rows = [
        {
            "id": one.id,
            "reason": one.reason,
            "died_at": one.died_at,
            "source": one.source,
            "size": one.size,
            "replayed": "yes" if one.replayed else "",
            "error": one.error,
        }
        for one in letters
    ]
    full = [
        row | {"value": (one.message.value or b"").decode(errors="replace")}
        for row, one in zip(rows, letters, strict=True)
    ]
    cli.out.table(("id", "reason", "died_at", "source", "size", "replayed", "error"), rows, full)
