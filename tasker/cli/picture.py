"""The command that draws: a definition or a task as a Mermaid flow chart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from tasker.cli import DONE
from tasker.cli.common import At, Cli, Folders, command, parse_at

if TYPE_CHECKING:
    from tasker.domain.graph import Graph

_COLOURS = {
    "pending": "fill:#f4f4f5,stroke:#71717a,color:#18181b",
    "in_progress": "fill:#dbeafe,stroke:#1d4ed8,color:#172554",
    "waiting_for_retry": "fill:#fef3c7,stroke:#b45309,color:#451a03",
    "waiting": "fill:#fef9c3,stroke:#a16207,color:#422006",
    "complete": "fill:#dcfce7,stroke:#15803d,color:#052e16",
    "error": "fill:#fee2e2,stroke:#b91c1c,color:#450a0a",
    "cancelled": "fill:#e4e4e7,stroke:#52525b,color:#27272a",
    "skipped": "fill:#f4f4f5,stroke:#a1a1aa,color:#52525b,stroke-dasharray:4",
    "resolved_manually": "fill:#ede9fe,stroke:#6d28d9,color:#2e1065",
}


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    command(app, "diagram")(diagram)


def diagram(
    cli: Cli,
    name: Annotated[str, typer.Argument(metavar="NAME|ID", help="A definition or a task.", show_default=False)],
    *,
    namespace: Annotated[str, typer.Option(help="The namespace of the definition.")] = "default",
    version: Annotated[str | None, typer.Option(help="The version of the definition; default: the highest.")] = None,
    definitions: Folders = None,
    at: At = None,
) -> int:
    """Draw a definition or a task (Mermaid).

    The steps of a task are coloured by their status.
    """
    if _is_id(name):
        with cli.existing() as app:
            task = app.task(name, at=parse_at(at))
            text = mermaid(task.graph, {step.name: str(step.status) for step in task.steps.values()})
    else:
        with cli.described(definitions) as app:
            text = mermaid(app.definition(name, namespace, version).graph)
    if cli.out.json_lines:
        cli.out.one({"name": name, "mermaid": text}, "")
    else:
        print(text)
    return DONE


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def mermaid(graph: Graph, statuses: Mapping[str, str] | None = None) -> str:
    """Draw a graph as a Mermaid flow chart.

    Args:
        graph: The shape.
        statuses: The status of each step, by which it is coloured; None for a definition.
    """
    known = statuses or {}
    lines = ["flowchart TD"]
    for number, name in enumerate(graph.topological_order):
        status = known.get(name)
        label = name if status is None else f"{name}<br/>{status}"
        lines.append(f'    s{number}["{_quoted(label)}"]' + (f":::{status}" if status else ""))
    numbers = {name: number for number, name in enumerate(graph.topological_order)}
    lines += [f"    s{numbers[one]} --> s{numbers[name]}" for name in numbers for one in graph.parents(name)]
    lines += [f"    classDef {status} {_COLOURS[status]}" for status in sorted(set(known.values()) & _COLOURS.keys())]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Keep a name from being read as Mermaid; names have only letters, digits, dots, dashes and underscores anyway."""
    return re.sub(r'["\[\]]', "", text)
