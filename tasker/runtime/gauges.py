"""How things stand at a scrape: counted in the read models and the live work, never by folding."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tasker.domain.status import LIVE
from tasker.domain.work import WorkKind
from tasker.errors import TaskerError
from tasker.instrument import logger
from tasker.projections import generation
from tasker.projections.tables import tables_of
from tasker.telemetry.gauges import Gauges

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasker.runtime.context import Context
    from tasker.runtime.engine import Engine

_log = logger("telemetry")
_Read = TypeVar("_Read")


def live_tasks(context: Context) -> int:
    """Count the tasks that have not ended, as the read models show them.

    Raises:
        LogUnavailable: The log failed.
    """
    context.projections.checkpoint()  # makes the tables where there are none yet
    listed = ", ".join(f"'{status.value}'" for status in sorted(LIVE))
    with context.store.reading() as connection:
        tasks = tables_of(generation.current(connection).number).tasks.name
        query = f"SELECT count(*) FROM {tasks} WHERE status IN ({listed})"  # noqa: S608 - constants only
        return int(connection.exec_driver_sql(query).scalar_one())


def ready_steps(context: Context) -> int:
    """Count the steps that could start now, if there were slots, handlers and no pause.

    Raises:
        LogUnavailable: The log failed.
    """
    now, ready = context.office.now(), WorkKind.READY.value
    query = f"SELECT count(*) FROM live_work WHERE kind = {ready} AND (due IS NULL OR due <= {now})"  # noqa: S608 - numbers only
    with context.store.reading() as connection:
        return int(connection.exec_driver_sql(query).scalar_one())


def lags(context: Context) -> Mapping[str, int]:
    """Count, for each durable subscription that is not retired, the events that it has yet to take.

    Raises:
        LogUnavailable: The log failed.
    """
    return {one.name: one.lag for one in context.subscriptions.list() if one.state != "retired"}


def all_of(engine: Engine) -> Gauges:
    """Read every gauge; None stands for what could not be read."""
    context = engine.context
    return Gauges(tried(live_tasks, context), tried(ready_steps, context), tried(lags, context), stuck_slots(engine))


def stuck_slots(engine: Engine) -> int:
    """Count the slots of this process that are held by handlers whose time has run out."""
    return 0 if engine.runner is None else engine.runner.slots.stuck


def tried(read: Callable[[Context], _Read], context: Context) -> _Read | None:
    """Read a gauge; one that cannot be read is logged and left out, for the counters are worth showing without it."""
    try:
        return read(context)
    except TaskerError as error:
        _log.warning("a gauge cannot be read and is not shown: %s", error)
        return None
