"""What the read models count: tasks and steps by status, and the types of annotations."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tasker.projections import generation
from tasker.projections.tables import Tables, tables_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.runtime.context import Context


def by_status(context: Context) -> dict[str, dict[str, Counter[str]]]:
    """Count tasks and steps by namespace and status.

    Args:
        context: What use cases share.

    Returns:
        For `tasks` and for `steps`, a count of statuses for each namespace.
    """
    found: dict[str, dict[str, Counter[str]]] = {"tasks": {}, "steps": {}}
    for kind, namespace, status, count in _rows(context, _statuses):
        counts = found[str(kind)].setdefault(str(namespace), Counter())
        counts[str(status)] += count if isinstance(count, int) else 0
    return found


def annotation_types(context: Context, sees: Callable[[str | None], bool]) -> list[str]:
    """Give the types of annotations that occur.

    Args:
        context: What use cases share.
        sees: Says whether a namespace counts.
    """
    return sorted({str(kind) for namespace, kind in _rows(context, _types) if sees(str(namespace))})


def _rows(context: Context, query: Callable[[Tables], str]) -> list[tuple[object, ...]]:
    """Ask the current generation of the read models."""
    context.projections.checkpoint()  # makes the tables where there are none yet
    with context.store.reading() as connection:
        tables = tables_of(generation.current(connection).number)
        return [tuple(row) for row in connection.exec_driver_sql(query(tables))]


def _statuses(tables: Tables) -> str:
    tasks, steps = tables.tasks.name, tables.steps.name
    return (
        f"SELECT 'tasks', namespace, status, count(*) FROM {tasks} GROUP BY namespace, status "  # noqa: S608 - constants only
        f"UNION ALL SELECT 'steps', t.namespace, s.status, count(*) FROM {steps} s "
        f"JOIN {tasks} t ON t.created = s.task GROUP BY t.namespace, s.status"
    )


def _types(tables: Tables) -> str:
    tasks, notes = tables.tasks.name, tables.annotations.name
    return f"SELECT DISTINCT t.namespace, a.type FROM {notes} a JOIN {tasks} t ON t.created = a.task"  # noqa: S608 - constants only
