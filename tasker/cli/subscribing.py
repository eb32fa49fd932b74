"""Commands about durable subscriptions: list, pause, resume, retire, redeliver, parked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from tasker.cli import DONE, FAILED
from tasker.cli.common import Actor, Cli, actor_or_user, command, group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.app.tasker import Tasker
    from tasker.subscriptions.values import Redelivered

_COLUMNS = ("name", "state", "checkpoint", "lag", "failures", "parked", "retrying", "owner")
_AT_ONCE = 1_000  # positions that are sent again before they are printed

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the subscription.", show_default=False)]
Positions = Annotated[
    list[int] | None, typer.Argument(metavar="[POSITION]...", help="Which events; see `parked`.", show_default=False)
]
All = Annotated[bool, typer.Option("--all", help="All that are parked.")]


class _Parked(TyperGroup):
    """The commands about parked events; whatever names none of them is meant for `list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - its type is private to Typer
        """Put `list` in front where no command is named."""
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["list", *args])


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    subscriptions = group(app, "subscriptions", "The durable readers of the log.")
    command(subscriptions, "list")(listed)
    for body in (pause, resume, retire, redeliver):
        command(subscriptions, body.__name__)(body)
    freed = typer.Typer(cls=_Parked, help="Events that were given up and wait for a person.", rich_markup_mode=None)
    subscriptions.add_typer(freed, name="parked")
    command(freed, "list")(parked)
    command(freed, "retry")(retry)
    command(freed, "discard")(discard)


def listed(cli: Cli) -> int:
    """List the durable subscriptions.

    With their state, how far they have come and how far behind that is, what failed, and which process serves them.
    """
    with cli.existing() as app:
        infos = app.subscriptions.list()
    cli.out.table(_COLUMNS, [one._asdict() for one in infos])
    for one in infos:
        if one.error is not None:
            cli.out.say(f"{one.name}: {one.error}")
    return DONE


def pause(cli: Cli, name: Name) -> int:
    """Deliver nothing for now.

    The checkpoint stays.
    """
    with cli.existing() as app:
        app.subscriptions.pause(name)
    return _print_state(cli, name, "paused")


def resume(cli: Cli, name: Name) -> int:
    """Deliver again, from the checkpoint."""
    with cli.existing() as app:
        app.subscriptions.resume(name)
    return _print_state(cli, name, "active")


def retire(cli: Cli, name: Name) -> int:
    """End a subscription for good.

    It gets nothing any more, counts for no lag, and never comes back; a new one needs a new name.
    """
    with cli.existing() as app:
        app.subscriptions.retire(name)
    return _print_state(cli, name, "retired")


def redeliver(
    cli: Cli,
    name: Name,
    *,
    first: Annotated[int, typer.Option("--from", min=1, metavar="POSITION", help="The first.", show_default=False)],
    last: Annotated[int | None, typer.Option("--to", metavar="POSITION", help="The last; default: the end.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing: show what would be sent.")] = False,
) -> int:
    """Send events of the past to a subscriber again.

    It is made as the settings say, and called in this process; the checkpoint stays. With --dry-run a rule can be tried
    on the history, also one that is not enabled.
    """
    if last is not None and last < first:
        msg = f"expected --to at or behind --from, found --from {first} --to {last}"
        raise typer.BadParameter(msg)
    sent = failed = 0
    with _with_subscriber(cli, name) as app:
        end = app.subscriptions.head() if last is None else last
        for start in range(first, end + 1, _AT_ONCE):
            until = min(start + _AT_ONCE - 1, end)
            done = app.subscriptions.redeliver(name, first=start, last=until, dry_run=dry_run)
            _print_sent(cli, done, dry_run=dry_run)
            sent, failed = sent + len(done.events), failed + len(done.failures)
    cli.out.say(f"{sent} {'would be sent' if dry_run else 'sent'}, {failed} failed")
    return FAILED if failed else DONE


def parked(
    cli: Cli,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of one subscription.", show_default=False)
    ] = None,
) -> int:
    """List the events that were given up.

    Later events of their tasks wait behind them.
    """
    with cli.existing() as app:
        names = [one.name for one in app.subscriptions.list() if one.parked] if name is None else [name]
        rows = [{"subscription": one} | row._asdict() for one in names for row in app.subscriptions.parked(one)]
    cli.out.table(("subscription", "position", "stream_id", "tries", "error"), rows)
    return DONE


def retry(cli: Cli, name: Name, positions: Positions = None, *, every: All = False, actor: Actor = None) -> int:
    """Try parked events again, with new tries."""
    return _free(cli, name, positions or [], every=every, actor=actor, discard=False)


def discard(cli: Cli, name: Name, positions: Positions = None, *, every: All = False, actor: Actor = None) -> int:
    """Give parked events up for good.

    Later events of their tasks go on. Who did it is kept.
    """
    return _free(cli, name, positions or [], every=every, actor=actor, discard=True)


def _free(cli: Cli, name: str, positions: Sequence[int], *, every: bool, actor: str | None, discard: bool) -> int:
    if bool(positions) == every:
        msg = "expected positions, as `tasker subscriptions parked` shows them, or --all, and not both"
        raise typer.BadParameter(msg)
    by, done = actor_or_user(actor), "discarded" if discard else "retried"
    with cli.existing() as app:
        subscriptions = app.subscriptions
        chosen = [one.position for one in subscriptions.parked(name)] if every else list(dict.fromkeys(positions))
        for position in chosen:
            (subscriptions.discard if discard else subscriptions.retry)(name, position, actor=by)
            cli.out.one({"name": name, "position": position, done: True}, f"{name}: position {position} {done}")
    return DONE


def _print_state(cli: Cli, name: str, state: str) -> int:
    cli.out.one({"name": name, "state": state}, f"{name} {state}")
    return DONE


def _print_sent(cli: Cli, done: Redelivered, *, dry_run: bool) -> None:
    lines: dict[int, tuple[dict[str, object], str]] = {}
    for event in done.events:
        data = {"position": event.position, "type": event.type, "stream_id": event.stream_id, "sent": not dry_run}
        lines[event.position] = (data, f"{event.position}  {event.type}  {event.stream_id}")
    for position, error in done.failures:
        lines[position] = ({"position": position, "sent": False, "error": error}, f"{position}  failed  {error}")
    for _, (data, text) in sorted(lines.items()):
        cli.out.one(data, text)


@contextmanager
def _with_subscriber(cli: Cli, name: str) -> Iterator[Tasker]:
    """Open a log that must be there, with the subscriber of a name, from the settings or registered by the `app`."""
    from tasker.cli.loading import prepare
    from tasker.errors import InvalidRequest

    with cli.existing():
        settings = cli.settings()
    with cli.loaded() as app:
        if not app.subscriptions.has(name) and not prepare(app, settings, name):
            known = ", ".join(one.name or one.class_ for one in settings.subscribers) or "none"
            msg = (
                f"redeliver: expected {name!r} among the `subscribers` of the settings, or subscribed by their `app`, "
                f"for it is called in this process; found {known}"
            )
            raise InvalidRequest(msg)
        yield app
