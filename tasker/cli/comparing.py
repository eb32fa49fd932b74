"""The command that says, before a changed definition is released, what would become of the tasks that run."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tasker.cli import DONE, FAILED
from tasker.cli.common import Cli, command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasker.cli.sides import Side
    from tasker.domain.definition import TaskDefinition
    from tasker.domain.revision import Change
    from tasker.runtime.comparing import Compared, Revised

_UNDECIDED = "undecided"
_DIGITS = 12  # of a digest
_LINES = 5  # differences of one task
_Sides = tuple["Side | None", "Side"]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    command(app, "diff")(diff)


def diff(
    cli: Cli,
    old: Annotated[str, typer.Argument(metavar="OLD", help="As it was; or: log.", show_default=False)],
    new: Annotated[str, typer.Argument(metavar="NEW", help="As it is to be.", show_default=False)],
    *,
    name: Annotated[str | None, typer.Option(help="Only the definition of this name.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Only definitions of this namespace.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Print the tasks that stay the same too.")] = False,
    no_log: Annotated[bool, typer.Option("--no-log", help="Compare the definitions alone.")] = False,
) -> int:
    """Say what a changed definition would do to live tasks.

    OLD and NEW are YAML files, folders of them, projects (folders with a tasker.yaml) or package.module:name. With the
    word log as OLD, each task is compared with the definition that it is pinned to. No task is touched: each keeps its
    definition. The exit code is 1 if moving a live task to NEW would change it, or if that could not be decided.
    """
    sides = _sides(cli, old, new, name, namespace)
    before, after = sides
    if no_log:
        if before is None:
            raise typer.BadParameter("--no-log: expected definitions as OLD, found log")
        _print_definitions(cli, before, after)
        return DONE
    found: Counter[str] = Counter()
    pinned: dict[bytes, str] = {}
    with cli.existing() as app:
        compared = app.diff(None if before is None else before.definitions, after.definitions)
        if before is not None:
            _print_definitions(cli, before, after)
        for one in _counted(compared if before is not None else _introduced(cli, compared)):
            verdict = str(one.verdict or _UNDECIDED)
            found[verdict] += 1
            if one.verdict is None:
                pinned[one.digest] = one.definition
            if every or cli.out.json_lines or verdict != "same":
                _print_task(cli, one, verdict)
    _print_summary(cli, found)
    if pinned:
        _warn(cli, found[_UNDECIDED], pinned)
    return DONE if found.total() == found["same"] else FAILED


def _introduced(cli: Cli, compared: Iterable[Compared]) -> Iterator[Compared]:
    """Print what changed from each definition that tasks are pinned to, before the first of these tasks."""
    told: set[bytes] = set()
    for one in compared:
        if one.changes and one.digest not in told:
            told.add(one.digest)
            data = {"kind": "definition", "pinned": one.definition, "digest": one.digest.hex()}
            heading = f"{one.definition} ({one.digest.hex()[:_DIGITS]}), to which tasks are pinned -> NEW:"
            _print_changes(cli, data, heading, one.changes)
        yield one


def _sides(cli: Cli, old: str, new: str, name: str | None, namespace: str | None) -> _Sides:
    """Load both sides, and leave out what was not asked for."""
    from tasker.cli.sides import LOG, near_names, only, side
    from tasker.cli.sides import names as names_of
    from tasker.errors import UnknownDefinition

    if new == LOG:
        raise typer.BadParameter("NEW: expected definitions, found log, which only OLD can be")
    settings = cli.settings()
    both = ([] if old == LOG else [side(old, settings)]) + [side(new, settings)]
    kept = [only(one, name, namespace) for one in both]
    if not any(one.definitions for one in kept):
        asked = " ".join(f"--{key} {value}" for key, value in (("name", name), ("namespace", namespace)) if value)
        message = f"{asked}: expected one of {names_of(both)}, found no such definition.{near_names(name, both)}"
        raise UnknownDefinition(message)
    return (None if old == LOG else kept[0]), kept[-1]


def _print_definitions(cli: Cli, old: Side, new: Side) -> None:
    """Print what changed from one side to the other."""
    from tasker.runtime.comparing import revised

    for pair in revised(old.definitions, new.definitions):
        either = pair.new or pair.old
        data = {
            "kind": "definition",
            "namespace": None if either is None else either.namespace,
            "name": None if either is None else either.name,
            "old_version": _version(pair.old),
            "new_version": _version(pair.new),
        }
        _print_changes(cli, data, _heading(pair), pair.changes)


def _print_changes(cli: Cli, data: Mapping[str, object], heading: str, changes: Iterable[Change]) -> None:
    told = [{"kind": str(one.kind), "step": one.step, "text": one.text} for one in changes]
    lines = (f"  {one['text']}" if one["step"] is None else f"  {one['step']}: {one['text']}" for one in told)
    cli.out.one({**data, "changes": told}, "\n".join([heading, *lines]))


def _version(definition: TaskDefinition | None) -> str | None:
    return None if definition is None else definition.version


def _heading(pair: Revised) -> str:
    old, new = pair.old, pair.new
    if old is None:
        return "" if new is None else f"{new.full_name}: new"
    if new is None:
        return f"{old.full_name}: removed"
    return f"{old.full_name} -> {new.version}:" + ("" if pair.changes else " the same")


def _print_task(cli: Cli, one: Compared, verdict: str) -> None:
    """Print what would become of a task."""
    differences = [
        {"verdict": str(each.verdict), "step": each.step, "position": each.position, "text": each.text}
        for each in one.differences
    ]
    data = {
        "kind": "task",
        "id": one.id,
        "definition": one.definition,
        "digest": one.digest.hex(),
        "status": one.status,
        "verdict": verdict,
        "position": one.position,
        "differences": differences,
        "offers": one.offers,
        "would_offer": one.would_offer,
        "reason": one.reason,
    }
    cli.out.one(data, "\n".join(_task_lines(one, verdict)))


def _task_lines(one: Compared, verdict: str) -> Iterator[str]:
    place = "" if one.position is None else f", from position {one.position} on"
    ahead = ", ahead of it" if one.differences and one.position is None else ""
    yield f"{one.id}  {one.definition}  {one.status}  {_words(verdict)}{place}{ahead}"
    if one.reason is not None:
        yield f"  {one.reason}"
    for each in one.differences[:_LINES]:
        yield f"  {'ahead' if each.position is None else f'@{each.position}'}: {each.text}"
    if len(one.differences) > _LINES:
        yield f"  and {len(one.differences) - _LINES} more; see --json"


def _words(verdict: str) -> str:
    return verdict.replace("_", " ")


def _print_summary(cli: Cli, found: Counter[str]) -> None:
    from tasker.domain.divergence import Verdict

    order = [*(str(one) for one in Verdict), _UNDECIDED]
    parts = ", ".join(f"{found[one]} {_words(one)}" for one in order if found[one])
    data = {"kind": "summary", "tasks": found.total(), **{one: found[one] for one in order}}
    cli.out.one(data, f"{found.total()} live tasks: {parts}" if parts else "No live task of these definitions")


def _warn(cli: Cli, tasks: int, pinned: dict[bytes, str]) -> None:
    """Say which definitions are missing, so that nobody takes a wrong OLD for a harmless change."""
    listed = ", ".join(sorted(f"{name} ({digest.hex()[:_DIGITS]})" for digest, name in pinned.items()))
    cli.out.warn(
        f"{tasks} live tasks were not decided; they are pinned to {listed}. Give those definitions as OLD, or the word"
        " log: then each task is compared with what it is pinned to."
    )


def _counted(compared: Iterable[Compared]) -> Iterator[Compared]:
    """Show on the standard error how many tasks were compared, and how fast, where that is a terminal."""
    if not sys.stderr.isatty():
        yield from compared
        return
    from rich.console import Console

    begun = time.perf_counter()
    with Console(stderr=True).status("Comparing live tasks") as status:
        for done, one in enumerate(compared, 1):
            rate = done / max(time.perf_counter() - begun, 1e-6)
            status.update(f"Comparing live tasks: {done:,} ({rate:,.0f} tasks/s)")
            yield one
